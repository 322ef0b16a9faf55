"""What stands behind a handler: the services of the bot, and the little that handlers need of the client itself.

Features know the client by the protocol `Bot` alone, so the client may import every feature and none imports it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import discord
from discord import app_commands

from ...queue.control import Queue
from ...queue.moderation import ReadOrigin
from ...queue.prompt import Vocabulary
from ...queue.store import ServerSettingsStore
from ..message import Followers
from .lag import Lag

#: discord.py binds these to a client class; what the bot's own client offers is asked of `bot_of`.
Interaction = discord.Interaction[Any]


class CommandTree(app_commands.CommandTree[Any]):
    """The bot's commands, to which features add theirs."""

    #: Discord's ids of slash commands, by name: with them a command can be clicked on in a text.
    ids: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Services:
    """Everything behind a command."""

    queue: Queue
    settings: ServerSettingsStore
    vocabulary: Vocabulary | None
    followers: Followers
    #: Requests that are written into the queue at a time.
    submitting: asyncio.Semaphore
    #: How long interactions are on their way.
    lag: Lag
    #: Where pictures that members name may lie: `https://cdn.discordapp.com` and its like.
    picture_hosts: tuple[str, ...] = ()
    #: Reads where a picture comes from; None where nothing here can.
    read_origin: ReadOrigin | None = None


class Bot(Protocol):
    """What handlers need of the client that runs them."""

    tree: CommandTree
    services: Services
    #: Handlers under way: the client waits for them before it hangs up.
    handling: set[asyncio.Task[Any]]
    #: New handlers are turned away.
    stopping: bool

    def foreign_answer(self) -> None:
        """An interaction was answered by another bot with this token."""
        ...


def bot_of(interaction: Interaction) -> Bot:
    """The client that an interaction came in by."""
    return interaction.client


def services_of(interaction: Interaction) -> Services:
    return bot_of(interaction).services


def queue_of(interaction: Interaction) -> Queue:
    return bot_of(interaction).services.queue
