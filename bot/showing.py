"""What the gate before anybody's eyes (queue/moderation/showing.py) needs to know of an interaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord

from ..queue.moderation import Asker, Permit, Place, Use
from ..queue.records import Job
from ..queue.store import ServerSettings
from .ask import PRIVATE_SERVER, role_ids
from .cancel import may_moderate
from .delivery import Attached
from .errors import Refused
from .moderation_checks import check_place, is_relaxed

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

#: What the bot writes to one member.
DIRECT = Place(PRIVATE_SERVER, private=True)


async def permit(interaction: Asked, use: Use, job: Job) -> Permit:
    """Leave to use a job's pictures where an interaction came from. Raises: NotShown."""
    showing = interaction.client.services.queue.showing
    return await showing.permit(use, job, await place_of(interaction), asker_of(interaction))


async def place_of(interaction: Asked) -> Place:
    """Where an answer to this would be seen."""
    if interaction.guild_id is None:
        # In a group others read too.
        return Place(PRIVATE_SERVER, private=not interaction.context.private_channel)
    settings = await interaction.client.services.settings.get(str(interaction.guild_id))
    adult = is_relaxed(settings, interaction)
    return Place(str(interaction.guild_id), allowed=_may_be_asked(settings, interaction), adult=adult)


def asker_of(interaction: Asked) -> Asker:
    """Who would see it."""
    roles = [str(role) for role in role_ids(interaction)]
    return Asker(str(interaction.user.id), roles, moderates=may_moderate(interaction))


def _may_be_asked(settings: ServerSettings, interaction: Asked) -> bool:
    try:
        check_place(settings, interaction)
    except Refused:
        return False
    return True


def behind_spoilers(files: tuple[Attached, ...]) -> tuple[Attached, ...]:
    """The same files, blurred until somebody clicks: Discord goes by their names."""
    return tuple(Attached(f"SPOILER_{file.name}", file.data, file.description) for file in files)


def as_permitted(given: Permit, files: tuple[Attached, ...]) -> tuple[Attached, ...]:
    """The files as they may be shown."""
    return behind_spoilers(files) if given.blurred else files
