"""A picture as an emoji or a sticker of the server, for those who hold Manage Expressions."""

from __future__ import annotations

import asyncio
import io
import re

import discord

from ...queue.moderation import Use
from ...queue.pictures import cut_out
from ...queue.records import Job
from ..errors import Refused
from ..interaction import Interaction, SubmittedModal, locale_of, modal_id, open_modal, permit, queue_of, text_input
from ..message import Key
from ..text import plain, shorten, text

#: Pixels and bytes that Discord takes.
EMOJI_SIDE, EMOJI_BYTES = 128, 256 * 1024
STICKER_SIDE, STICKER_BYTES = 320, 512 * 1024
NAME = re.compile(r"\w{2,32}", re.ASCII)
#: Discord's own answer when no slot is free: emoji, stickers.
FULL = (30008, 30018, 30039)


async def open_expression_form(interaction: Interaction, key: Key) -> None:
    """Open the modal for the name. Raises: Refused when it could not be added anyway."""
    locale = locale_of(interaction)
    may_add(interaction, key.action)
    suggested = re.sub(r"\W+", "_", key.job[-6:], flags=re.ASCII)
    name = text_input(text("form.name", locale), "name", f"art_{suggested}", min_length=2, max_length=30)
    await open_modal(
        interaction, text(f"form.{key.action}", locale), modal_id(key.action, key.job, key.picture or 0), name
    )


def may_add(interaction: Interaction, action: str) -> discord.Guild:
    """The server, if the member and the bot may add to it and a slot is free as far as is known.

    Raises:
        Refused: says what is missing.
    """
    guild = interaction.guild
    if guild is None or not interaction.is_guild_integration():
        raise Refused("expression.server_only")
    if not (interaction.permissions.manage_expressions or interaction.permissions.administrator):
        raise Refused("expression.not_allowed")
    granted = interaction.app_permissions
    if not (granted.manage_expressions or granted.create_expressions or granted.administrator):
        raise Refused("expression.bot_not_allowed")
    taken, slots = (
        (sum(not each.animated for each in guild.emojis), guild.emoji_limit)
        if action == "emoji"
        else (len(guild.stickers), guild.sticker_limit)
    )
    if taken >= slots:
        raise Refused("expression.full", limit=slots)
    return guild


async def add_expression(interaction: Interaction, job: Job, form: SubmittedModal) -> None:
    """Make it. Raises: Refused."""
    action, locale = form.key.action, locale_of(interaction)
    name = form.word("name").strip()
    if not NAME.fullmatch(name):
        raise Refused("expression.name")
    guild = may_add(interaction, action)
    given = await permit(interaction, Use.EXPRESSION, job)
    await interaction.response.defer(ephemeral=True, thinking=True)
    picture = form.key.picture or 0
    # The gate gives none of those that are to be blurred.
    assert not given.blurred
    pictures = await queue_of(interaction).pictures(given)
    if picture >= len(pictures):
        raise Refused("button.gone")
    side, most = (EMOJI_SIDE, EMOJI_BYTES) if action == "emoji" else (STICKER_SIDE, STICKER_BYTES)
    data = await asyncio.to_thread(cut_out, pictures[picture], side, most)
    reason = text("expression.reason", locale, member=str(interaction.user.id))
    try:
        if action == "emoji":
            made: object = await guild.create_custom_emoji(name=name, image=data, reason=reason)
        else:
            made = await guild.create_sticker(
                name=name,
                description=shorten(plain(job.request.prompt), 100),
                emoji="🎨",
                file=discord.File(io.BytesIO(data), f"{name}.png"),
                reason=reason,
            )
    except discord.HTTPException as error:
        if error.code in FULL:
            raise Refused("expression.full", limit=guild.emoji_limit) from None
        if isinstance(error, discord.Forbidden):
            raise Refused("expression.bot_not_allowed") from None
        raise
    shown = str(made) if action == "emoji" else name
    await interaction.edit_original_response(content=text(f"expression.{action}.added", locale, name=shown))
