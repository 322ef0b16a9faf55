"""/history and /favourites: a member's pictures, six on a page, as a gallery.

Components V2: the message is its components, so pictures, words and buttons stand in one order on every screen.
"""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import discord
from discord import app_commands

from ..queue.errors import NotShown, QueueUnavailable, UnknownJob
from ..queue.moderation import Use
from ..queue.records import Job
from .buttons import PictureButton
from .cards import alt_text, short_id, shown
from .errors import Refused
from .guard import guarded
from .keys import Key
from .language import speaks
from .showing import permit
from .texts import text

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

Kind = Literal["history", "favourites"]
PAGE = 6
#: Longest side of a picture in the gallery, in pixels.
SMALL = 256
PROMPT = 70


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of an album; `picture` counts from 0."""

    job: Job
    picture: int
    #: A small WebP; None where it is not to be seen.
    data: bytes | None
    blurred: bool = False
    #: Why not, as the gate says it (queue/moderation/showing.py).
    why: str = ""

    def file(self, place: int) -> str:
        """What it is called in the message; Discord blurs by the name."""
        return f"{'SPOILER_' if self.blurred else ''}{place}.webp"


def add_album(tree: app_commands.CommandTree[DaguerreClient]) -> None:
    """Both commands as Discord shows them."""

    @tree.command(name="history", description=text("command.history"))
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def history(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: open_album(interaction, "history"))

    @tree.command(name="favourites", description=text("command.favourites"))
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def favourites(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: open_album(interaction, "favourites"))


class PageButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=r"daguerre:page:(?P<kind>history|favourites):(?P<page>\d{1,5})",
):
    """Turns to a page of the presser's own album."""

    def __init__(self, kind: Kind, page: int, label: str = "…", *, disabled: bool = False) -> None:
        super().__init__(discord.ui.Button(label=label, custom_id=f"daguerre:page:{kind}:{page}", disabled=disabled))
        self.kind: Kind = kind
        self.page = page

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls("history" if match["kind"] == "history" else "favourites", int(match["page"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await guarded(interaction, lambda: turn(interaction, self.kind, self.page))


async def open_album(interaction: Asked, kind: Kind) -> None:
    """The first page, for the member alone."""
    await interaction.response.defer(ephemeral=True, thinking=True)
    entries, number = await page_of(interaction, kind, 0)
    if not entries:
        await interaction.edit_original_response(content=text(f"album.{kind}.none", speaks(interaction)))
        return
    await _show(interaction, kind, 0, entries, number)


async def turn(interaction: Asked, kind: Kind, page: int) -> None:
    """Another page in the same message, which only its member sees. Raises: Refused."""
    if interaction.message is None or not interaction.message.flags.ephemeral:
        raise Refused("button.not_yours")
    await interaction.response.defer()
    entries, number = await page_of(interaction, kind, page)
    await _show(interaction, kind, page, entries, number)


async def page_of(interaction: Asked, kind: Kind, page: int) -> tuple[list[Entry], int]:
    """The pictures of a page, and how many there are in all."""
    queue, member = interaction.client.services.queue, str(interaction.user.id)
    found: list[tuple[Job, int]] = []
    if kind == "history":
        found, number = await queue.members.pictures(member, PAGE, page * PAGE)
    else:
        liked, number = await queue.members.favourites(member, PAGE, page * PAGE)
        for one in liked:
            try:
                found.append((await queue.job(one.job), one.picture))
            except UnknownJob:
                continue
    return [await entry(interaction, job, picture) for job, picture in found], number


async def entry(interaction: Asked, job: Job, picture: int) -> Entry:
    """One picture as its viewer may see it."""
    queue = interaction.client.services.queue
    try:
        given = await permit(interaction, Use.LOOK, job)
        pictures = await queue.pictures(given)
    except NotShown as refusal:
        return Entry(job, picture, None, why=refusal.why)
    except QueueUnavailable:
        return Entry(job, picture, None, why="gone")
    if picture >= len(pictures):
        return Entry(job, picture, None, why="gone")
    return Entry(job, picture, await asyncio.to_thread(small, pictures[picture]), given.blurred)


async def _show(interaction: Asked, kind: Kind, page: int, entries: Sequence[Entry], number: int) -> None:
    locale = speaks(interaction)
    files = [
        discord.File(io.BytesIO(entry.data), entry.file(place), description=alt_text(entry.job.request, locale))
        for place, entry in enumerate(entries)
        if entry.data is not None
    ]
    await interaction.edit_original_response(
        view=laid_out(kind, page, entries, number, locale),
        attachments=files,
        allowed_mentions=discord.AllowedMentions.none(),
    )


def laid_out(kind: Kind, page: int, entries: Sequence[Entry], number: int, locale: str) -> discord.ui.LayoutView:
    """Title, gallery, one line and one button for each picture, and the buttons that turn pages."""
    pages = max(1, -(-number // PAGE))
    view = discord.ui.LayoutView(timeout=None)
    lines = [text(f"album.{kind}", locale, count=number)]
    for place, entry in enumerate(entries):
        lines.append(_line(place + 1, entry, locale))
    view.add_item(discord.ui.TextDisplay("\n".join(lines)))
    gallery = [
        discord.MediaGalleryItem(
            f"attachment://{entry.file(place)}",
            description=alt_text(entry.job.request, locale),
            spoiler=entry.blurred,
        )
        for place, entry in enumerate(entries)
        if entry.data is not None
    ]
    if gallery:
        view.add_item(discord.ui.MediaGallery(*gallery))
    buttons: list[Any] = []
    for place, entry in enumerate(entries):
        button: PictureButton = PictureButton(Key("use", entry.job.id, entry.picture), locale)
        button.item.label = str(place + 1)
        button.item.disabled = entry.data is None
        buttons.append(button)
    for start in range(0, len(buttons), 3):
        view.add_item(discord.ui.ActionRow[Any](*buttons[start : start + 3]))
    if pages > 1:
        back: Any = PageButton(kind, max(0, page - 1), text("album.newer", locale), disabled=page == 0)
        # The two ids must differ even where neither button can be pressed.
        on: Any = PageButton(kind, page + 1, text("album.older", locale), disabled=page + 1 >= pages)
        view.add_item(discord.ui.ActionRow[Any](back, on))
    return view


def _line(number: int, entry: Entry, locale: str) -> str:
    """A picture of somebody else that may not be seen any more has no words either."""
    job = short_id(entry.job)
    prompt = "…" if entry.why == "not_yours" else shown(entry.job.request.prompt, PROMPT)
    if not entry.why:
        return text("album.line", locale, number=number, prompt=prompt, job=job)
    why = text(f"shown.{entry.why}", locale)
    return text("album.line.kept", locale, number=number, prompt=prompt, job=job, why=why)


def small(data: bytes) -> bytes:
    """A WebP for the gallery. Blocking."""
    from PIL import Image

    picture = Image.open(io.BytesIO(data))
    picture.thumbnail((SMALL, SMALL))
    buffer = io.BytesIO()
    picture.convert("RGBA" if picture.has_transparency_data else "RGB").save(buffer, "WEBP", quality=85)
    return buffer.getvalue()
