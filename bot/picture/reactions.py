"""Reactions, where the bot may see them: ✉️ sends the pictures privately, ❌ cancels or deletes, ⭐ is a favourite.

Like buttons, they are for the member who asked; ❌ is for moderators too. Nobody is answered: there is no way to do so
in private.
"""

from __future__ import annotations

import logging
from typing import Any

import discord

from ...queue.control import Queue
from ...queue.errors import QueueError
from ...queue.moderation import Asker, Use
from ...queue.records import LIVE, Job
from ...queue.store import WITH_PICTURES
from ..faults import FAILURES
from ..interaction import Services
from ..message import DIRECT, Address, Answer, as_permitted, finished_card, fitted, job_of_message, lay_out

log = logging.getLogger(__name__)

#: Largest file of a direct message, in bytes.
FILE_LIMIT = 10 * 2**20
ENVELOPES = ("✉️", "✉", "📩", "📧")
CROSSES = ("❌", "✖️", "🗑️")
STARS = ("⭐", "🌟", "❤️")


async def handle_reaction(client: discord.Client, services: Services, payload: discord.RawReactionActionEvent) -> None:
    """Do what a reaction says, if it is the reactor's to say. Trouble is logged: nobody waits for an answer."""
    emoji = payload.emoji.name
    if emoji not in (*ENVELOPES, *CROSSES, *STARS) or payload.user_id == client.application_id:
        return
    try:
        channel = client.get_partial_messageable(payload.channel_id)
        message = await channel.fetch_message(payload.message_id)
        job = await job_of_message(services.queue, message, client.application_id)
        if job is None:
            return
        own = job.member == str(payload.user_id)
        if emoji in CROSSES and (own or _moderates(client, payload)):
            await _cross(services.queue, job, message, own=own)
        elif own and emoji in STARS:
            for picture in range(job.request.count):
                await services.queue.members.like(job.member, job.id, picture)
        elif own and emoji in ENVELOPES and job.state in WITH_PICTURES:
            await _send(services, job, payload.user_id)
    except (*FAILURES, QueueError) as error:
        log.info("a reaction could not be followed (%s)", type(error).__name__)


async def _cross(queue: Queue, job: Job, message: discord.Message, *, own: bool) -> None:
    if job.state in LIVE:
        if own or job.server == str(message.guild.id if message.guild else None):
            await queue.cancel(job.id)
    else:
        await message.delete()


async def _send(services: Services, job: Job, user: int) -> None:
    address, queue = Address.of(job.reply), services.queue
    locale = address.locale if address is not None else "en"
    given = await queue.showing.permit(Use.LOOK, job, DIRECT, Asker(str(user)))
    parts = await lay_out(job.request, await queue.pictures(given), "single", locale)
    found = await fitted(parts, FILE_LIMIT)
    if address is None or found is None:
        return
    sent_as, files = found
    card = finished_card(job, sent_as=sent_as, locale=locale)
    await services.followers.delivery.copy(Answer(address, job.id, card, as_permitted(given, files)))


def _moderates(client: discord.Client, payload: discord.RawReactionActionEvent) -> bool:
    """Whether the reactor holds Manage Messages where the message stands."""
    member, channel = payload.member, client.get_channel(payload.channel_id)
    if member is None:
        return False
    place: Any = channel
    granted = place.permissions_for(member) if hasattr(place, "permissions_for") else member.guild_permissions
    return bool(granted.manage_messages or granted.administrator)
