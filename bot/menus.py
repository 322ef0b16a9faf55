"""Context menus of a message: its picture as a prompt, and what is known about it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from ..queue.control import Queue
from ..queue.errors import UnknownJob
from ..queue.moderation import Use
from ..queue.records import Job
from .about import information
from .errors import Refused
from .forms import TYPED, field, show
from .guard import guarded
from .imagine import handle
from .keys import TEMPLATE
from .language import speaks
from .showing import asker_of, permit, place_of
from .texts import text
from .wishes import Beginning

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

_START = re.compile(r"daguerre:start:(?P<draft>[0-9a-f]{16}):[0-9a-f]{8}")
_KEY = re.compile(TEMPLATE)


def add_menus(tree: app_commands.CommandTree[DaguerreClient]) -> None:
    """The entries as Discord shows them."""

    @tree.context_menu(name=text("name.menu.prompt"))
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def prompt(interaction: discord.Interaction[DaguerreClient], message: discord.Message) -> None:
        await guarded(interaction, lambda: open_start(interaction, message))

    @tree.context_menu(name=text("name.menu.info"))
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def info(interaction: discord.Interaction[DaguerreClient], message: discord.Message) -> None:
        await guarded(interaction, lambda: tell_about(interaction, message))


async def open_start(interaction: Asked, message: discord.Message) -> None:
    """Ask what shall be made of the picture. Raises: Refused when there is none."""
    pictures = [file for file in message.attachments if (file.content_type or "").startswith("image/")]
    if not pictures:
        raise Refused("menu.no_picture")
    locale, queue = speaks(interaction), interaction.client.services.queue
    blurred = pictures[0].is_spoiler()
    if (job := await job_of_message(queue, message, interaction.application_id)) is not None:
        asker = replace(asker_of(interaction), sees=True)
        blurred |= (await queue.showing.permit(Use.SOURCE, job, await place_of(interaction), asker)).blurred
    content = {"link": pictures[0].url, "blurred": blurred}
    draft = await interaction.client.services.queue.members.keep_draft(str(interaction.user.id), content)
    prompt = field(text("form.prompt", locale), "prompt", style=discord.TextStyle.paragraph, max_length=TYPED)
    await show(interaction, text("form.start", locale), f"daguerre:start:{draft}:{secrets.token_hex(4)}", prompt)


def start_draft(custom_id: str) -> str | None:
    """The draft that a modal's id names; None for another modal. Pure."""
    found = _START.fullmatch(custom_id)
    return found["draft"] if found else None


async def start(interaction: Asked, draft: str, prompt: str) -> None:
    """The prompt came back. Raises: Refused."""
    content = await interaction.client.services.queue.members.take_draft(draft, str(interaction.user.id))
    if content is None:
        raise Refused("confirm.gone")
    begun = Beginning(blurred=bool(content.get("blurred")))
    await handle(interaction, prompt, {}, link=str(content["link"]), begun=begun)


async def tell_about(interaction: Asked, message: discord.Message) -> None:
    """What is known about a message of ours. Who sees the picture may know. Raises: Refused."""
    job = await job_of_message(interaction.client.services.queue, message, interaction.application_id)
    if job is None:
        raise Refused("menu.not_ours")
    await permit(interaction, Use.WORDS, job)
    await interaction.response.send_message(
        await information(interaction, job), ephemeral=True, allowed_mentions=discord.AllowedMentions.none()
    )


async def job_of_message(queue: Queue, message: discord.Message, application: int | None) -> Job | None:
    """The job that a message of this bot shows, by its buttons or by its number; None for any other message."""
    if message.author.id != application and message.application_id != application:
        return None
    for custom_id in _custom_ids(message.components):
        found = _KEY.fullmatch(custom_id)
        if found is not None:
            try:
                return await queue.job(found["job"])
            except UnknownJob:
                return None
    return None


def _custom_ids(parts: Iterable[Any]) -> Iterable[str]:
    for part in parts:
        if custom_id := getattr(part, "custom_id", None):
            yield str(custom_id)
        yield from _custom_ids(getattr(part, "children", ()))
