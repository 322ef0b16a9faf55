"""Reports, reviews and appeals: from a member's word, a rule or the output check to a card, and what its buttons do.

Cards go to the server's log channel. They carry their report's number, so they work after a restart; a card that could
not be posted is posted when the next one is, or at the next start.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import app_commands

from ..queue.errors import NotShown, QueueError, UnknownJob
from ..queue.moderation import Asker, Permit, Place, Report, State, Use
from ..queue.records import Job
from ..queue.store import WITH_PICTURES
from .address import Address
from .cards import Card, finished_card, kept_card
from .delivery import Attached
from .encode import ladder, next_fitting
from .errors import Refused
from .faults import FAILURES
from .guard import guarded, log_error
from .language import speaks
from .layout import laid_out, named
from .menus import job_of_message
from .moderators import BY_SERVERS, IN_SERVERS, answer, moderator
from .reports_cards import BAN_DAYS, LABELS, LEADS_TO, card_words, offered
from .showing import as_permitted
from .texts import ENGLISH, text

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

log = logging.getLogger(__name__)

#: Seconds of a day.
DAY = 86_400.0
#: Largest file of a card, in bytes.
CARD_FILES = 8 * 2**20


def add_report(tree: app_commands.CommandTree[DaguerreClient]) -> None:
    """The entry in the menu of every message."""

    async def report(interaction: discord.Interaction[DaguerreClient], message: discord.Message) -> None:
        await guarded(interaction, lambda: file_report(interaction, message))

    tree.add_command(
        app_commands.ContextMenu(
            name=text("name.menu.report"), callback=report, allowed_contexts=IN_SERVERS, allowed_installs=BY_SERVERS
        )
    )


async def file_report(interaction: Asked, message: discord.Message) -> None:
    """Anybody may report a picture of this server."""
    queue = interaction.client.services.queue
    server = str(interaction.guild_id)
    job = await job_of_message(queue, message, interaction.application_id)
    if job is None and (number := await queue.moderation.job_of_message(server, message.id)) is not None:
        job = await queue.job(number)
    await report_job(interaction, job, here=bool(message.attachments))


async def check_reportable(interaction: Asked, job: Job | None, *, here: bool = False) -> Job:
    """The job, once it is certain that its pictures are of this server, or (`here`) shown in it. Raises: Refused."""
    if job is None or interaction.guild_id is None or job.state not in WITH_PICTURES:
        raise Refused("report.none")
    server, store = str(interaction.guild_id), interaction.client.services.queue.moderation.store
    if job.server != server and not here and not await store.copied_to(job.id, server):
        raise Refused("report.none")
    return job


async def report_job(interaction: Asked, job: Job | None, reason: str = "", *, here: bool = False) -> None:
    """Open a report, once however many report it. Raises: Refused when there is no such picture here."""
    job = await check_reportable(interaction, job, here=here)
    reports = interaction.client.services.queue.moderation.reports
    await reports.file(str(interaction.guild_id), job.id, "report", str(interaction.user.id), reason)
    await answer(interaction, text("report.thanks", speaks(interaction)))


class Desk:
    """Posts the cards of one bot."""

    def __init__(self, client: DaguerreClient) -> None:
        self._client = client
        self._tasks: set[asyncio.Task[None]] = set()
        self._posting = asyncio.Lock()

    def open(self) -> None:
        """Hear of what is reported from now on."""
        self._client.services.queue.moderation.reports.on_opened.append(self.look)

    def look(self) -> None:
        """There may be cards to post."""
        task = asyncio.create_task(self._post_all(), name="moderators' cards")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        listeners = self._client.services.queue.moderation.reports.on_opened
        if self.look in listeners:
            listeners.remove(self.look)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _post_all(self) -> None:
        async with self._posting:
            try:
                for report in await self._client.services.queue.moderation.reports.unposted():
                    await self._post(report)
            except QueueError as error:
                log.warning("cards of moderators cannot be posted now (%s)", type(error).__name__)
            except Exception as error:
                log_error("posting a moderators' card broke", error)

    async def _post(self, report: Report) -> None:
        services = self._client.services
        settings = await services.settings.get(report.server)
        if not settings.log_channel:
            log.info("report %d waits: server %s has no log channel", report.number, report.server)
            return
        job = await services.queue.job(report.job)
        locale = settings.language or ENGLISH
        origin = await services.queue.members.origin(job.id)
        words = card_words(report, job, locale, parent=origin.parent if origin else "")
        channel = self._client.get_partial_messageable(int(settings.log_channel))
        try:
            posted = await channel.send(
                words,
                files=[file.file() for file in await self._files(report, job, locale)],
                view=card_view(report, locale),
                allowed_mentions=discord.AllowedMentions.none(),
                nonce=f"report{report.number}",
            )
        except FAILURES as error:
            log.warning("the card of report %d could not be posted (%s)", report.number, type(error).__name__)
            return
        await services.queue.moderation.reports.posted(report.number, channel.id, posted.id)

    async def _files(self, report: Report, job: Job, locale: str) -> tuple[Attached, ...]:
        """The pictures as moderators see them; none when they are gone."""
        showing = self._client.services.queue.showing
        try:
            given = await showing.permit(Use.REVIEW, job, Place(report.server), Asker("", moderates=True))
        except NotShown:
            return ()
        return await files_of(self._client, given, locale)


async def files_of(client: DaguerreClient, given: Permit, locale: str) -> tuple[Attached, ...]:
    """A job's pictures as its answer carries them, as small as is needed; none when they are gone."""
    job = given.job
    try:
        pictures = await client.services.queue.pictures(given)
    except QueueError:
        return ()
    layout = client.services.queue.members.known(job.member).layout
    parts = await asyncio.to_thread(laid_out, job.request, pictures, layout, locale)
    address = Address.of(job.reply)
    limit = min(CARD_FILES, address.file_limit if address else CARD_FILES)
    encoded = await asyncio.to_thread(next_fitting, ladder(tuple(part.data for part in parts)), limit)
    files = named(parts, encoded) if encoded is not None else ()
    return as_permitted(given, files)


