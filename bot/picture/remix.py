"""Remix: the old prompt with its flags in a form, to be changed."""

from __future__ import annotations

import discord

from ...queue.prompt import say
from ...queue.records import Job
from ..imagine import Beginning, handle_prompt, said_again
from ..interaction import (
    TYPED,
    Interaction,
    SubmittedModal,
    locale_of,
    modal_id,
    open_modal,
    queue_of,
    settings_here,
    text_input,
)
from ..text import text


async def open_remix(interaction: Interaction, job: Job, picture: int) -> None:
    """The old prompt with its flags, to be changed."""
    locale = locale_of(interaction)
    settings, workers = await settings_here(interaction), await queue_of(interaction).workers()
    wish = said_again(job.request, settings, workers, relaxed=job.priority == "relax")
    prompt = text_input(
        text("form.prompt", locale), "prompt", say(wish)[:TYPED], style=discord.TextStyle.paragraph, max_length=TYPED
    )
    await open_modal(interaction, text("form.remix", locale), modal_id("remix", job.id, picture), prompt)


async def submit_remix(interaction: Interaction, job: Job, form: SubmittedModal) -> None:
    """The changed prompt, with all that a prompt may say, from where the old one came. Raises: Refused."""
    begun = Beginning(source=job.request.source, origin=(job.id, form.key.picture or 0, "remix"))
    await handle_prompt(interaction, form.word("prompt"), {}, begun=begun, as_typed=True)
