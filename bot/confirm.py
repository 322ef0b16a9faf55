"""The Yes under a question. It names a draft in the database, so it works after a restart, and once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self

import discord

from .guard import guarded
from .texts import ENGLISH, text

if TYPE_CHECKING:
    from .client import DaguerreClient


class ConfirmButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"daguerre:yes:(?P<draft>[0-9a-f]{16})"
):
    """Do what the draft says."""

    def __init__(self, draft: str, locale: str = ENGLISH) -> None:
        super().__init__(
            discord.ui.Button(
                label=text("confirm.yes", locale),
                style=discord.ButtonStyle.primary,
                custom_id=f"daguerre:yes:{draft}",
            )
        )
        self.draft = draft

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["draft"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        from .imagine import go_ahead  # imports this file

        typed: discord.Interaction[DaguerreClient] = interaction
        await guarded(interaction, lambda: go_ahead(typed, self.draft))


def confirm_view(draft: str, locale: str) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    view.add_item(ConfirmButton(draft, locale))
    return view
