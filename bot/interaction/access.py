"""Who may do what: as a moderator of a server, or with a job. Every handler of moderators asks here first.

Discord hides commands from others only by default, and a server can change that: so the handler decides.
"""

from __future__ import annotations

import discord

from ...queue.errors import UnknownJob
from ...queue.records import Job
from ..discord_internals import role_ids as roles_of
from ..errors import Refused
from .context import Interaction, queue_of


def manager(interaction: Interaction) -> str:
    """The server's id, once it is certain that this member manages it. Raises: Refused."""
    if interaction.guild_id is None:
        raise Refused("settings.server_only")
    if not (interaction.permissions.manage_guild or interaction.permissions.administrator):
        raise Refused("settings.not_allowed")
    return str(interaction.guild_id)


def moderator(interaction: Interaction) -> str:
    """The server's id, once it is certain that this member moderates it. Raises: Refused."""
    if interaction.guild_id is None:
        raise Refused("settings.server_only")
    if not may_moderate(interaction):
        raise Refused("queue.not_allowed")
    return str(interaction.guild_id)


def may_moderate(interaction: Interaction) -> bool:
    """Whether the member holds Manage Messages here."""
    return interaction.permissions.manage_messages or interaction.permissions.administrator


def may_touch(interaction: Interaction, job: Job) -> bool:
    """Whether the member asked for this job, or moderates the server that it belongs to."""
    own = job.member == str(interaction.user.id)
    return own or (may_moderate(interaction) and job.server == str(interaction.guild_id))


def role_ids(interaction: Interaction) -> list[str]:
    """The roles of the member who asks; none in private. Read from what the interaction carries, not from a cache."""
    member = interaction.user
    return [str(role) for role in roles_of(member)] if isinstance(member, discord.Member) else []


async def actionable_job(interaction: Interaction, job_id: str) -> Job:
    """The job, once it is certain that this member may do something with it. Raises: Refused."""
    job = await existing_job(interaction, job_id)
    if not may_touch(interaction, job):
        raise Refused("button.not_yours")
    return job


async def existing_job(interaction: Interaction, job_id: str) -> Job:
    """The job. Raises: Refused when it is gone."""
    try:
        return await queue_of(interaction).job(job_id)
    except UnknownJob:
        raise Refused("button.gone") from None
