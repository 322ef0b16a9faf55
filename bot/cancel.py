"""The Cancel button of a status message. It carries its job id, so it works after a restart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self

import discord

from ..queue.errors import UnknownJob
from .errors import Refused
from .guard import guarded
from .texts import text

if TYPE_CHECKING:
    from .client import DaguerreClient


class CancelButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"daguerre:cancel:(?P<job>[0-9a-f]{32})"
):
    """❌ Cancel, for the member who asked and for moderators."""

    def __init__(self, job: str) -> None:
        super().__init__(
            discord.ui.Button(
                label=text("cancel.button"),
                emoji="❌",
                style=discord.ButtonStyle.secondary,
                custom_id=f"daguerre:cancel:{job}",
            )
        )
        self.job = job

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["job"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await guarded(interaction, lambda: cancel(interaction, self.job))


async def cancel(interaction: discord.Interaction[DaguerreClient], job_id: str) -> None:
    """Cancel the job; its follower then writes so into the message.

    Raises:
        Refused: a stranger pressed the button, or the job has ended.
    """
    queue = interaction.client.services.queue
    try:
        job = await queue.job(job_id)
    except UnknownJob:
        raise Refused("cancel.gone") from None
    if job.member != str(interaction.user.id) and not may_moderate(interaction):
        raise Refused("cancel.not_allowed")
    if await queue.cancel(job_id) == "gone":
        raise Refused("cancel.gone")
    await interaction.response.defer()


def may_moderate(interaction: discord.Interaction[Any]) -> bool:
    """Whether the member holds Manage Messages here."""
    return interaction.permissions.manage_messages or interaction.permissions.administrator


def cancel_view(job_id: str) -> discord.ui.View:
    """A row with the button. discord.py keeps nothing of it: a press is found by its custom id."""
    view = discord.ui.View(timeout=None)
    view.add_item(CancelButton(job_id))
    return view
