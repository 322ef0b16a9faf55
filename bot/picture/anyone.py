"""Buttons for everybody who sees the message: how a picture was made, what else there is, and deleting it."""

from __future__ import annotations

from ...queue.errors import UnknownJob
from ...queue.moderation import NOBODY, Use
from ...queue.records import Job
from ..errors import Refused
from ..interaction import Interaction, answer, existing_job, locale_of, may_moderate, may_touch, permit, queue_of
from ..message import Key, more_rows, view_of
from ..text import text
from .information import information


async def show_info(interaction: Interaction, key: Key) -> None:
    """As the entry in the menu of the message: who sees the picture may know. Raises: NotShown, Refused."""
    job = await existing_job(interaction, key.job)
    await permit(interaction, Use.WORDS, job)
    await answer(interaction, await information(interaction, job, key.picture))


async def show_more(interaction: Interaction, key: Key) -> None:
    """What else can be done with the picture, for the presser alone. Raises: Refused."""
    job, locale = await existing_job(interaction, key.job), locale_of(interaction)
    rows = more_rows(job.id, key.picture, theirs=may_touch(interaction, job), report=interaction.guild_id is not None)
    await answer(interaction, text("more.title", locale), view=view_of(rows, locale))


async def delete_message(interaction: Interaction, key: Key) -> None:
    """The message with its pictures; the job stays in the member's history. Raises: Refused."""
    try:
        job = await queue_of(interaction).job(key.job)
    except UnknownJob:
        job = None
    if not may_delete(interaction, job):
        raise Refused("button.not_yours")
    await interaction.response.defer()
    await interaction.delete_original_response()


def may_delete(interaction: Interaction, job: Job | None) -> bool:
    """Whether a member may take the bot's message away: whose picture it is, who moderates the place where it stands,
    and, once nobody knows any more whose picture it was, for whom Discord says that the message was made."""
    me = interaction.user.id
    if may_moderate(interaction) or (job is not None and job.member == str(me)):
        return True
    message = interaction.message
    if message is None or (job is not None and job.member != NOBODY):
        return False
    asked = message.interaction_metadata
    mentioned = message.content.startswith(f"<@{me}>")
    return mentioned or (asked is not None and asked.user.id == me)
