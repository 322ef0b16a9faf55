"""Buttons for the member who asked, and for moderators there: pictures made of a picture, and what else is done."""

from __future__ import annotations

from dataclasses import dataclass, replace

import discord

from ...queue.asking import PAN, STRONG, SUBTLE, new_seed, outpainted, upscaled, varied
from ...queue.moderation import Use
from ...queue.records import ImageRequest, Job, largest_of
from ...queue.store import ServerSettings
from ..errors import Refused
from ..faults import Verdict, verdict
from ..imagine import Order, ask
from ..interaction import Interaction, answer, locale_of, permit, queue_of
from ..message import Attached, Key, as_permitted, fitting, ladder, laid_out, named, one_picture_card, vectors, view_of
from ..text import text
from .expressions import open_expression_form
from .region_form import open_region
from .remix import open_remix


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button, the job it belongs to, and who pressed it."""

    interaction: Interaction
    key: Key
    job: Job

    @property
    def picture(self) -> int:
        """From 0, and surely one that the job has."""
        return min(self.key.picture or 0, max(0, self.job.request.count - 1))

    @property
    def locale(self) -> str:
        return locale_of(self.interaction)


async def begun_from(pressed: Pressed, use: Use = Use.SOURCE) -> str:
    """Name of the pressed picture in the store, once it is certain that it may be used. Raises: NotShown, Refused."""
    given = await permit(pressed.interaction, use, pressed.job)
    if pressed.picture >= len(given.job.pictures):
        raise Refused("button.gone")
    return given.job.pictures[pressed.picture]


async def _order(pressed: Pressed, request: ImageRequest) -> None:
    order = Order(request, pressed.job.priority, (pressed.job.id, pressed.picture, pressed.key.action))

    async def make(_: ServerSettings) -> list[Order]:
        return [order]

    await ask(pressed.interaction, make)


async def _most(pressed: Pressed) -> int:
    """Pixels of the largest picture that who draws this model now draws as large as it is."""
    return largest_of(await queue_of(pressed.interaction).workers(), pressed.job.request.model)


async def again(pressed: Pressed) -> None:
    await _order(pressed, pressed.job.request.model_copy(update={"seed": new_seed()}))


async def vary(pressed: Pressed) -> None:
    strength = SUBTLE if pressed.key.action == "subtle" else STRONG
    await _order(pressed, varied(pressed.job.request, await begun_from(pressed), pressed.picture, strength, new_seed()))


async def upscale(pressed: Pressed) -> None:
    name = await begun_from(pressed)
    await _order(pressed, upscaled(pressed.job.request, name, pressed.picture, await _most(pressed)))


async def zoom(pressed: Pressed) -> None:
    # A frame of a quarter on each side makes one and a half of the picture, of a half makes two.
    edge = 25 if pressed.key.action == "zoom15" else 50
    expand = (edge, edge, edge, edge)
    await _order(pressed, outpainted(pressed.job.request, await begun_from(pressed), expand, new_seed(), grow=False))


async def pan(pressed: Pressed) -> None:
    place = ("left", "up", "right", "down").index(pressed.key.action)
    left, top, right, bottom = (PAN if n == place else 0 for n in range(4))
    expand = (left, top, right, bottom)
    name, most = await begun_from(pressed), await _most(pressed)
    await _order(pressed, outpainted(pressed.job.request, name, expand, new_seed(), grow=True, most=most))


async def use(pressed: Pressed) -> None:
    """One picture of the grid as a message of its own, for all or for the member alone, as the gate says."""
    interaction, job, queue = pressed.interaction, pressed.job, queue_of(pressed.interaction)
    given = await permit(interaction, Use.POST, job)
    if pressed.picture >= len(job.pictures):
        raise Refused("button.gone")
    alone = given.private or queue.members.known(str(interaction.user.id)).private
    await interaction.response.defer(thinking=True, ephemeral=alone)
    data = (await queue.pictures(given))[pressed.picture]
    request = job.request.model_copy(update={"count": 1, "seed": job.request.seeds[pressed.picture]})
    card = one_picture_card(job, pressed.picture, pressed.locale, alone=given.private)
    parts = as_permitted(given, laid_out(request, [data], "single", pressed.locale))
    message = await send_files(interaction, card.content, parts, view_of(card.rows, card.locale))
    if not alone and interaction.guild_id is not None and interaction.channel_id is not None:
        await queue.moderation.store.copied(job.id, str(interaction.guild_id), interaction.channel_id, message)


async def vector(pressed: Pressed) -> None:
    """The picture as SVG, for the presser alone."""
    interaction, job = pressed.interaction, pressed.job
    given = await permit(interaction, Use.LOOK, job)
    if pressed.picture >= len(job.pictures):
        raise Refused("button.gone")
    await interaction.response.defer(thinking=True, ephemeral=True)
    data = (await queue_of(interaction).pictures(given))[pressed.picture]
    request = job.request.model_copy(update={"count": 1, "seed": job.request.seeds[pressed.picture]})
    (file,) = as_permitted(given, await vectors(request, [data], pressed.locale))
    if len(file.data) > interaction.filesize_limit:
        raise Refused("button.too_large")
    await interaction.edit_original_response(attachments=[file.file()])


async def send_files(
    interaction: Interaction, content: str, parts: tuple[Attached, ...], view: discord.ui.View | None
) -> int:
    """Fill the deferred answer with files, made smaller until Discord takes them; gives its message's id.

    Raises:
        Refused: it takes none.
    """
    steps = ladder(tuple(part.data for part in parts))
    while (encoded := await fitting(steps, interaction.filesize_limit)) is not None:
        try:
            sent = await interaction.edit_original_response(
                content=content, attachments=[attached.file() for attached in named(parts, encoded)], view=view
            )
        except discord.HTTPException as error:
            if verdict(error) is not Verdict.SMALLER:
                raise
        else:
            return sent.id
    raise Refused("button.too_large")


async def like(pressed: Pressed) -> None:
    """A second press takes it back. A grid's button is about all its pictures."""
    members, member = queue_of(pressed.interaction).members, str(pressed.interaction.user.id)
    every = range(pressed.job.request.count) if pressed.key.picture is None else (pressed.picture,)
    liked = not all([await members.likes(member, pressed.job.id, picture) for picture in every])
    for picture in every:
        await members.like(member, pressed.job.id, picture, liked)
    code = "button.liked" if liked else "button.unliked"
    await answer(pressed.interaction, text(code, pressed.locale))


async def remix(pressed: Pressed) -> None:
    await permit(pressed.interaction, Use.WORDS, pressed.job)
    await open_remix(pressed.interaction, pressed.job, pressed.picture)


async def region(pressed: Pressed) -> None:
    await begun_from(pressed)
    await open_region(pressed.interaction, pressed.job, pressed.picture)


async def expression(pressed: Pressed) -> None:
    await begun_from(pressed, Use.EXPRESSION)
    await open_expression_form(pressed.interaction, replace(pressed.key, picture=pressed.picture))
