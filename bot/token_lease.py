"""One bot for one token. Two would draw every prompt twice and overwrite each other's messages.

Bots that share a token share nothing else but the application itself, so the lease lies in its own data: an application
emoji, which no member ever sees. Its name says who holds it and until when it was renewed:

    daguerre_lease_<8 hex digits of the holder>_<Unix time in base 36>

Who comes second, while the first one's lease is fresh, steps back. A data folder keeps its holder's number, so a
restart takes over at once; another host waits until the lease is old.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import discord

from .errors import TokenInUse
from .faults import FAILURES

log = logging.getLogger(__name__)

#: Seconds between two renewals, and after which a lease that was not renewed is nobody's.
RENEW, TERM = 30.0, 90.0
#: A clock that is so many seconds ahead is wrong: its lease would never be old.
DAY = 86_400.0
#: In the data folder: which holder this is.
HOLDER_FILE = "bot-holder"
NAME = re.compile(r"daguerre_lease_(?P<holder>[0-9a-f]{8})_(?P<at>[0-9a-z]{1,8})", re.ASCII)
#: One transparent pixel.
_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Emojis(Protocol):
    """What is used of `discord.Client`."""

    async def fetch_application_emojis(self) -> list[discord.Emoji]: ...
    async def create_application_emoji(self, *, name: str, image: bytes) -> discord.Emoji: ...


class TokenLease:
    """One for each client. Discord in trouble never keeps a bot from working: then nothing is known of others."""

    def __init__(
        self, emojis: Emojis, folder: Path, *, conflict: Callable[[], None], now: Callable[[], float] = time.time
    ) -> None:
        """`conflict` is called at each sight of another bot."""
        self._emojis = emojis
        self._folder = folder
        self._conflict = conflict
        self._now = now
        self._holder = ""
        self._mine: discord.Emoji | None = None
        self._look = asyncio.Event()

    async def acquire(self) -> None:
        """Raises: TokenInUse: another bot holds it."""
        self._holder = await asyncio.to_thread(holder_of, self._folder)
        with suppress(*FAILURES):
            await self._hold()

    def look_now(self) -> None:
        """There was a sign of another bot."""
        self._look.set()

    async def keep(self) -> None:
        """Renew until cancelled. Raises: TokenInUse: another bot was first."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), RENEW)
            self._look.clear()
            try:
                await self._hold()
            except FAILURES as error:
                log.info("the lease on the token could not be renewed just now: %s", type(error).__name__)

    async def release(self) -> None:
        """Let the next one have it at once."""
        mine, self._mine = self._mine, None
        if mine is not None:
            with suppress(*FAILURES, TimeoutError):
                async with asyncio.timeout(2):
                    await mine.delete()

    async def _hold(self) -> None:
        await self._judge()
        name = name_of(self._holder, self._now())
        if self._mine is None:
            self._mine = await self._emojis.create_application_emoji(name=name, image=_PIXEL)
            # Two may have come at the same time.
            await self._judge()
        elif self._mine.name != name:
            self._mine = await self._mine.edit(name=name)

    async def _judge(self) -> None:
        """Find our lease, remove old ones, step back from another's. Raises: TokenInUse."""
        others: list[discord.Emoji] = []
        self._mine, before = None, self._mine
        for emoji in await self._emojis.fetch_application_emojis():
            read = read_name(emoji.name)
            if read is None:
                continue
            holder, at = read
            if holder == self._holder:
                self._mine = emoji
            elif -DAY < self._now() - at < TERM:
                others.append(emoji)
            else:
                with suppress(*FAILURES):
                    await emoji.delete()
        if not others:
            return
        self._conflict()
        first = min(others, key=lambda emoji: emoji.id)
        if self._mine is None or first.id < self._mine.id:
            self._mine = self._mine or before
            await self.release()
            raise TokenInUse
        log.error(
            "ANOTHER BOT RUNS WITH THIS TOKEN, on another data folder or host. It came later and steps back; stop it, "
            "or give it a token of its own"
        )


def holder_of(folder: Path) -> str:
    """The number of this data folder; made when there is none. Blocking."""
    file = folder / HOLDER_FILE
    with suppress(OSError):
        if re.fullmatch(r"[0-9a-f]{8}", known := file.read_text(encoding="ascii", errors="replace").strip()):
            return known
    made = secrets.token_hex(4)
    with suppress(OSError):  # then a restart has to wait for its own lease
        file.write_text(made, encoding="ascii")
    return made


def name_of(holder: str, at: float) -> str:
    """The lease's name. Pure."""
    number, digits = int(at), ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return f"daguerre_lease_{holder}_{digits or '0'}"


def read_name(name: Any) -> tuple[str, float] | None:
    """Holder and Unix time of a lease; None for any other emoji. Pure."""
    found = NAME.fullmatch(str(name))
    return None if found is None else (found["holder"], float(int(found["at"], 36)))
