"""Reporting a picture: by the menu of its message, or by the Report button, which asks why."""

from __future__ import annotations

import discord

from ...queue.errors import UnknownJob
from ...queue.records import Job
from ...queue.store import WITH_PICTURES
from ..errors import Refused
from ..interaction import (
    CommandTree,
    Interaction,
    SubmittedModal,
    answer,
    locale_of,
    menu,
    modal_id,
    only_in_servers,
    open_modal,
    queue_of,
    text_input,
)
from ..message import Key, job_of_message
from ..text import plain, text

#: Longest reason that somebody may type, in characters.
REASON = 300


def add_report(tree: CommandTree) -> None:
    """The entry in the menu of every message."""
    tree.add_command(only_in_servers(menu("name.menu.report", file_report)))


async def file_report(interaction: Interaction, message: discord.Message) -> None:
    """Anybody may report a picture of this server."""
    queue = queue_of(interaction)
    server = str(interaction.guild_id)
    job = await job_of_message(queue, message, interaction.application_id)
    if job is None and (number := await queue.moderation.job_of_message(server, message.id)) is not None:
        job = await queue.job(number)
    await report_job(interaction, job, here=bool(message.attachments))


async def check_reportable(interaction: Interaction, job: Job | None, *, here: bool = False) -> Job:
    """The job, once it is certain that its pictures are of this server, or (`here`) shown in it. Raises: Refused."""
    if job is None or interaction.guild_id is None or job.state not in WITH_PICTURES:
        raise Refused("report.none")
    server, store = str(interaction.guild_id), queue_of(interaction).moderation.store
    if job.server != server and not here and not await store.copied_to(job.id, server):
        raise Refused("report.none")
    return job


async def report_job(interaction: Interaction, job: Job | None, reason: str = "", *, here: bool = False) -> None:
    """Open a report, once however many report it. Raises: Refused when there is no such picture here."""
    job = await check_reportable(interaction, job, here=here)
    reports = queue_of(interaction).moderation.reports
    await reports.file(str(interaction.guild_id), job.id, "report", str(interaction.user.id), reason)
    await answer(interaction, text("report.thanks", locale_of(interaction)))


# ---- the button


async def open_report_form(interaction: Interaction, key: Key) -> None:
    """Open the form. Raises: Refused when there is no such picture here."""
    await check_reportable(interaction, await _job(interaction, key))
    locale = locale_of(interaction)
    why = text_input(
        text("report.form.reason", locale), "reason", style=discord.TextStyle.paragraph, min_length=1, max_length=REASON
    )
    await open_modal(interaction, text("report.form", locale), modal_id("report", key.job, key.picture or 0), why)


async def submit_report_form(interaction: Interaction, form: SubmittedModal) -> None:
    """The form came back. Raises: Refused."""
    job = await _job(interaction, form.key)
    await report_job(interaction, job, plain(form.word("reason"))[:REASON])


async def _job(interaction: Interaction, key: Key) -> Job | None:
    try:
        return await queue_of(interaction).job(key.job)
    except UnknownJob:
        return None
