"""Answering a member privately, however far the interaction has been answered already."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence

import discord

from ..faults import FAILURES
from .context import Interaction

log = logging.getLogger(__name__)


async def answer(
    interaction: Interaction, words: str, *, file: tuple[str, bytes] | None = None, view: discord.ui.View | None = None
) -> None:
    """Answer privately, also when the answer was deferred; `file` is a name and what is in it."""
    files = [] if file is None else [discord.File(io.BytesIO(file[1]), filename=file[0])]
    if interaction.response.is_done():
        await interaction.edit_original_response(
            content=words, view=view or discord.utils.MISSING, attachments=files or discord.utils.MISSING
        )
    else:
        await interaction.response.send_message(
            words, ephemeral=True, view=view or discord.utils.MISSING, files=files or discord.utils.MISSING
        )


async def answer_pages(interaction: Interaction, pages: Sequence[str]) -> None:
    """Answer privately in several messages."""
    await answer(interaction, pages[0])
    for page in pages[1:]:
        await interaction.followup.send(page, ephemeral=True)


async def reply_privately(interaction: Interaction, words: str) -> None:
    """Say why nothing came of it, also where the answer was deferred for all to see: that placeholder goes first.

    Trouble is logged, not raised.
    """
    try:
        if interaction.response.type is discord.InteractionResponseType.deferred_channel_message:
            # What is sent behind a placeholder takes its place, and is as public as it was.
            await interaction.delete_original_response()
        if interaction.response.is_done():
            await interaction.followup.send(words, ephemeral=True)
        else:
            await interaction.response.send_message(words, ephemeral=True)
    except (*FAILURES, discord.ClientException) as error:
        log.warning("a member could not be answered: %s", type(error).__name__)
