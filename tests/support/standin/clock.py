"""Time as the stand-in sees it, the ids made from it, and waiting for something to change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

Found = TypeVar("Found")

#: First millisecond of Discord's ids, 1 January 2015.
DISCORD_EPOCH_MS = 1_420_070_400_000


class Clock:
    """The wall clock plus what a test has added to it: `advance(901)` lets a quarter of an hour pass."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds


def iso(moment: float) -> str:
    """A Unix time as Discord writes it: `2026-01-31T12:00:00.000000+00:00`."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")


class Snowflakes:
    """Ids that grow with time: 42 bits of milliseconds, 22 bits counter."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = 0

    def next(self, moment: float | None = None) -> int:
        """A new id dated `moment` (Unix seconds; now by default)."""
        self._count = (self._count + 1) % (1 << 22)
        milliseconds = int((self._clock.now() if moment is None else moment) * 1000) - DISCORD_EPOCH_MS
        return (milliseconds << 22) | self._count


class Changes:
    """Wakes everybody who waits for a condition on the stand-in's state."""

    def __init__(self) -> None:
        self._news = asyncio.Event()

    def notify(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def until(self, probe: Callable[[], Found | None], *, timeout: float, what: Callable[[], str]) -> Found:
        """Return what `probe` finds, as soon as it finds something that is not None.

        Raises:
            TimeoutError: nothing within `timeout` real seconds; `what()` tells what was awaited and what was seen.
        """
        try:
            async with asyncio.timeout(timeout):
                while True:
                    news = self._news
                    found = probe()
                    if found is not None:
                        return found
                    await news.wait()
        except TimeoutError:
            raise TimeoutError(f"after {timeout} s: {what()}") from None
