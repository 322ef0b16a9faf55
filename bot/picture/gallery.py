"""How a page of an album looks: six pictures as a gallery.

Components V2: the message is its components, so pictures, words and buttons stand in one order on every screen.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import discord

from ...queue.records import Job
from ..message import Key, alt_text, button, short_id
from ..text import shown, text

Kind = Literal["history", "favourites"]
PAGE = 6
#: Longest side of a picture in the gallery, in pixels.
SMALL = 256
PROMPT = 70


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of an album; `picture` counts from 0."""

    job: Job
    picture: int
    #: A small WebP; None where it is not to be seen.
    data: bytes | None
    blurred: bool = False
    #: Why not, as the gate says it (queue/moderation/showing.py).
    why: str = ""

    def file(self, place: int) -> str:
        """What it is called in the message; Discord blurs by the name."""
        return f"{'SPOILER_' if self.blurred else ''}{place}.webp"


def laid_out(kind: Kind, page: int, entries: Sequence[Entry], number: int, locale: str) -> discord.ui.LayoutView:
    """Title, gallery, one line and one button for each picture, and the buttons that turn pages."""
    pages = max(1, -(-number // PAGE))
    view = discord.ui.LayoutView(timeout=None)
    lines = [text(f"album.{kind}", locale, count=number)]
    for place, entry in enumerate(entries):
        lines.append(_line(place + 1, entry, locale))
    view.add_item(discord.ui.TextDisplay("\n".join(lines)))
    gallery = [
        discord.MediaGalleryItem(
            f"attachment://{entry.file(place)}", description=alt_text(entry.job.request, locale), spoiler=entry.blurred
        )
        for place, entry in enumerate(entries)
        if entry.data is not None
    ]
    if gallery:
        view.add_item(discord.ui.MediaGallery(*gallery))
    buttons = [
        button(Key("use", entry.job.id, entry.picture), locale, label=str(place + 1), disabled=entry.data is None)
        for place, entry in enumerate(entries)
    ]
    for start in range(0, len(buttons), 3):
        view.add_item(discord.ui.ActionRow[Any](*buttons[start : start + 3]))
    if pages > 1:
        back = _turn(kind, max(0, page - 1), text("album.newer", locale), disabled=page == 0)
        # The two ids must differ even where neither button can be pressed.
        on = _turn(kind, page + 1, text("album.older", locale), disabled=page + 1 >= pages)
        view.add_item(discord.ui.ActionRow[Any](back, on))
    # Sent and forgotten, as `view_with` does.
    view.stop()
    return view


def _turn(kind: Kind, page: int, label: str, *, disabled: bool) -> discord.ui.Button[Any]:
    return discord.ui.Button(label=label, custom_id=f"daguerre:page:{kind}:{page}", disabled=disabled)


def _line(number: int, entry: Entry, locale: str) -> str:
    """A picture of somebody else that may not be seen any more has no words either."""
    job = short_id(entry.job)
    prompt = "…" if entry.why == "not_yours" else shown(entry.job.request.prompt, PROMPT)
    if not entry.why:
        return text("album.line", locale, number=number, prompt=prompt, job=job)
    why = text(f"shown.{entry.why}", locale)
    return text("album.line.kept", locale, number=number, prompt=prompt, job=job, why=why)


def small(data: bytes) -> bytes:
    """A WebP for the gallery. Blocking."""
    from PIL import Image

    picture = Image.open(io.BytesIO(data))
    picture.thumbnail((SMALL, SMALL))
    buffer = io.BytesIO()
    picture.convert("RGBA" if picture.has_transparency_data else "RGB").save(buffer, "WEBP", quality=85)
    return buffer.getvalue()
