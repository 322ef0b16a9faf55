"""Buttons that carry all they need: discord.py keeps nothing of them, and any later process understands a press."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import discord

from ..queue.records import LIVE, Job
from .cards import Card, short_id
from .guard import guarded
from .keys import EMOJI, TEMPLATE, Key, Rows
from .texts import ENGLISH, text

if TYPE_CHECKING:
    from .client import DaguerreClient

#: Buttons whose end is a loss.
_RED = ("delete",)
_BLUE = ("use", "vary", "again")


class PictureButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=TEMPLATE):
    """One action on one job or picture; what it does is looked up by `Services.press`."""

    def __init__(self, key: Key, locale: str = ENGLISH) -> None:
        style = discord.ButtonStyle.secondary
        if key.action in _RED:
            style = discord.ButtonStyle.danger
        elif key.action in _BLUE:
            style = discord.ButtonStyle.primary
        super().__init__(
            discord.ui.Button(
                label=_label(key.action, key.picture, locale),
                emoji=_emoji(key.action),
                style=style,
                custom_id=key.custom_id,
            )
        )
        self.key = key

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        key = Key.of(match)
        # An action of a version to come: pressed, it is refused as unknown.
        return cls(key if key.action in EMOJI else Key("info", key.job, key.picture))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        client: DaguerreClient = interaction.client
        await guarded(interaction, lambda: client.services.press(interaction, self.key))


@cache
def _label(action: str, picture: int | None, locale: str) -> str:
    """Said again and again: each finished picture has some fifteen buttons."""
    return text(f"button.{action}", locale, number="" if picture is None else str(picture + 1))


@cache
def _emoji(action: str) -> discord.PartialEmoji | None:
    return discord.PartialEmoji.from_str(EMOJI[action]) if EMOJI.get(action) else None


def view_of(rows: Rows, locale: str = ENGLISH) -> discord.ui.View | None:
    """The buttons of a message; None for none."""
    if not rows:
        return None
    view = discord.ui.View(timeout=None)
    for number, row in enumerate(rows):
        for key in row:
            button = PictureButton(key, locale)
            button.row = number
            view.add_item(button)
    return view


def view_of_card(card: Card) -> discord.ui.View | None:
    return view_of(card.rows, card.locale)


def jobs_view(jobs: Sequence[Job], locale: str) -> discord.ui.View:
    """For each job that is not over its Cancel, for each other its Info; at most 25, named by the jobs' numbers."""
    view = discord.ui.View(timeout=None)
    for job in jobs[:25]:
        button = PictureButton(Key("cancel" if job.state in LIVE else "info", job.id), locale)
        button.item.label = f"{button.item.label} {short_id(job)}"
        view.add_item(button)
    return view
