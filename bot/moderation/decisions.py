"""The buttons of a report's card: what moderators decide, what they take back, and the owner's appeal."""

from __future__ import annotations

from typing import Any

import discord

from ...queue.errors import UnknownJob
from ...queue.moderation import Report, offered, settle
from ...queue.records import Job
from ..errors import Refused
from ..interaction import Component, Interaction, answer, locale_of, moderator, queue_of, services_of
from ..text import text
from .effects import card_of, carry_out


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
        else:
            await decide(interaction, action, report)


async def decide(interaction: Interaction, action: str, number: int) -> None:
    """Do what a moderator chose, or take it back, once: the first one's word counts. Raises: Refused."""
    report, job = await _report_and_job(interaction, number)
    if action not in offered(report):
        raise Refused("report.decided")
    await interaction.response.defer()
    moderation, who = queue_of(interaction).moderation, str(interaction.user.id)
    decided = await settle(moderation, report, job, action, who)
    if decided is None:
        raise Refused("report.decided")
    await carry_out(interaction.client, services_of(interaction), decided, job, action)
    await _refresh(interaction, decided, job)


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
