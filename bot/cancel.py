"""Cancelling a job, and who may do what to somebody's picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord

from ..queue.errors import UnknownJob
from ..queue.records import Job
from .errors import Refused

if TYPE_CHECKING:
    from .client import DaguerreClient


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
    if not may_touch(interaction, job):
        raise Refused("cancel.not_allowed")
    if await queue.cancel(job_id) == "gone":
        raise Refused("cancel.gone")
    await interaction.response.defer()


def may_moderate(interaction: discord.Interaction[Any]) -> bool:
    """Whether the member holds Manage Messages here."""
    return interaction.permissions.manage_messages or interaction.permissions.administrator


def may_touch(interaction: discord.Interaction[Any], job: Job) -> bool:
    """Whether the member asked for this job, or moderates the server that it belongs to."""
    own = job.member == str(interaction.user.id)
    return own or (may_moderate(interaction) and job.server == str(interaction.guild_id))
