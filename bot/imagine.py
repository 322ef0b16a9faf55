"""/imagine: from what a member typed to a queued job with its status message.

Discord gives three seconds for the first answer. Looking, queueing and answering usually take a few hundredths; when
the disk is slow the answer is deferred first, and then even a refusal is public.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import discord
from discord import app_commands

from ..queue.errors import QueueError
from ..queue.jobs import Job
from ..queue.requests import MAX_COUNT, MAX_PROMPT, MAX_SEED
from ..queue.server_settings import ServerSettings
from ..queue.service import Ticket
from .address import Address
from .cancel import cancel_view
from .cards import Card
from .checks import build_request, check_channel, check_words
from .errors import Refused
from .faults import ALREADY_ACKNOWLEDGED, FAILURES, UNKNOWN_INTERACTION
from .guard import guarded
from .texts import text

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

log = logging.getLogger(__name__)

#: Seconds of Discord's three that looking and queueing may take before the answer is deferred.
PATIENCE_SECONDS = 1.5
#: Everybody who asks in private is one server for the fair queue.
PRIVATE_SERVER = "dm"


def add_imagine(tree: app_commands.CommandTree[DaguerreClient]) -> None:
    """The command as Discord shows it."""

    @tree.command(name="imagine", description=text("command.imagine"))
    @app_commands.describe(
        prompt=text("command.imagine.prompt"),
        count=text("command.imagine.count"),
        seed=text("command.imagine.seed"),
        relaxed=text("command.imagine.relaxed"),
    )
    @app_commands.allowed_installs(guilds=True, users=False)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    async def imagine(
        interaction: discord.Interaction[DaguerreClient],
        prompt: app_commands.Range[str, 1, MAX_PROMPT],
        count: app_commands.Range[int, 1, MAX_COUNT] = 1,
        seed: app_commands.Range[int, 0, MAX_SEED] | None = None,
        relaxed: bool = False,
    ) -> None:
        await guarded(interaction, lambda: handle(interaction, prompt, count, seed, relaxed=relaxed))


async def handle(interaction: Asked, prompt: str, count: int, seed: int | None, *, relaxed: bool = False) -> None:
    """Check, queue, answer, follow.

    Raises:
        Refused, QueueError: nothing was queued.
    """
    services = interaction.client.services
    address = address_of(interaction, time.time())
    queueing = asyncio.create_task(_queue(interaction, address, prompt, count, seed, relaxed))
    done, _ = await asyncio.wait({queueing}, timeout=PATIENCE_SECONDS)
    if not done:
        await _defer(interaction)
    ticket = await queueing
    if not ticket.created:
        log.info("interaction %s came twice; the second one is ignored", interaction.id)
        return

    card = await services.followers.first_card(ticket.job)
    message = await _answer(interaction, ticket.job, card)
    if message is None:
        await services.queue.cancel(ticket.job.id)
        await services.queue.mark_told(ticket.job.id)
        log.warning("interaction %s was answered too late; its job is cancelled", interaction.id)
        return

    job = replace(ticket.job, reply=replace(address, message=message or None).reply())
    try:
        await services.queue.update_reply(job.id, job.reply)
    except QueueError as error:
        log.warning("job %s: the id of its message could not be kept (%s)", job.id[:8], type(error).__name__)
    services.followers.follow(job, card)


async def _queue(
    interaction: Asked, address: Address, prompt: str, count: int, seed: int | None, relaxed: bool
) -> Ticket:
    """Everything that can be refused, then the job table."""
    services = interaction.client.services
    settings = ServerSettings()
    if interaction.guild_id is not None:
        if not interaction.app_permissions.attach_files:
            raise Refused("refused.attach")
        settings = await services.settings.get(str(interaction.guild_id))
        channel = interaction.channel
        parent = channel.parent_id if isinstance(channel, discord.Thread) else None
        check_channel(settings, address.channel or 0, parent)
    drawn = random.randrange(MAX_SEED + 1) if seed is None else seed
    request = build_request(prompt, count, drawn, settings)
    await asyncio.to_thread(check_words, request.prompt, services.vocabulary)
    return await services.queue.submit(
        request,
        key=str(interaction.id),
        member=str(interaction.user.id),
        server=str(interaction.guild_id or PRIVATE_SERVER),
        reply=address.reply(),
        lane="relax" if relaxed else "fast",
        roles=[str(role) for role in role_ids(interaction)],
    )


def role_ids(interaction: discord.Interaction[DaguerreClient]) -> list[int]:
    """The roles of the member who asks; none in private. Read from what the interaction carries, not from a cache."""
    member = interaction.user
    return list(member._roles) if isinstance(member, discord.Member) else []  # pyright: ignore[reportPrivateUsage]


def address_of(interaction: discord.Interaction[DaguerreClient], now: float) -> Address:
    """Where the answer to this interaction goes."""
    return Address(
        application=interaction.application_id,
        interaction=interaction.id,
        token=interaction.token,
        received=now,
        user=interaction.user.id,
        channel=interaction.channel_id,
        guild=interaction.guild_id,
        locale=interaction.locale.value,
        file_limit=interaction.filesize_limit,
    )


async def _defer(interaction: Asked) -> None:
    """Win time. A failure is no reason to stop: the first answer tries its own luck."""
    try:
        await interaction.response.defer()
    except FAILURES as error:
        log.warning("interaction %s could not be deferred (%s)", interaction.id, type(error).__name__)


async def _answer(interaction: Asked, job: Job, card: Card) -> int | None:
    """Show the first card. Gives the message's id, 0 when unknown, None when Discord had stopped waiting."""
    nobody = discord.AllowedMentions.none()
    for last in (False, True):
        try:
            if interaction.response.is_done():
                edited = await interaction.edit_original_response(
                    content=card.content, view=cancel_view(job.id), allowed_mentions=nobody
                )
                return edited.id
            sent = await interaction.response.send_message(
                card.content, view=cancel_view(job.id), allowed_mentions=nobody
            )
        except FAILURES as error:
            code = error.code if isinstance(error, discord.HTTPException) else None
            if code == UNKNOWN_INTERACTION:
                return None
            if code == ALREADY_ACKNOWLEDGED:
                return 0
            log.warning("interaction %s: the first answer failed (%s)", interaction.id, type(error).__name__)
            if last:
                break
        else:
            return sent.message_id or 0
    # Nobody knows whether it arrived. The follower will find out, and answer in another way if it did not.
    return 0
