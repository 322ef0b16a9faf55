"""What a moderators' decision does to messages: their card, the member's own message, and its copies."""

from __future__ import annotations

import logging

import discord

from ...queue.control import Queue
from ...queue.errors import NotShown, QueueError
from ...queue.moderation import REMOVING, Permit, Report
from ...queue.records import Job
from ..faults import FAILURES
from ..interaction import Services
from ..message import (
    Address,
    Answer,
    Attached,
    Card,
    as_permitted,
    finished_card,
    fitted,
    kept_card,
    lay_out,
    view_with,
)
from ..text import ENGLISH, text
from .report_cards import card_view, card_words, report_button

log = logging.getLogger(__name__)

#: Largest file of a card, in bytes.
CARD_FILES = 8 * 2**20


async def card_of(
    services: Services, report: Report, job: Job, decided_by: str = ""
) -> tuple[str, discord.ui.View, str]:
    """A report's card as it stands now: its words, its buttons, and the language of its server."""
    locale = (await services.settings.get(report.server)).language or ENGLISH
    origin = await services.queue.members.origin(job.id)
    words = card_words(report, job, locale, parent=origin.parent if origin else "", decided_by=decided_by)
    return words, card_view(report, locale), locale


async def files_of(queue: Queue, given: Permit, locale: str) -> tuple[Attached, ...]:
    """A job's pictures as its answer carries them, as small as is needed; none when they are gone."""
    job = given.job
    try:
        pictures = await queue.pictures(given)
    except QueueError:
        return ()
    parts = await lay_out(job.request, pictures, queue.members.known(job.member).layout, locale)
    address = Address.of(job.reply)
    found = await fitted(parts, min(CARD_FILES, address.file_limit if address else CARD_FILES))
    return as_permitted(given, found[1] if found else ())


async def carry_out(client: discord.Client, services: Services, report: Report, job: Job, action: str) -> None:
    """Make a job's messages say what was decided about it: everywhere if it is of that server, else in it."""
    home = report.server == job.server
    if action in ("allow", "refuse"):
        return
    if action == "hide" or action in REMOVING:
        await take_copies(client, services.queue, job, None if home else report.server)
    if action in REMOVING:
        await take_away(client, services, job, report, everywhere=home)
    elif home:
        await show_answer(services, job)


async def show_answer(services: Services, job: Job) -> None:
    """Bring the pictures to the member's message, as the gate lets them there now."""
    address = Address.of(job.reply)
    if address is None:
        return
    try:
        files = await files_of(services.queue, await services.queue.showing.answer(job), address.locale)
        card = finished_card(job, locale=address.locale)
    except NotShown as refusal:
        files, card = (), kept_card(job, refusal.why, address.locale)
    await services.followers.delivery.deliver(Answer(address, job.id, card, files))


async def take_copies(client: discord.Client, queue: Queue, job: Job, server: str | None) -> None:
    """Delete the messages that show a job's pictures once more (in one server)."""
    for channel, message in await queue.moderation.store.take_copies(job.id, server):
        try:
            await client.get_partial_messageable(channel).get_partial_message(message).delete()
        except FAILURES as error:
            log.info("a copy of job %s could not be deleted (%s)", job.id[:8], type(error).__name__)


async def take_away(
    client: discord.Client, services: Services, job: Job, report: Report, *, everywhere: bool = True
) -> None:
    """Take the pictures out of the member's message (if `everywhere`), and tell them how to appeal."""
    address = Address.of(job.reply)
    if address is None:
        return
    locale = address.locale
    if everywhere:
        card = Card(text("report.removed", locale), locale=locale)
        await services.followers.delivery.deliver(Answer(address, job.id, card), insist=False)
    try:
        channel = await client.create_dm(discord.Object(address.user))
        view = view_with([report_button("appeal", report.number, locale)])
        await channel.send(text("report.notice", locale, job=job.id[:8]), view=view)
    except FAILURES as error:
        log.info("the owner of job %s could not be notified by direct message (%s)", job.id[:8], type(error).__name__)
