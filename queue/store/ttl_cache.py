"""What is asked with every request and seldom changes, kept in memory beside the table.

One process writes (decisions/0003) and drops what it changes, so memory follows its commits at once. All is read anew
after SECONDS all the same: somebody may have written into the tables by hand, and a change whose caller was cancelled
may be committed after the drop.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")

#: For how long a value is used, counted from before it was read.
SECONDS = 5.0
#: Values that are kept at most: those of so many servers.
MOST = 2_000


class TtlCache(Generic[Value]):
    """Values by key, each as `read` gave it; `clock` counts seconds and never goes back."""

    def __init__(self, read: Callable[[str], Awaitable[Value]], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._kept: dict[str, tuple[float, Value]] = {}
        self._drops = 0

    async def get(self, key: str) -> Value:
        """From memory, or read now; raises what `read` raises."""
        now = self._clock()
        kept = self._kept.get(key)
        if kept is not None and now < kept[0] + SECONDS:
            return kept[1]
        drops = self._drops
        value = await self._read(key)
        # What was dropped meanwhile may have been read before its change was committed: good for this caller, who
        # asked before, but not for later ones.
        if drops == self._drops:
            self._kept.pop(key, None)
            self._kept[key] = (now, value)
            while len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]
        return value

    def drop(self, key: str) -> None:
        """What is kept of this key holds no more."""
        self._drops += 1
        self._kept.pop(key, None)
