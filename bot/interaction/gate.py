"""What the gate before anybody's eyes (queue/moderation/showing.py) needs to know of an interaction."""

from __future__ import annotations

from ...queue.moderation import Asker, Permit, Place, Use
from ...queue.records import Job
from ...queue.store import ServerSettings
from ..errors import Refused
from ..message import PRIVATE_SERVER
from .access import may_moderate, role_ids
from .context import Interaction, queue_of, services_of
from .places import check_place, is_relaxed


async def permit(interaction: Interaction, use: Use, job: Job) -> Permit:
    """Leave to use a job's pictures where an interaction came from. Raises: NotShown."""
    showing = queue_of(interaction).showing
    return await showing.permit(use, job, await place_of(interaction), asker_of(interaction))


async def place_of(interaction: Interaction) -> Place:
    """Where an answer to this would be seen."""
    if interaction.guild_id is None:
        # In a group others read too.
        return Place(PRIVATE_SERVER, private=not interaction.context.private_channel)
    settings = await services_of(interaction).settings.get(str(interaction.guild_id))
    adult = is_relaxed(settings, interaction)
    return Place(str(interaction.guild_id), allowed=_may_be_asked(settings, interaction), adult=adult)


def asker_of(interaction: Interaction) -> Asker:
    """Who would see it."""
    return Asker(str(interaction.user.id), role_ids(interaction), moderates=may_moderate(interaction))


def _may_be_asked(settings: ServerSettings, interaction: Interaction) -> bool:
    try:
        check_place(settings, interaction)
    except Refused:
        return False
    return True
