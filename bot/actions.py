"""What each button does. Only the member who asked, and moderators there, may press one; everybody may report, read
how a picture was made, and see what else there is.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import discord

from ..queue.errors import UnknownJob
from ..queue.moderation import NOBODY, Use
from ..queue.records import MAX_SEED, ImageRequest, Job, Source
from ..queue.store import ServerSettings
from .about import information
from .ask import Order, ask
from .buttons import view_of
from .cancel import cancel, may_moderate, may_touch
from .cards import one_picture_card
from .delivery import Attached
from .encode import fitting, ladder
from .errors import Refused
from .expressions import ask_name
from .faults import Verdict, verdict
from .forms import open_region, open_remix
from .keys import EMOJI, Key, more_rows
from .language import speaks
from .layout import laid_out, named
from .reports_form import ask_why
from .showing import as_permitted, permit
from .texts import text

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

#: Share of noise that a variation adds.
SUBTLE, STRONG = 0.35, 0.7
#: Longest side that a request may have, in pixels, and the grain of sides.
LONGEST, GRAIN = 1024, 64
#: Percent of a side by which a picture is drawn on.
PAN = 50


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button, the job it belongs to, and who pressed it."""

    interaction: Asked
    key: Key
    job: Job

    @property
    def picture(self) -> int:
        """From 0, and surely one that the job has."""
        return min(self.key.picture or 0, max(0, self.job.request.count - 1))

    @property
    def locale(self) -> str:
        return speaks(self.interaction)


async def press(interaction: Asked, key: Key) -> None:
    """Do what a button says.

    Raises:
        Refused: it is not theirs to press, or its job is gone.
    """
    if key.action == "cancel":
        await cancel(interaction, key.job)
        return
    if key.action in FOR_ALL:
        await FOR_ALL[key.action](interaction, key)
        return
    pressed = Pressed(interaction, key, await touched(interaction, key.job))
    await ACTIONS[key.action](pressed)


async def touched(interaction: Asked, job_id: str) -> Job:
    """The job, once it is certain that this member may do something with it. Raises: Refused."""
    job = await there(interaction, job_id)
    if not may_touch(interaction, job):
        raise Refused("button.not_yours")
    return job


async def there(interaction: Asked, job_id: str) -> Job:
    """The job. Raises: Refused when it is gone."""
    try:
        return await interaction.client.services.queue.job(job_id)
    except UnknownJob:
        raise Refused("button.gone") from None


# ---- new jobs


def varied(request: ImageRequest, picture: str, index: int, strength: float, seed: int) -> ImageRequest:
    """The picture of that name and number, noised and drawn again. Pure, as are the next four."""
    made = Source(use="vary", picture=picture, strength=strength, seed=set_out_by(request, index))
    return request.model_copy(update={"seed": seed, "source": made})


def set_out_by(request: ImageRequest, index: int) -> int | None:
    """The seed by which the things of that picture were set out, if they were; variations keep it."""
    return request.seeds[index] if request.source is None else request.source.seed


def drawn_on(
    request: ImageRequest, picture: str, expand: tuple[int, int, int, int], seed: int, *, grow: bool
) -> ImageRequest:
    """Drawn on beyond its edges by `expand`; with `grow` the delivered picture is larger by as much."""
    width, height = request.width, request.height
    if grow:
        width = _side(width * (100 + expand[0] + expand[2]) / 100)
        height = _side(height * (100 + expand[1] + expand[3]) / 100)
    made = Source(use="outpaint", picture=picture, expand=expand, strength=1.0)
    return request.model_copy(update={"seed": seed, "count": 1, "width": width, "height": height, "source": made})


def enlarged(request: ImageRequest, picture: str, index: int) -> ImageRequest:
    """The same picture, twice as large.

    Raises:
        Refused: it is as large as can be.
    """
    width, height = _side(request.width * 2), _side(request.height * 2)
    if max(request.width, request.height) * 2 > LONGEST:
        raise Refused("button.largest", limit=LONGEST)
    # Nothing is added to it, so nothing is redrawn: the worker's upscaler makes it larger.
    kept = Source(use="vary", picture=picture, strength=0.0, seed=set_out_by(request, index))
    changes = {"seed": request.seeds[index], "count": 1, "width": width, "height": height, "source": kept}
    return request.model_copy(update=changes)


def _side(pixels: float) -> int:
    return max(GRAIN, min(LONGEST, round(pixels / GRAIN) * GRAIN))


def new_seed() -> int:
    return random.randrange(MAX_SEED + 1)


async def begun_from(pressed: Pressed, use: Use = Use.SOURCE) -> str:
    """Name of the pressed picture in the store, once it is certain that it may be used. Raises: NotShown, Refused."""
    given = await permit(pressed.interaction, use, pressed.job)
    if pressed.picture >= len(given.job.pictures):
        raise Refused("button.gone")
    return given.job.pictures[pressed.picture]


async def _order(pressed: Pressed, request: ImageRequest) -> None:
    order = Order(request, pressed.job.lane, (pressed.job.id, pressed.picture, pressed.key.action))

    async def make(_: ServerSettings) -> list[Order]:
        return [order]

    await ask(pressed.interaction, make)


async def again(pressed: Pressed) -> None:
    await _order(pressed, pressed.job.request.model_copy(update={"seed": new_seed()}))


