"""Reactions, where the bot may see them: ✉️ sends the pictures privately, ❌ cancels or deletes, ⭐ is a favourite.

Like buttons, they are for the member who asked; ❌ is for moderators too. Nobody is answered: there is no way to do so
in private.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import discord

from ..queue.errors import QueueError
from ..queue.moderation import Asker, Use
from ..queue.records import LIVE, Job
from ..queue.store import WITH_PICTURES
from .address import Address
from .cards import finished_card
from .delivery import Delivery
from .encode import fitting, ladder
from .faults import FAILURES
from .layout import laid_out, named
from .menus import job_of_message
from .showing import DIRECT, as_permitted

if TYPE_CHECKING:
    from .client import DaguerreClient

log = logging.getLogger(__name__)

ENVELOPES = ("✉️", "✉", "📩", "📧")
CROSSES = ("❌", "✖️", "🗑️")
STARS = ("⭐", "🌟", "❤️")


async def reacted(client: DaguerreClient, payload: discord.RawReactionActionEvent) -> None:
    """Do what a reaction says, if it is the reactor's to say. Trouble is logged: nobody waits for an answer."""
    emoji = payload.emoji.name
    if emoji not in (*ENVELOPES, *CROSSES, *STARS) or payload.user_id == client.application_id:
        return
    try:
        channel = client.get_partial_messageable(payload.channel_id)
        message = await channel.fetch_message(payload.message_id)
        job = await job_of_message(client.services.queue, message, client.application_id)
        if job is None:
            return
        own = job.member == str(payload.user_id)
        if emoji in CROSSES and (own or _moderates(client, payload)):
            await _cross(client, job, message, own=own)
        elif own and emoji in STARS:
            for picture in range(job.request.count):
                await client.services.queue.members.like(job.member, job.id, picture)
        elif own and emoji in ENVELOPES and job.state in WITH_PICTURES:
            await _send(client, job, payload.user_id)
    except (*FAILURES, QueueError) as error:
        log.info("a reaction could not be followed (%s)", type(error).__name__)


async def _cross(client: DaguerreClient, job: Job, message: discord.Message, *, own: bool) -> None:
    if job.state in LIVE:
        if own or job.server == str(message.guild.id if message.guild else None):
            await client.services.queue.cancel(job.id)
    else:
        await message.delete()


async def _send(client: DaguerreClient, job: Job, user: int) -> None:
    address = Address.of(job.reply)
    locale = address.locale if address is not None else "en"
    queue = client.services.queue
    given = await queue.showing.permit(Use.LOOK, job, DIRECT, Asker(str(user)))
    pictures = await queue.pictures(given)
    parts = laid_out(job.request, pictures, "single", locale)
    encoded = await fitting(ladder(tuple(part.data for part in parts)), 10 * 2**20)
    if address is None or encoded is None:
        return
    delivery: Delivery = client.services.followers.delivery
    card = finished_card(job, sent_as=encoded.format, locale=locale)
    await delivery.copy(address, job.id, card, as_permitted(given, named(parts, encoded)))


def _moderates(client: DaguerreClient, payload: discord.RawReactionActionEvent) -> bool:
    """Whether the reactor holds Manage Messages where the message stands."""
    member, channel = payload.member, client.get_channel(payload.channel_id)
    if member is None:
        return False
    place: Any = channel
    granted = place.permissions_for(member) if hasattr(place, "permissions_for") else member.guild_permissions
    return bool(granted.manage_messages or granted.administrator)
