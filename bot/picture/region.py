"""Redrawing a part of a picture: the member alone sees which part it is, and then says that it shall be drawn."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from typing import Any

import discord

from ...queue.asking import new_seed, redrawn
from ...queue.errors import InvalidPicture
from ...queue.moderation import Use
from ...queue.pictures import mask
from ...queue.records import Job
from ...queue.store import ServerSettings
from ..errors import Refused
from ..imagine import Order, ask, keep_bytes, unusable
from ..interaction import (
    PROPOSAL,
    Component,
    Interaction,
    actionable_job,
    keep_proposal,
    locale_of,
    permit,
    proposal_button,
    queue_of,
    take_proposal,
)
from ..message import Attached, as_permitted, view_with
from ..text import text

#: Colour of what is drawn anew, and how much of it covers the picture, of 255.
TINT, COVER = (255, 0, 80), 150


class RegionButton(
    Component, discord.ui.DynamicItem[discord.ui.Button[Any]], template=rf"daguerre:(?P<what>paint|swap):{PROPOSAL}"
):
    """Draw what the proposal says, or take the other part."""

    async def used(self, interaction: Interaction) -> None:
        content = await take_proposal(interaction, self.match["proposal"])
        await (swap if self.match["what"] == "swap" else paint)(interaction, content)


async def propose(
    interaction: Interaction, job: Job, picture: int, prompt: str, data: bytes, *, blurred: bool = False
) -> None:
    """Show where `data`, the file of a mask, has the picture drawn anew. The interaction has been deferred, privately.

    `blurred`: the mask is behind a spoiler where it came from.

    Raises:
        Refused: it cannot be used as a mask.
        NotShown: the picture may not be looked at, or not here.
    """
    given = await permit(interaction, Use.LOOK, job)
    queue, locale = queue_of(interaction), locale_of(interaction)
    size = (job.request.width, job.request.height)
    marked = await asyncio.to_thread(_mask, data, size)
    name = await keep_bytes(interaction, marked)
    content = {"job": job.id, "picture": picture, "mask": name, "prompt": prompt, "blurred": blurred}
    proposal = await keep_proposal(interaction, content)
    whole = (await queue.pictures(given))[picture]
    shown, everything = await asyncio.to_thread(preview, whole, marked)
    buttons = [proposal_button("paint", proposal, text("region.paint", locale))]
    if not everything:
        grey = discord.ButtonStyle.secondary
        buttons.append(proposal_button("swap", proposal, text("region.swap", locale), grey))
    (part,) = as_permitted(given, (Attached("region.jpg", shown, text("region.alt", locale)),))
    await interaction.edit_original_response(
        content=text("region.look", locale), attachments=[part.file()], view=view_with(buttons)
    )


async def swap(interaction: Interaction, content: Mapping[str, Any]) -> None:
    """Propose to draw all that would have stayed instead. Raises: Refused."""
    job, picture = await _job_and_picture(interaction, content)
    await interaction.response.defer()
    kept = await queue_of(interaction).source(str(content["mask"]))
    turned = await asyncio.to_thread(_mask, kept, (job.request.width, job.request.height), swapped=True)
    blurred = bool(content.get("blurred"))
    await propose(interaction, job, picture, str(content["prompt"]), turned, blurred=blurred)


async def paint(interaction: Interaction, content: Mapping[str, Any]) -> None:
    """The member has seen it and wants it. Raises: Refused."""
    job, picture = await _job_and_picture(interaction, content)

    async def make(_: ServerSettings) -> list[Order]:
        return [order_of(job, picture, content)]

    await ask(interaction, make)


async def _job_and_picture(interaction: Interaction, content: Mapping[str, Any]) -> tuple[Job, int]:
    job, picture = await actionable_job(interaction, str(content["job"])), int(content["picture"])
    if picture >= len(job.pictures):
        raise Refused("button.gone")
    return job, picture


def order_of(job: Job, picture: int, content: Mapping[str, Any]) -> Order:
    """The picture again, with its part drawn anew. Raises: InvalidRequest."""
    mask_name = str(content["mask"])
    request = redrawn(job.request, job.pictures[picture], mask_name, str(content["prompt"]), new_seed())
    origin = (job.id, picture, "region")
    return Order(request, job.priority, origin, brought=(mask_name,), blurred=bool(content.get("blurred")))


def preview(picture: bytes, marks: bytes) -> tuple[bytes, bool]:
    """A JPEG of the picture with what is white in the mask coloured, and whether that is everything. Blocking."""
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as file, Image.open(io.BytesIO(marks)) as mask_file:
        whole = file.convert("RGBA")
        again = mask_file.convert("L").resize(whole.size, Image.Resampling.NEAREST)
    shown = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")
    tinted = Image.blend(shown, Image.new("RGB", shown.size, TINT), COVER / 255)
    buffer = io.BytesIO()
    Image.composite(tinted, shown, again).save(buffer, "JPEG", quality=90)
    return buffer.getvalue(), again.getextrema() == (255, 255)


def _mask(data: bytes, size: tuple[int, int], *, swapped: bool = False) -> bytes:
    try:
        return mask(data, size, swapped=swapped)
    except InvalidPicture as problem:
        raise unusable(problem) from None
