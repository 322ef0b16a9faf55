"""/history and /favourites: a member's pictures, page by page."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from typing import Any, cast

import discord

from ...queue.errors import NotShown, QueueUnavailable, UnknownJob
from ...queue.moderation import Use
from ...queue.records import Job
from ..errors import Refused
from ..interaction import CommandTree, Component, Interaction, command, everywhere, locale_of, permit, queue_of
from ..message import alt_text
from ..text import text
from .gallery import PAGE, Entry, Kind, laid_out, small


def add_album(tree: CommandTree) -> None:
    """The commands /history and /favourites."""
    everywhere(command(tree, "history", history, "command.history"))
    everywhere(command(tree, "favourites", favourites, "command.favourites"))


async def history(interaction: Interaction) -> None:
    """The member's pictures, newest first."""
    await open_album(interaction, "history")


async def favourites(interaction: Interaction) -> None:
    """Those that the member marked."""
    await open_album(interaction, "favourites")


class PageButton(
    Component,
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=r"daguerre:page:(?P<kind>history|favourites):(?P<page>\d{1,5})",
):
    """Turns to a page of the presser's own album."""

    async def used(self, interaction: Interaction) -> None:
        await turn(interaction, cast("Kind", self.match["kind"]), int(self.match["page"]))


async def open_album(interaction: Interaction, kind: Kind) -> None:
    """The first page, for the member alone."""
    await interaction.response.defer(ephemeral=True, thinking=True)
    entries, number = await page_of(interaction, kind, 0)
    if not entries:
        await interaction.edit_original_response(content=text(f"album.{kind}.none", locale_of(interaction)))
        return
    await _show(interaction, kind, 0, entries, number)


async def turn(interaction: Interaction, kind: Kind, page: int) -> None:
    """Another page in the same message, which only its member sees. Raises: Refused."""
    if interaction.message is None or not interaction.message.flags.ephemeral:
        raise Refused("button.not_yours")
    await interaction.response.defer()
    entries, number = await page_of(interaction, kind, page)
    await _show(interaction, kind, page, entries, number)


async def page_of(interaction: Interaction, kind: Kind, page: int) -> tuple[list[Entry], int]:
    """The pictures of a page, and how many there are in all."""
    queue, member = queue_of(interaction), str(interaction.user.id)
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


async def entry(interaction: Interaction, job: Job, picture: int) -> Entry:
    """One picture as its viewer may see it."""
    queue = queue_of(interaction)
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


async def _show(interaction: Interaction, kind: Kind, page: int, entries: Sequence[Entry], number: int) -> None:
    locale = locale_of(interaction)
    files = [
        discord.File(io.BytesIO(entry.data), entry.file(place), description=alt_text(entry.job.request, locale))
        for place, entry in enumerate(entries)
        if entry.data is not None
    ]
    await interaction.edit_original_response(view=laid_out(kind, page, entries, number, locale), attachments=files)
