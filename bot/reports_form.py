"""The Report button: a form that asks why, for everybody who sees the picture, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord

from ..queue.errors import UnknownJob
from ..queue.records import Job
from .cards import plain
from .forms import Filled, field, modal_id, show
from .keys import Key
from .language import speaks
from .reports import check_reportable, report_job
from .texts import text

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

#: Longest reason that somebody may type, in characters.
REASON = 300


async def ask_why(interaction: Asked, key: Key) -> None:
    """Open the form. Raises: Refused when there is no such picture here."""
    await check_reportable(interaction, await _job(interaction, key))
    locale = speaks(interaction)
    why = field(
        text("report.form.reason", locale), "reason", style=discord.TextStyle.paragraph, min_length=1, max_length=REASON
    )
    await show(interaction, text("report.form", locale), modal_id("report", key.job, key.picture or 0), why)


async def why_given(interaction: Asked, form: Filled) -> None:
    """The form came back. Raises: Refused."""
    job = await _job(interaction, form.key)
    await report_job(interaction, job, plain(form.word("reason"))[:REASON])


async def _job(interaction: Asked, key: Key) -> Job | None:
    try:
        return await interaction.client.services.queue.job(key.job)
    except UnknownJob:
        return None
