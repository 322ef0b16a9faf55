"""What the handlers work with; the client carries one of these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import discord

from ..queue.control import Queue
from ..queue.moderation import ReadOrigin
from ..queue.prompt import Vocabulary
from ..queue.store import ServerSettingsStore
from .follow import Followers
from .keys import Key


@dataclass(frozen=True, slots=True)
class Services:
    """Everything behind a command."""

    queue: Queue
    settings: ServerSettingsStore
    vocabulary: Vocabulary | None
    followers: Followers
    #: Does what a button says.
    press: Callable[[discord.Interaction[Any], Key], Awaitable[None]]
    #: Where pictures that members name may lie: `https://cdn.discordapp.com` and its like.
    picture_hosts: tuple[str, ...] = ()
    #: Reads where a picture comes from; None where nothing here can.
    read_origin: ReadOrigin | None = None
