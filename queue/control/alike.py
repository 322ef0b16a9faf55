"""Equal keys take turns, so that the same request sent many times at once is checked and counted once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Alike:
    """Construct once for all keys."""

    def __init__(self) -> None:
        #: For each key in use: its lock, and how many hold or want it.
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncGenerator[bool]:
        """Be alone with this key; gives whether somebody else was at it in between."""
        lock, wanted = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = lock, wanted + 1
        try:
            async with lock:
                yield wanted > 0
        finally:
            lock, wanted = self._locks[key]
            if wanted == 1:
                del self._locks[key]
            else:
                self._locks[key] = lock, wanted - 1
