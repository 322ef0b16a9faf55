"""From requests to queued jobs with their status messages: the one way in for commands, buttons, modals and menus.

Discord gives three seconds for the first answer. Looking, queueing and answering usually take a few hundredths; when
the disk is slow the answer is deferred first, and then even a refusal is public.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import discord

from ...queue.asking import Order
from ...queue.errors import InvalidRequest, QueueError
from ...queue.observe import about_job
from ...queue.prompt import words_of
from ...queue.records import ImageRequest, Job
from ...queue.store import Origin, ServerSettings, Ticket
from ..faults import ALREADY_ACKNOWLEDGED, FAILURES, UNKNOWN_INTERACTION, explain
from ..interaction import (
    Interaction,
    bot_of,
    is_relaxed,
    locale_of,
    may_moderate,
    queue_of,
    reply_privately,
    role_ids,
    server_settings,
    services_of,
)
from ..message import PRIVATE_SERVER, Address, Card, is_foreign, view_of_card
from .checks import check_names, check_words, refusal_of

log = logging.getLogger(__name__)

#: Seconds that looking and queueing may take before the answer is deferred: a member waits for the first sign only.
DEFER_AFTER_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class _Queued:
    """What became of the orders: jobs in their order, and why the rest was refused."""

    tickets: tuple[Ticket, ...]
    problem: QueueError | None = None


class _AnsweredElsewhere(Exception):
    """Another bot with this token has answered."""


async def ask(interaction: Interaction, make: Callable[[ServerSettings], Awaitable[Sequence[Order]]]) -> None:
    """Check, queue, answer, follow. `make` gives the orders, beside the defaults of the server.

    Raises:
        Refused, QueueError: nothing was queued.
    """
    services = services_of(interaction)
    address = address_of(interaction, time.time())
    queueing = asyncio.create_task(_queue(interaction, address, make))
    # Where many ask at once, this one may have waited for its turn already.
    waited = services.lag.of(interaction.created_at.timestamp(), address.received)
    done, _ = await asyncio.wait({queueing}, timeout=max(0.0, DEFER_AFTER_SECONDS - waited))
    if not done:
        await _defer(interaction, address.private)
    queued = await queueing
    if not queued.tickets[0].created:
        log.info("interaction %s came twice; the second one is ignored", interaction.id)
        return

    first = queued.tickets[0].job
    card = await services.followers.first_card(first, address.locale)
    with about_job(first.id):
        try:
            message = await _answer(interaction, card, private=address.private)
        except _AnsweredElsewhere:
            # Its message is the answer: nothing is drawn here, and nothing is written over it.
            for ticket in queued.tickets:
                await services.queue.cancel(ticket.job.id)
                await services.queue.mark_notified(ticket.job.id)
            return
    _measure(interaction, queued.tickets, address)
    if message is None:
        for ticket in queued.tickets:
            if await services.queue.cancel(ticket.job.id) == "gone":
                # Rendered meanwhile: it comes as a message of its own rather than not at all.
                services.followers.follow(ticket.job)
            else:
                await services.queue.mark_notified(ticket.job.id)
        log.warning("interaction %s was answered too late; its jobs are cancelled", interaction.id)
        return
    await _follow(interaction, first, replace(address, message=message or None), card)
    for ticket in queued.tickets[1:]:
        await _answer_behind(interaction, ticket.job, replace(address, followup=True))
    if queued.problem is not None:
        await reply_privately(interaction, explain(queued.problem, address.locale))


def _measure(interaction: Interaction, tickets: Sequence[Ticket], address: Address) -> None:
    """The first answer is there: how long it took, and the beginning of each job's tree of spans."""
    queue = queue_of(interaction)
    queue.meters.answers.observe(max(0.0, time.time() - address.received))
    for ticket in tickets:
        queue.spans.root(
            ticket.job.id, "interaction", began=address.received, interaction=str(interaction.id),
            server=ticket.job.server, pictures=ticket.job.request.count,
        )  # fmt: skip


async def admit(interaction: Interaction, request: ImageRequest, settings: ServerSettings) -> ImageRequest:
    """Every request passes here before it is queued, wherever it came from.

    Raises:
        Refused: says what to change.
    """
    vocabulary = services_of(interaction).vocabulary
    workers = await queue_of(interaction).workers()
    check_names(request, vocabulary, workers, (*settings.styles, *settings.models))
    # A picture says what to draw, whatever the words beside it are.
    vocabulary = words_of(vocabulary, request.model)
    if vocabulary is not None and request.source is None:
        await asyncio.to_thread(check_words, request.prompt, vocabulary)
    return request


