"""The buttons of a report's card: what moderators decide, what they take back, and the owner's appeal."""

from __future__ import annotations

import time
from typing import Any

import discord

from ...queue.errors import UnknownJob
from ...queue.moderation import Report, State
from ...queue.records import Job
from ..errors import Refused
from ..interaction import Component, Interaction, answer, locale_of, moderator, queue_of, services_of
from ..text import text
from .effects import card_of, show_answer, take_away, take_copies
from .report_cards import BAN_DAYS, LEADS_TO, offered

#: Seconds of a day.
DAY = 86_400.0


class CardButton(
    Component,
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=r"daguerre-card:(?P<action>[a-z0-9]{1,12}):(?P<report>\d{1,15})",
):
    """One action of moderators on one report, or its owner's appeal."""

    async def used(self, interaction: Interaction) -> None:
        action, report = self.match["action"], int(self.match["report"])
        if action == "appeal":
            await appeal(interaction, report)
        elif action == "undo":
            await undo(interaction, report)
        else:
            await decide(interaction, action, report)


async def decide(interaction: Interaction, action: str, number: int) -> None:
    """Do what a moderator chose, once: the first one's word counts."""
    report, job = await _report_and_job(interaction, number)
    if action not in offered(report):
        raise Refused("report.decided")
    await interaction.response.defer()
    who = str(interaction.user.id)
    state: Any = LEADS_TO[action]
    moderation = queue_of(interaction).moderation
    decided = await moderation.reports.decide(number, "open", state, who, action=action)
    if decided is None:
        raise Refused("report.decided")
    if action in BAN_DAYS:
        until = time.time() + BAN_DAYS[action] * DAY
        await moderation.store.ban(report.server, "member", job.member, who, until=until, reason=f"report {number}")
    if action == "restore":
        await moderation.store.lift(report.server, "member", job.member, who)
    await _apply(interaction, decided, job, action)
    await _refresh(interaction, decided, job)


async def _apply(interaction: Interaction, report: Report, job: Job, action: str) -> None:
    """Mark a job as decided, and make its messages say so: everywhere if it is of this server, else in it."""
    client, services = interaction.client, services_of(interaction)
    store, home = services.queue.moderation.store, report.server == job.server
    hidden, removed = action == "hide", action in ("delete", "reject", "ban1", "ban7")
    if action in ("allow", "refuse"):
        return
    if home:
        review = reviewed_after((await store.marks(job.id)).review, action)
        await store.mark(job.id, hidden=hidden, deleted=removed, review=review)
    else:
        await store.mark_elsewhere(job.id, report.server, hidden=hidden, deleted=removed)
    if hidden or removed:
        await take_copies(client, services.queue, job, None if home else report.server)
    if removed:
        await take_away(client, services, job, report, everywhere=home)
    elif home:
        await show_answer(services, job)


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


async def undo(interaction: Interaction, number: int) -> None:
    """Take a decision back: the picture is shown again, a ban is lifted."""
    report, job = await _report_and_job(interaction, number)
    was: State = report.state
    if "undo" not in offered(report):
        raise Refused("report.decided")
    await interaction.response.defer()
    moderation, who = queue_of(interaction).moderation, str(interaction.user.id)
    again = await moderation.reports.decide(number, was, "open", who, action="undo")
    if again is None:
        raise Refused("report.decided")
    if was == "banned":
        await moderation.store.lift(report.server, "member", job.member, who)
    await _apply(interaction, again, job, "undo")
    await _refresh(interaction, again, job)


async def appeal(interaction: Interaction, number: int) -> None:
    """The owner of a picture that was taken away asks the moderators to look again."""
    queue = queue_of(interaction)
    report = await queue.moderation.reports.find(number)
    job = None if report is None else await queue.job(report.job)
    if report is None or job is None or job.member != str(interaction.user.id):
        raise Refused("report.not_yours")
    _, made = await queue.moderation.reports.file(report.server, job.id, "appeal", job.member)
    await answer(interaction, text("report.appealed" if made else "report.appealed.already", locale_of(interaction)))


async def _report_and_job(interaction: Interaction, number: int) -> tuple[Report, Job]:
    """The report, once it is certain that this member moderates the server that it belongs to. Raises: Refused."""
    server, queue = moderator(interaction), queue_of(interaction)
    report = await queue.moderation.reports.find(number)
    if report is None or report.server != server:
        raise Refused("report.none")
    try:
        return report, await queue.job(report.job)
    except UnknownJob:
        raise Refused("report.none") from None


async def _refresh(interaction: Interaction, report: Report, job: Job) -> None:
    """The card as it stands now."""
    words, view, _ = await card_of(services_of(interaction), report, job, str(interaction.user.id))
    await interaction.edit_original_response(content=words, view=view)