# ---- the buttons of a card


class CardButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"daguerre-card:(?P<action>[a-z0-9]{1,12}):(?P<report>\d{1,15})",
):
    """One action of moderators on one report, or its owner's appeal."""

    def __init__(self, action: str, report: int, locale: str = ENGLISH) -> None:
        red = action in ("delete", "ban1", "ban7", "reject")
        super().__init__(
            discord.ui.Button(
                label=text(LABELS[action], locale),
                style=discord.ButtonStyle.danger if red else discord.ButtonStyle.secondary,
                custom_id=f"daguerre-card:{action}:{report}",
            )
        )
        self.action = action
        self.report = report

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        action = match["action"]
        return cls(action if action in LABELS else "allow", int(match["report"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        act = appeal if self.action == "appeal" else undo if self.action == "undo" else None
        if act is not None:
            await guarded(interaction, lambda: act(interaction, self.report))
        else:
            await guarded(interaction, lambda: decide(interaction, self.action, self.report))


def card_view(report: Report, locale: str) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    for action in offered(report):
        view.add_item(CardButton(action, report.number, locale))
    return view


async def decide(interaction: Asked, action: str, number: int) -> None:
    """Do what a moderator chose, once: the first one's word counts."""
    report, job = await _judged(interaction, number)
    if action not in offered(report):
        raise Refused("report.decided")
    await interaction.response.defer()
    who = str(interaction.user.id)
    state: Any = LEADS_TO[action]
    moderation = interaction.client.services.queue.moderation
    decided = await moderation.reports.decide(number, "open", state, who, action=action)
    if decided is None:
        raise Refused("report.decided")
    if action in BAN_DAYS:
        until = time.time() + BAN_DAYS[action] * DAY
        await moderation.store.ban(report.server, "member", job.member, who, until=until, reason=f"report {number}")
    if action == "restore":
        await moderation.store.lift(report.server, "member", job.member, who)
    await _judge(interaction.client, decided, job, action)
    await _refresh(interaction, decided, job)


async def _judge(client: DaguerreClient, report: Report, job: Job, action: str) -> None:
    """Mark a job as decided, and make its messages say so: everywhere if it is of this server, else in it."""
    store, home = client.services.queue.moderation.store, report.server == job.server
    hidden, removed = action == "hide", action in ("delete", "reject", "ban1", "ban7")
    if action in ("allow", "refuse"):
        return
    if home:
        review = reviewed_after((await store.marks(job.id)).review, action)
        await store.mark(job.id, hidden=hidden, deleted=removed, review=review)
    else:
        await store.mark_elsewhere(job.id, report.server, hidden=hidden, deleted=removed)
    if hidden or removed:
        await take_copies(client, job, None if home else report.server)
    if removed:
        await take_away(client, job, report, everywhere=home)
    elif home:
        await show_answer(client, job)


def reviewed_after(review: str, action: str) -> str:
    """The review of a picture after a decision: what nothing held needs none. Pure."""
    if not review:
        return ""
    match action:
        case "delete" | "reject" | "ban1" | "ban7":
            return "rejected"
        case "release" | "restore":
            return "released"
        case "undo" if review == "rejected":
            return "held"
        case _:
            return review


async def undo(interaction: Asked, number: int) -> None:
    """Take a decision back: the picture is shown again, a ban is lifted."""
    report, job = await _judged(interaction, number)
    was: State = report.state
    if "undo" not in offered(report):
        raise Refused("report.decided")
    await interaction.response.defer()
    moderation, who = interaction.client.services.queue.moderation, str(interaction.user.id)
    again = await moderation.reports.decide(number, was, "open", who, action="undo")
    if again is None:
        raise Refused("report.decided")
    if was == "banned":
        await moderation.store.lift(report.server, "member", job.member, who)
    await _judge(interaction.client, again, job, "undo")
    await _refresh(interaction, again, job)


async def appeal(interaction: Asked, number: int) -> None:
    """The owner of a picture that was taken away asks the moderators to look again."""
    queue = interaction.client.services.queue
    report = await queue.moderation.reports.find(number)
    job = None if report is None else await queue.job(report.job)
    if report is None or job is None or job.member != str(interaction.user.id):
        raise Refused("report.not_yours")
    _, made = await queue.moderation.reports.file(report.server, job.id, "appeal", job.member)
    await answer(interaction, text("report.appealed" if made else "report.appealed.already", speaks(interaction)))


async def _judged(interaction: Asked, number: int) -> tuple[Report, Job]:
    """The report, once it is certain that this member moderates the server that it belongs to. Raises: Refused."""
    server, queue = moderator(interaction), interaction.client.services.queue
    report = await queue.moderation.reports.find(number)
    if report is None or report.server != server:
        raise Refused("report.none")
    try:
        return report, await queue.job(report.job)
    except UnknownJob:
        raise Refused("report.none") from None


async def _refresh(interaction: Asked, report: Report, job: Job) -> None:
    """The card as it stands now."""
    settings = await interaction.client.services.settings.get(report.server)
    locale = settings.language or ENGLISH
    origin = await interaction.client.services.queue.members.origin(job.id)
    await interaction.edit_original_response(
        content=card_words(
            report, job, locale, parent=origin.parent if origin else "", decided_by=str(interaction.user.id)
        ),
        view=card_view(report, locale),
        allowed_mentions=discord.AllowedMentions.none(),
    )


# ---- the member's own message


async def show_answer(client: DaguerreClient, job: Job) -> None:
    """Bring the pictures to the member's message, as the gate lets them there now."""
    address = Address.of(job.reply)
    if address is None:
        return
    try:
        files = await files_of(client, await client.services.queue.showing.answer(job), address.locale)
        card = finished_card(job, locale=address.locale)
    except NotShown as refusal:
        files, card = (), kept_card(job, refusal.why, address.locale)
    await client.services.followers.delivery.deliver(address, job.id, card, files)


async def take_copies(client: DaguerreClient, job: Job, server: str | None) -> None:
    """Delete the messages that show a job's pictures once more (in one server)."""
    for channel, message in await client.services.queue.moderation.store.take_copies(job.id, server):
        try:
            await client.get_partial_messageable(channel).get_partial_message(message).delete()
        except FAILURES as error:
            log.info("a copy of job %s could not be deleted (%s)", job.id[:8], type(error).__name__)


async def take_away(client: DaguerreClient, job: Job, report: Report, *, everywhere: bool = True) -> None:
    """Take the pictures out of the member's message (if `everywhere`), and tell them how to appeal."""
    address = Address.of(job.reply)
    if address is None:
        return
    locale = address.locale
    if everywhere:
        card = Card(text("report.removed", locale), locale=locale)
        await client.services.followers.delivery.deliver(address, job.id, card, (), insist=False)
    view = discord.ui.View(timeout=None)
    view.add_item(CardButton("appeal", report.number, locale))
    try:
        channel = await client.create_dm(discord.Object(address.user))
        await channel.send(text("report.notice", locale, job=job.id[:8]), view=view)
    except FAILURES as error:
        log.info("the owner of job %s could not be told by direct message (%s)", job.id[:8], type(error).__name__)
