"""The command tree: registered with Discord only when it differs from what was registered last."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import discord
from discord import app_commands

from .about import add_about
from .album import add_album
from .faults import FAILURES
from .guard import explain, tell, typed
from .help import add_help
from .imagine import add_imagine
from .language import speaks
from .menus import add_menus
from .moderation import add_moderation
from .preferences import add_prefer
from .queue_commands import add_queue
from .settings import add_settings
from .texts import LOCALES

if TYPE_CHECKING:
    from .client import DaguerreClient

log = logging.getLogger(__name__)

#: In the data folder: the digest of what Discord knows, and its ids of the commands by their names.
HASH_FILE = "discord-commands.sha256"
IDS_FILE = "discord-commands.json"


class HouseTree(app_commands.CommandTree["DaguerreClient"]):
    """All commands of the bot; whatever goes wrong before a handler begins is answered here."""

    def __init__(self, client: DaguerreClient) -> None:
        super().__init__(client)
        #: Discord's ids of slash commands, by name: with them a command can be clicked on in a text.
        self.ids: dict[str, int] = {}
        add_imagine(self)
        add_settings(self)
        add_queue(self)
        add_about(self)
        add_prefer(self)
        add_album(self)
        add_help(self)
        add_menus(self)
        add_moderation(self)

    async def on_error(
        self, interaction: discord.Interaction[DaguerreClient], error: app_commands.AppCommandError, /
    ) -> None:
        await tell(interaction, explain(error, speaks(interaction), private=typed(interaction.data)))

    async def digest(self) -> str:
        """Changes whenever a command, a text in any language or the application changes."""
        commands = sorted((command.to_dict(self) for command in self.get_commands()), key=lambda known: known["name"])
        whole = {"application": self.client.application_id, "commands": commands}
        # The files as they are: reading every language costs a second and some MB, and few are spoken.
        files = await asyncio.to_thread(_locale_files)
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode() + files).hexdigest()

    async def sync_if_changed(self, folder: Path) -> bool:
        """Register the commands with Discord unless it knows them. Whether it was asked.

        A failure is logged, not raised: the commands of the last start still work.
        """
        digest, path = await self.digest(), folder / HASH_FILE
        self.ids = await asyncio.to_thread(_read_ids, folder / IDS_FILE)
        if self.ids and await asyncio.to_thread(_read, path) == digest:
            return False
        try:
            registered = await self.sync()
        except (app_commands.AppCommandError, *FAILURES) as error:
            log.warning(
                "slash commands not registered; the next start tries again: %s: %s", type(error).__name__, error
            )
            return True
        slash = discord.AppCommandType.chat_input
        self.ids = {command.name: command.id for command in registered if command.type is slash}
        await asyncio.to_thread(_write, path, digest)
        await asyncio.to_thread(_write, folder / IDS_FILE, json.dumps(self.ids))
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
