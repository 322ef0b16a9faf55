"""The command tree: registered with Discord only when it differs from what was registered last."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from pathlib import Path
from typing import Any, cast

import discord
from discord import app_commands

from .faults import FAILURES
from .imagine import add_imagine
from .interaction import CommandTree, Interaction, answer_error
from .moderation import add_moderate, add_report, add_rules, add_settings, add_verify
from .personal import add_about, add_help, add_mydata, add_prefer, add_queue
from .picture import add_album, add_menus
from .text import LOCALES

log = logging.getLogger(__name__)

#: In the data folder: the digest of what Discord knows, and its ids of the commands by their names.
HASH_FILE = "discord-commands.sha256"
IDS_FILE = "discord-commands.json"


#: What puts each feature's commands into the tree, in the order in which /help lists them. Some add to earlier groups.
FEATURES = (
    add_imagine, add_settings, add_queue, add_about, add_prefer, add_album, add_help, add_menus, add_rules,
    add_moderate, add_mydata, add_verify, add_report,
)  # fmt: skip


class DaguerreTree(CommandTree):
    """All commands of the bot; whatever goes wrong before a handler begins is answered here."""

    def __init__(self, client: discord.Client) -> None:
        super().__init__(client)
        for add in FEATURES:
            add(self)

    async def on_error(self, interaction: Interaction, error: app_commands.AppCommandError, /) -> None:
        await answer_error(interaction, error)


async def digest_of(tree: CommandTree) -> str:
    """Changes whenever a command, a text in any language or the application changes."""
    commands = sorted((command.to_dict(tree) for command in tree.get_commands()), key=lambda known: known["name"])
    whole = {"application": tree.client.application_id, "commands": commands}
    # The files as they are: reading every language costs a second and some MB, and few are spoken.
    files = await asyncio.to_thread(_locale_files)
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode() + files).hexdigest()


async def sync_if_changed(tree: CommandTree, folder: Path) -> bool:
    """Register the commands with Discord unless it knows them. Whether it was asked.

    A failure is logged, not raised: the commands of the last start still work.
    """
    digest, path = await digest_of(tree), folder / HASH_FILE
    tree.ids = await asyncio.to_thread(_read_ids, folder / IDS_FILE)
    if tree.ids and await asyncio.to_thread(_read, path) == digest:
        return False
    try:
        registered = await tree.sync()
    except (app_commands.AppCommandError, *FAILURES) as error:
        log.warning("slash commands not registered; the next start tries again: %s: %s", type(error).__name__, error)
        return True
    slash = discord.AppCommandType.chat_input
    tree.ids = {command.name: command.id for command in registered if command.type is slash}
    await asyncio.to_thread(_write, path, digest)
    await asyncio.to_thread(_write, folder / IDS_FILE, json.dumps(tree.ids))
    log.info("slash commands registered with Discord")
    return True


def _locale_files() -> bytes:
    return b"".join(path.read_bytes() for path in sorted(LOCALES.glob("*/*.ftl")))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


def _read_ids(path: Path) -> dict[str, int]:
    try:
        read = json.loads(_read(path) or "{}")
    except ValueError:
        return {}
    known = cast("dict[str, Any]", read) if isinstance(read, dict) else {}
    return {name: number for name, number in known.items() if isinstance(number, int)}


def _write(path: Path, digest: str) -> None:
    """Losing this file costs one registration, so a full disk is no reason to stop."""
    try:
        path.write_text(digest, encoding="ascii")
    except OSError as error:
        log.warning("%s could not be written (%s); commands will be registered again at the next start", path, error)
