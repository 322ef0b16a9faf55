"""A picture as an emoji or a sticker of the server, for those who hold Manage Expressions."""

from __future__ import annotations

import asyncio
import io
import re
from typing import TYPE_CHECKING

import discord

from ...queue.moderation import Use
from ...queue.records import Job
from ..errors import Refused
from ..interaction import Interaction, SubmittedModal, locale_of, modal_id, open_modal, permit, queue_of, text_input
from ..message import Key
from ..text import plain, shorten, text

if TYPE_CHECKING:
    from PIL.Image import Image

#: Pixels and bytes that Discord takes.
EMOJI_SIDE, EMOJI_BYTES = 128, 256 * 1024
STICKER_SIDE, STICKER_BYTES = 320, 512 * 1024
NAME = re.compile(r"\w{2,32}", re.ASCII)
#: How far a pixel's channels may be from the background's colour, and still be background; of 255.
SAME = 32
#: Alpha below which a pixel does not count for how the drawing is cropped.
FAINT = 16
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


def cut_out(data: bytes, side: int, most: int) -> bytes:
    """A square PNG of that side and at most so many bytes: the drawing, cropped, its plain background transparent.

    Blocking.
    """
    from PIL import Image, ImageOps

    picture = Image.open(io.BytesIO(data)).convert("RGBA")
    if picture.getchannel("A").getextrema()[0] == 255:
        picture = without_ground(picture)
    picture = picture.crop(picture.getchannel("A").point([0] * FAINT + [255] * (256 - FAINT)).getbbox())
    # Pillow weighs colours by their alpha where it scales.
    square = ImageOps.pad(picture, (side, side), Image.Resampling.LANCZOS, color=(0, 0, 0, 0))
    for colours in (None, 256, 128, 64, 16):
        buffer = io.BytesIO()
        small = square if colours is None else square.quantize(colours)
        small.save(buffer, "PNG", optimize=True)
        if buffer.tell() <= most:
            break
    return buffer.getvalue()


def without_ground(picture: Image) -> Image:
    """RGBA whose plain background is transparent: what hangs together with the corners in their colour.

    Soft edges keep their own colour, not the background's share of it: C = (P − (1 − α) B) / α, with α from how far a
    pixel is from the background, against the farthest pixel near it. Where the corners differ, everything stays.
    """
    import numpy as np
    from PIL import Image, ImageDraw, ImageFilter

    flat = picture.convert("RGB")
    values = np.asarray(flat, np.float32)
    corners = values[[0, 0, -1, -1], [0, -1, 0, -1]]
    ground = np.median(corners, axis=0)
    if np.abs(corners - ground).max() > SAME:
        return picture
    distance = np.abs(values - ground).max(-1)
    near = Image.fromarray((distance <= SAME).astype(np.uint8) * 255).copy()
    width, height = flat.size
    for corner in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)):
        if near.getpixel(corner) == 255:
            ImageDraw.floodfill(near, corner, 128)
    reach = 2 * max(1, round(min(flat.size) / 100)) + 1
    outside = Image.fromarray((np.asarray(near) == 128).astype(np.uint8) * 255)
    # An edge lies as far from the background as the drawing behind it allows.
    edge = np.asarray(outside.filter(ImageFilter.MaxFilter(reach))) > 0
    farthest = np.asarray(Image.fromarray(distance.astype(np.uint8)).filter(ImageFilter.MaxFilter(reach)), np.float32)
    alpha = np.where(edge, distance / np.maximum(farthest, 1), 1.0)
    alpha[np.asarray(outside) > 0] = 0
    own = np.clip((values - (1 - alpha[..., None]) * ground) / np.maximum(alpha[..., None], 1e-3), 0, 255)
    made = np.concatenate([own, 255 * alpha[..., None]], -1)
    return Image.fromarray(made.round().astype(np.uint8))
