"""What the queue lets go of by itself: the record of old changes of state, and pictures that no job uses."""

from __future__ import annotations

import asyncio
import logging
import time

from ..errors import QueueUnavailable
from ..pictures import Sources
from ..records import DAY
from ..store import JobTable

log = logging.getLogger(__name__)

#: Seconds between two rounds, and before the first: a start has better things to do.
ROUND = 3600.0
FIRST = 60.0
#: Recorded changes that one transaction removes, so that submissions wait for none of them.
TOGETHER = 500


class Housekeeping:
    """Construct, then `run` until cancelled."""

    def __init__(self, table: JobTable, sources: Sources, *, transitions_days: float) -> None:
        """`transitions_days`: how long changes of state stay recorded; 0 keeps them for ever."""
        self._table = table
        self._sources = sources
        self._transitions_days = transitions_days

    async def run(self) -> None:
        await asyncio.sleep(FIRST)
        while True:
            try:
                await self.tidy(time.time())
            except QueueUnavailable as problem:
                log.warning("nothing could be tidied up just now: %s", problem)
            await asyncio.sleep(ROUND)

    async def tidy(self, now: float) -> tuple[int, int]:
        """One round at Unix time `now`; gives how many changes and pictures were removed.

        Raises: QueueUnavailable.
        """
        pictures = len(await self._sources.sweep(now))
        changes = 0
        if self._transitions_days:
            before = now - self._transitions_days * DAY
            while removed := await self._table.prune_transitions(before, TOGETHER):
                changes += removed
        if pictures or changes:
            log.info("tidied up: %d pictures that no job uses, %d old changes of state", pictures, changes)
        return changes, pictures
