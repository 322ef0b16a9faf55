"""The form that says which part of a picture shall be drawn anew, and what shall be there."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Mapping
from typing import Any

import discord

from ...queue.errors import NotShown
from ...queue.records import MAX_PROMPT, ImageRequest, Job
from ..errors import Refused
from ..faults import explain
from ..imagine import fetch, is_blurred
from ..interaction import Interaction, SubmittedModal, locale_of, modal_id, open_modal, text_input
from ..text import text
from .region import propose

#: Rectangles that can be chosen, as left, top, right and bottom in percent of the picture.
PLACES: Mapping[str, tuple[int, int, int, int]] = {
    "middle": (25, 25, 75, 75),
    "left": (0, 0, 50, 100),
    "right": (50, 0, 100, 100),
    "top": (0, 0, 100, 50),
    "bottom": (0, 50, 100, 100),
}
_NUMBERS = re.compile(r"\D*(\d{1,3})\D+(\d{1,3})\D+(\d{1,3})\D+(\d{1,3})\D*")


async def open_region(interaction: Interaction, job: Job, picture: int) -> None:
    """Where, and what shall be there."""
    locale = locale_of(interaction)
    places = discord.ui.Select[Any](
        custom_id="place",
        required=False,
        options=[discord.SelectOption(label=text(f"form.place.{place}", locale), value=place) for place in PLACES],
    )
    await open_modal(
        interaction,
        text("form.region", locale),
        modal_id("region", job.id, picture),
        text_input(
            text("form.region.prompt", locale), "prompt", job.request.prompt,
            style=discord.TextStyle.paragraph, max_length=MAX_PROMPT,
        ),
        discord.ui.Label(text=text("form.place", locale), component=places),
        text_input(
            text("form.rectangle", locale), "rectangle", required=False, max_length=60, placeholder="25 25 75 75"
        ),
        discord.ui.Label(
            text=text("form.mask", locale),
            description=text("form.mask.about", locale),
            component=discord.ui.FileUpload(custom_id="mask", required=False, max_values=1),
        ),
    )  # fmt: skip


async def submit_region(interaction: Interaction, job: Job, form: SubmittedModal) -> None:
    """Show which part would be drawn anew, as a picture or a rectangle says. Raises: Refused."""
    picture = form.key.picture or 0
    if picture >= len(job.pictures):
        raise Refused("button.gone")
    box = None if "mask" in form.files else rectangle(form.word("rectangle"), form.word("place"))
    await interaction.response.defer(ephemeral=True, thinking=True)
    try:
        if box is None:
            data = await fetch(interaction, form.files["mask"])
        else:
            data = await asyncio.to_thread(mask_of, job.request, box)
        blurred = is_blurred(form.files.get("mask", ""))
        await propose(interaction, job, picture, form.word("prompt"), data, blurred=blurred)
    except (Refused, NotShown) as refusal:
        # The placeholder is private already: the refusal takes its place.
        await interaction.edit_original_response(content=explain(refusal, locale_of(interaction)))


def rectangle(typed: str, place: str) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in percent: as typed, else as chosen, else the middle. Pure. Raises: Refused."""
    if not typed.strip():
        return PLACES.get(place, PLACES["middle"])
    found = _NUMBERS.fullmatch(typed)
    left, top, right, bottom = (int(number) for number in found.groups()) if found else (0, 0, 0, 0)
    if not (left < right <= 100 and top < bottom <= 100):
        raise Refused("form.rectangle.bad")
    return left, top, right, bottom


def mask_of(request: ImageRequest, box: tuple[int, int, int, int]) -> bytes:
    """A PNG as large as the picture, white inside the box. Blocking."""
    from PIL import Image, ImageDraw

    mask = Image.new("L", (request.width, request.height), 0)
    left, top, right, bottom = box
    edges = (
        round(left * request.width / 100),
        round(top * request.height / 100),
        round(right * request.width / 100) - 1,
        round(bottom * request.height / 100) - 1,
    )
    ImageDraw.Draw(mask).rectangle(edges, fill=255)
    buffer = io.BytesIO()
    mask.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()
