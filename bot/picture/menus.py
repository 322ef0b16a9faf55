"""Context menus of a message: its picture as a prompt, and what is known about it."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace

import discord

from ...queue.moderation import Use
from ..errors import Refused
from ..imagine import Beginning, handle_prompt
from ..interaction import (
    PROPOSAL,
    TYPED,
    CommandTree,
    Interaction,
    answer,
    asker_of,
    everywhere,
    keep_proposal,
    locale_of,
    menu,
    open_modal,
    permit,
    place_of,
    queue_of,
    take_proposal,
    text_input,
)
from ..message import job_of_message
from ..text import text
from .information import information

_START = re.compile(rf"daguerre:start:{PROPOSAL}:[0-9a-f]{{8}}")


def add_menus(tree: CommandTree) -> None:
    """Both entries."""
    tree.add_command(everywhere(menu("name.menu.prompt", open_start_form)))
    tree.add_command(everywhere(menu("name.menu.info", show_information)))


async def open_start_form(interaction: Interaction, message: discord.Message) -> None:
    """Ask what shall be made of the picture. Raises: Refused when there is none."""
    pictures = [file for file in message.attachments if (file.content_type or "").startswith("image/")]
    if not pictures:
        raise Refused("menu.no_picture")
    locale, queue = locale_of(interaction), queue_of(interaction)
    blurred = pictures[0].is_spoiler()
    if (job := await job_of_message(queue, message, interaction.application_id)) is not None:
        asker = replace(asker_of(interaction), sees=True)
        blurred |= (await queue.showing.permit(Use.SOURCE, job, await place_of(interaction), asker)).blurred
    content = {"link": pictures[0].url, "blurred": blurred}
    name = await keep_proposal(interaction, content)
    prompt = text_input(text("form.prompt", locale), "prompt", style=discord.TextStyle.paragraph, max_length=TYPED)
    await open_modal(interaction, text("form.start", locale), f"daguerre:start:{name}:{secrets.token_hex(4)}", prompt)


def start_proposal(custom_id: str) -> str | None:
    """The proposal that a modal's id names; None for another modal. Pure."""
    found = _START.fullmatch(custom_id)
    return found["proposal"] if found else None


async def submit_start(interaction: Interaction, proposal: str, prompt: str) -> None:
    """The prompt came back. Raises: Refused."""
    content = await take_proposal(interaction, proposal)
    begun = Beginning(blurred=bool(content.get("blurred")))
    await handle_prompt(interaction, prompt, {}, link=str(content["link"]), begun=begun)


async def show_information(interaction: Interaction, message: discord.Message) -> None:
    """What is known about a message of ours. Who sees the picture may know. Raises: Refused."""
    job = await job_of_message(queue_of(interaction), message, interaction.application_id)
    if job is None:
        raise Refused("menu.not_ours")
    await permit(interaction, Use.WORDS, job)
    await answer(interaction, await information(interaction, job))
