"""How buttons look. What they do is known by their custom ids, so discord.py need not remember a view that was sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import discord

from ...queue.records import LIVE, Job
from ..text import ENGLISH, text
from .card import Card, short_id
from .keys import EMOJI, Key, Rows

_STYLES = {
    # Its end is a loss.
    "delete": discord.ButtonStyle.danger,
    "use": discord.ButtonStyle.primary,
    "vary": discord.ButtonStyle.primary,
    "again": discord.ButtonStyle.primary,
}


def button(key: Key, locale: str = ENGLISH, **looks: Any) -> discord.ui.Button[Any]:
    """The button of a key; `looks` are what else discord.py takes, and win."""
    usual: dict[str, Any] = {
        "label": _label(key.action, key.picture, locale),
        "emoji": _emoji(key.action),
        "style": _STYLES.get(key.action, discord.ButtonStyle.secondary),
        "custom_id": key.custom_id,
    }
    return discord.ui.Button(**usual | looks)


@cache
def _label(action: str, picture: int | None, locale: str) -> str:
    """Said again and again: each finished picture has some fifteen buttons."""
    return text(f"button.{action}", locale, number="" if picture is None else str(picture + 1))


@cache
def _emoji(action: str) -> discord.PartialEmoji | None:
    return discord.PartialEmoji.from_str(EMOJI[action]) if EMOJI.get(action) else None


def view_with(items: Iterable[discord.ui.Item[Any]]) -> discord.ui.View:
    """A view that is sent and forgotten: discord.py keeps the items of every view that has not been stopped."""
    view = discord.ui.View(timeout=None)
    for item in items:
        view.add_item(item)
    view.stop()
    return view


def view_of(rows: Rows, locale: str = ENGLISH) -> discord.ui.View | None:
    """The buttons of a message; None for none."""
    if not rows:
        return None
    return view_with(button(key, locale, row=number) for number, row in enumerate(rows) for key in row)


def view_of_card(card: Card) -> discord.ui.View | None:
    return view_of(card.rows, card.locale)


def jobs_view(jobs: Sequence[Job], locale: str) -> discord.ui.View:
    """For each job that is not over its Cancel, for each other its Info; at most 25, named by the jobs' numbers."""
    keys = [(Key("cancel" if job.state in LIVE else "info", job.id), short_id(job)) for job in jobs[:25]]
    return view_with(button(key, locale, label=f"{_label(key.action, None, locale)} {job}") for key, job in keys)
