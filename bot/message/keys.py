"""What a component means, and how its custom id says so. Pure.

`daguerre:<action>:<job>[:<picture>]`: all that a press needs, so it works in another process and months later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Discord allows 100 characters.
TEMPLATE = r"daguerre:(?P<action>[a-z0-9_]{1,12}):(?P<job>[0-9a-f]{32})(?::(?P<picture>[0-9]))?"
#: Actions by what they do; `emoji` of each button. The words beside it are the text `button.<action>`.
EMOJI = {
    "cancel": "❌",
    "use": "",
    "vary": "",
    "again": "🔄",
    "remix": "🎛️",
    "subtle": "🪄",
    "strong": "🪄",
    "region": "🖌️",
    "upscale": "⬆️",
    "zoom15": "🔍",
    "zoom20": "🔍",
    "left": "⬅️",
    "right": "➡️",
    "up": "🔼",
    "down": "🔽",
    "like": "❤️",
    "info": "ℹ️",
    "delete": "🗑️",
    "emoji": "😀",
    "sticker": "🏷️",
    "vector": "📐",
    "report": "🚩",
    "more": "➕",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One button: what it does to picture `picture` (from 0; None: to all) of a job."""

    action: str
    job: str
    picture: int | None = None

    @property
    def custom_id(self) -> str:
        return f"daguerre:{self.action}:{self.job}" + ("" if self.picture is None else f":{self.picture}")

    @classmethod
    def of(cls, found: re.Match[str]) -> Key:
        """What a match of `TEMPLATE` says."""
        picture = found["picture"]
        return cls(found["action"], found["job"], None if picture is None else int(picture))


#: Rows of buttons, at most five of five.
Rows = tuple[tuple[Key, ...], ...]


def waiting_rows(job: str) -> Rows:
    """Below the card of a job that is not over."""
    return ((Key("cancel", job),),)


def grid_rows(job: str, count: int) -> Rows:
    """Below several pictures: look at one, vary one, and what concerns all."""
    return (
        tuple(Key("use", job, n) for n in range(count)),
        tuple(Key("vary", job, n) for n in range(count)),
        tuple(Key(action, job) for action in ("again", "remix", "like", "delete", "more")),
    )


def picture_rows(job: str, picture: int) -> Rows:
    """Below one picture: what is pressed most, and the way to the rest."""
    rows = (("strong", "upscale", "again", "remix", "like"), ("delete", "more"))
    return tuple(tuple(Key(action, job, picture) for action in row) for row in rows)


def more_rows(job: str, picture: int | None, *, theirs: bool, report: bool) -> Rows:
    """What stands behind More: `theirs` to press; `report`: there are moderators."""
    usual = ("info", "report") if report else ("info",)
    rows: tuple[tuple[str, ...], ...] = (usual,)
    if theirs and picture is not None:
        files = ("emoji", "sticker", "vector", *usual)
        rows = (("subtle", "region", "zoom15", "zoom20"), ("left", "right", "up", "down"), files)
    return tuple(tuple(Key(action, job, picture) for action in row) for row in rows)