async def vary(pressed: Pressed) -> None:
    strength = SUBTLE if pressed.key.action == "subtle" else STRONG
    await _order(pressed, varied(pressed.job.request, await begun_from(pressed), pressed.picture, strength, new_seed()))


async def upscale(pressed: Pressed) -> None:
    await _order(pressed, enlarged(pressed.job.request, await begun_from(pressed), pressed.picture))


async def zoom(pressed: Pressed) -> None:
    # A frame of a quarter on each side makes one and a half of the picture, of a half makes two.
    edge = 25 if pressed.key.action == "zoom15" else 50
    expand = (edge, edge, edge, edge)
    await _order(pressed, drawn_on(pressed.job.request, await begun_from(pressed), expand, new_seed(), grow=False))


async def pan(pressed: Pressed) -> None:
    place = ("left", "up", "right", "down").index(pressed.key.action)
    left, top, right, bottom = (PAN if n == place else 0 for n in range(4))
    expand = (left, top, right, bottom)
    await _order(pressed, drawn_on(pressed.job.request, await begun_from(pressed), expand, new_seed(), grow=True))


# ---- what is there


async def use(pressed: Pressed) -> None:
    """One picture of the grid as a message of its own, for all or for the member alone, as the gate says."""
    interaction, job, queue = pressed.interaction, pressed.job, pressed.interaction.client.services.queue
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


async def send_files(
    interaction: Asked, content: str, parts: tuple[Attached, ...], view: discord.ui.View | None
) -> int:
    """Fill the deferred answer with files, made smaller until Discord takes them; gives its message's id.

    Raises:
        Refused: it takes none.
    """
    steps = ladder(tuple(part.data for part in parts))
    while (encoded := await fitting(steps, interaction.filesize_limit)) is not None:
        try:
            sent = await interaction.edit_original_response(
                content=content,
                attachments=[attached.file() for attached in named(parts, encoded)],
                view=view,
                allowed_mentions=discord.AllowedMentions.none(),
            )
        except discord.HTTPException as error:
            if verdict(error) is not Verdict.SMALLER:
                raise
        else:
            return sent.id
    raise Refused("button.too_large")


async def like(pressed: Pressed) -> None:
    """A second press takes it back. A grid's button is about all its pictures."""
    members, member = pressed.interaction.client.services.queue.members, str(pressed.interaction.user.id)
    every = range(pressed.job.request.count) if pressed.key.picture is None else (pressed.picture,)
    liked = not all([await members.likes(member, pressed.job.id, picture) for picture in every])
    for picture in every:
        await members.like(member, pressed.job.id, picture, liked)
    code = "button.liked" if liked else "button.unliked"
    await pressed.interaction.response.send_message(text(code, pressed.locale), ephemeral=True)


async def remix(pressed: Pressed) -> None:
    await permit(pressed.interaction, Use.WORDS, pressed.job)
    await open_remix(pressed.interaction, pressed.job, pressed.picture)


async def region(pressed: Pressed) -> None:
    await begun_from(pressed)
    await open_region(pressed.interaction, pressed.job, pressed.picture)


async def expression(pressed: Pressed) -> None:
    await begun_from(pressed, Use.EXPRESSION)
    await ask_name(pressed.interaction, replace(pressed.key, picture=pressed.picture))


# ---- for everybody who sees the message


async def info(interaction: Asked, key: Key) -> None:
    """As the entry in the menu of the message: who sees the picture may know. Raises: NotShown, Refused."""
    job = await there(interaction, key.job)
    await permit(interaction, Use.WORDS, job)
    said = await information(interaction, job, key.picture)
    await interaction.response.send_message(said, ephemeral=True, allowed_mentions=discord.AllowedMentions.none())


async def more(interaction: Asked, key: Key) -> None:
    """What else can be done with the picture, for the presser alone. Raises: Refused."""
    job, locale = await there(interaction, key.job), speaks(interaction)
    rows = more_rows(job.id, key.picture, theirs=may_touch(interaction, job), report=interaction.guild_id is not None)
    await interaction.response.send_message(
        text("more.title", locale), view=view_of(rows, locale) or discord.utils.MISSING, ephemeral=True
    )


async def delete(interaction: Asked, key: Key) -> None:
    """The message with its pictures; the job stays in the member's history. Raises: Refused."""
    try:
        job = await interaction.client.services.queue.job(key.job)
    except UnknownJob:
        job = None
    if not may_delete(interaction, job):
        raise Refused("button.not_yours")
    await interaction.response.defer()
    await interaction.delete_original_response()


def may_delete(interaction: Asked, job: Job | None) -> bool:
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


FOR_ALL: Mapping[str, Callable[[Asked, Key], Awaitable[None]]] = {
    "report": ask_why,
    "info": info,
    "more": more,
    "delete": delete,
}
ACTIONS: Mapping[str, Callable[[Pressed], Awaitable[None]]] = {
    "use": use,
    "vary": vary,
    "again": again,
    "remix": remix,
    "subtle": vary,
    "strong": vary,
    "region": region,
    "upscale": upscale,
    "zoom15": zoom,
    "zoom20": zoom,
    "left": pan,
    "right": pan,
    "up": pan,
    "down": pan,
    "like": like,
    "emoji": expression,
    "sticker": expression,
}
assert {"cancel", *FOR_ALL, *ACTIONS} == set(EMOJI)
