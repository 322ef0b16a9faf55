"""Redrawing a part of a picture: the member alone sees which part it is, and then says that it shall be drawn."""

from __future__ import annotations

import asyncio
import io
import random
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import discord

from ..queue.errors import InvalidPicture
from ..queue.moderation import Use
from ..queue.pictures import mask
from ..queue.records import MAX_SEED, Job, Source, image_request
from ..queue.store import ServerSettings
from .ask import Order, ask
from .delivery import Attached
from .errors import Refused
from .guard import guarded
from .language import speaks
from .pictures import keep_bytes, unusable
from .showing import as_permitted, permit
from .texts import ENGLISH, text

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

#: Colour of what is drawn anew, and how much of it covers the picture, of 255.
TINT, COVER = (255, 0, 80), 150
What = Literal["paint", "swap"]


class RegionButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"daguerre:(?P<what>paint|swap):(?P<draft>[0-9a-f]{16})",
):
    """Draw what the draft says, or take the other part."""

    def __init__(self, what: What, draft: str, locale: str = ENGLISH) -> None:
        super().__init__(
            discord.ui.Button(
                label=text("region.paint" if what == "paint" else "region.swap", locale),
                style=discord.ButtonStyle.primary if what == "paint" else discord.ButtonStyle.secondary,
                custom_id=f"daguerre:{what}:{draft}",
            )
        )
        self.what: What = what
        self.draft = draft

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(cast("What", match["what"]), match["draft"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        typed: discord.Interaction[DaguerreClient] = interaction
        await guarded(interaction, lambda: pressed(typed, self.what, self.draft))


async def propose(
    interaction: Asked, job: Job, picture: int, prompt: str, data: bytes, *, blurred: bool = False
) -> None:
    """Show where `data`, the file of a mask, has the picture drawn anew. The interaction has been deferred, privately.

    `blurred`: the mask is behind a spoiler where it came from.

    Raises:
        Refused: it cannot be used as a mask.
        NotShown: the picture may not be looked at, or not here.
    """
    given = await permit(interaction, Use.LOOK, job)
    services, locale = interaction.client.services, speaks(interaction)
    size = (job.request.width, job.request.height)
    marked = await asyncio.to_thread(_mask, data, size)
    name = await keep_bytes(interaction, marked)
    content = {"job": job.id, "picture": picture, "mask": name, "prompt": prompt, "blurred": blurred}
    draft = await services.queue.members.keep_draft(str(interaction.user.id), content)
    whole = (await services.queue.pictures(given))[picture]
    shown, everything = await asyncio.to_thread(preview, whole, marked)
    view = discord.ui.View(timeout=None)
    view.add_item(RegionButton("paint", draft, locale))
    if not everything:
        view.add_item(RegionButton("swap", draft, locale))
    (part,) = as_permitted(given, (Attached("region.jpg", shown, text("region.alt", locale)),))
    file = discord.File(io.BytesIO(part.data), part.name, description=part.description)
    await interaction.edit_original_response(content=text("region.look", locale), attachments=[file], view=view)


async def pressed(interaction: Asked, what: What, draft: str) -> None:
    """The member has seen it. Raises: Refused."""
    from .actions import touched  # imports forms.py, which imports this file

    services = interaction.client.services
    content = await services.queue.members.take_draft(draft, str(interaction.user.id))
    if content is None:
        raise Refused("confirm.gone")
    job, picture = await touched(interaction, str(content["job"])), int(content["picture"])
    if picture >= len(job.pictures):
        raise Refused("button.gone")
    if what == "swap":
        await interaction.response.defer()
        kept = await services.queue.source(str(content["mask"]))
        turned = await asyncio.to_thread(_mask, kept, (job.request.width, job.request.height), swapped=True)
        blurred = bool(content.get("blurred"))
        await propose(interaction, job, picture, str(content["prompt"]), turned, blurred=blurred)
        return

    async def make(_: ServerSettings) -> list[Order]:
        return [order_of(job, picture, content)]

    await ask(interaction, make)


def order_of(job: Job, picture: int, content: Mapping[str, Any]) -> Order:
    """The picture again, with its part drawn anew. Raises: InvalidRequest."""
    mask_name = str(content["mask"])
    source = Source(use="inpaint", picture=job.pictures[picture], mask=mask_name, strength=1.0)
    given = {**job.request.model_dump(exclude={"version", "source"}), "prompt": str(content["prompt"]), "parts": ()}
    request = image_request(**{**given, "source": source, "seed": random.randrange(MAX_SEED + 1)})
    origin = (job.id, picture, "region")
    return Order(request, job.lane, origin, brought=(mask_name,), blurred=bool(content.get("blurred")))


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