async def _queue(
    interaction: Interaction, address: Address, make: Callable[[ServerSettings], Awaitable[Sequence[Order]]]
) -> _Queued:
    """Everything that can be refused, then the job table."""
    queue = queue_of(interaction)
    settings = await server_settings(interaction)
    orders = await make(settings)
    admitted = [replace(order, request=await admit(interaction, order.request, settings)) for order in orders]
    tickets: list[Ticket] = []
    for number, order in enumerate(admitted):
        try:
            async with services_of(interaction).submitting:
                ticket = await queue.submit(
                    order.request,
                    key=str(interaction.id) if number == 0 else f"{interaction.id}.{number}",
                    member=str(interaction.user.id),
                    server=str(interaction.guild_id or PRIVATE_SERVER),
                    reply=(address if number == 0 else replace(address, followup=True)).reply(),
                    priority=order.priority,
                    roles=role_ids(interaction),
                    relaxed=is_relaxed(settings, interaction),
                    moderates=may_moderate(interaction),
                    brought=order.brought,
                    blurred=order.blurred,
                )
        except InvalidRequest as problem:
            raise refusal_of(problem, order.request.prompt) from None
        except QueueError as problem:
            if not tickets:
                raise
            return _Queued(tuple(tickets), problem)
        tickets.append(ticket)
        if order.origin is not None:
            parent, picture, action = order.origin
            await queue.members.link(Origin(ticket.job.id, parent, picture, action))
    return _Queued(tuple(tickets))


async def _follow(interaction: Interaction, job: Job, address: Address, card: Card) -> None:
    services = services_of(interaction)
    job = replace(job, reply=address.reply())
    try:
        await services.queue.update_reply(job.id, job.reply)
    except QueueError as error:
        log.warning("job %s: the id of its message could not be kept (%s)", job.id[:8], type(error).__name__)
    services.followers.follow(job, card)


async def _answer_behind(interaction: Interaction, job: Job, address: Address) -> None:
    """A message of its own for each further job. One that cannot be sent now is sent when the job ends."""
    card = await services_of(interaction).followers.first_card(job, address.locale)
    message = None
    try:
        sent = await interaction.followup.send(
            card.content, view=view_of_card(card) or discord.utils.MISSING, ephemeral=address.private, wait=True
        )
        message = sent.id
    except FAILURES as error:
        log.warning("job %s: its message could not be sent (%s)", job.id[:8], type(error).__name__)
    await _follow(interaction, job, replace(address, message=message), card)


def address_of(interaction: Interaction, now: float) -> Address:
    """Where the answer to this interaction goes."""
    preferences = queue_of(interaction).members.known(str(interaction.user.id))
    return Address(
        application=interaction.application_id,
        interaction=interaction.id,
        token=interaction.token,
        received=now,
        user=interaction.user.id,
        channel=interaction.channel_id,
        guild=interaction.guild_id,
        locale=locale_of(interaction),
        file_limit=interaction.filesize_limit,
        private=preferences.private,
    )


async def _defer(interaction: Interaction, private: bool) -> None:
    """Win time. A failure is no reason to stop: the first answer tries its own luck."""
    try:
        await interaction.response.defer(ephemeral=private, thinking=True)
    except FAILURES as error:
        log.warning("interaction %s could not be deferred (%s)", interaction.id, type(error).__name__)


async def _answered_by_another(interaction: Interaction) -> bool:
    """Whether another bot with this token was quicker, as far as its answer shows."""
    try:
        foreign = await is_foreign(queue_of(interaction), await interaction.original_response())
    except (*FAILURES, QueueError):
        return False
    if foreign:
        bot_of(interaction).foreign_answer()
    return foreign


async def _answer(interaction: Interaction, card: Card, *, private: bool) -> int | None:
    """Show the first card. Gives the message's id, 0 when unknown, None when Discord had stopped waiting.

    Raises:
        _AnsweredElsewhere: another bot with this token was quicker.
    """
    view = view_of_card(card)
    for last in (False, True):
        try:
            if interaction.response.is_done():
                edited = await interaction.edit_original_response(content=card.content, view=view)
                return edited.id
            sent = await interaction.response.send_message(
                card.content, view=view or discord.utils.MISSING, ephemeral=private
            )
        except FAILURES as error:
            code = error.code if isinstance(error, discord.HTTPException) else None
            if code == UNKNOWN_INTERACTION:
                return None
            if code == ALREADY_ACKNOWLEDGED:
                if await _answered_by_another(interaction):
                    raise _AnsweredElsewhere from None
                return 0
            log.warning("interaction %s: the first answer failed (%s)", interaction.id, type(error).__name__)
            if last:
                break
        else:
            return sent.message_id or 0
    # Nobody knows whether it arrived. The follower will find out, and answer in another way if it did not.
    return 0
