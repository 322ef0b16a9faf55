"""What is let go of by itself, all of it here, once an hour: pictures, prompts and reports past their time, old changes
of state, pictures that no job uses, copies before an upgrade. docs/privacy.md lists what is kept for how long."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from ..errors import QueueUnavailable
from ..moderation import Privacy
from ..pictures import Sources
from ..records import DAY
from ..store import COPY_DAYS, JobTable, drop_copies

log = logging.getLogger(__name__)

#: Seconds between two rounds, and before the first: a start has better things to do.
ROUND = 3600.0
FIRST = 60.0
#: Recorded changes that one transaction removes, so that submissions wait for none of them.
TOGETHER = 500


class Housekeeping:
    """Construct, then `run` until cancelled."""

    def __init__(
        self, table: JobTable, sources: Sources, privacy: Privacy, copies: Path, *, transitions_days: float
    ) -> None:
        """`copies`: folder of job tables as they were before an upgrade. `transitions_days`: how long changes of state
        stay recorded; 0 keeps them forever."""
        self._copies = copies
        self._table = table
        self._sources = sources
        self._privacy = privacy
        self.transitions_days = transitions_days

    async def run(self) -> None:
        await asyncio.sleep(FIRST)
        while True:
            try:
                await self._privacy.sweep(time.time())
                await self.tidy(time.time())
            except QueueUnavailable as problem:
                log.warning("nothing could be tidied up just now: %s", problem)
            await asyncio.sleep(ROUND)

    async def tidy(self, now: float) -> tuple[int, int]:
        """One round at Unix time `now`; gives how many changes and pictures were removed.

        Raises: QueueUnavailable.
        """
        pictures = len(await self._sources.sweep(now))
        if await asyncio.to_thread(drop_copies, self._copies, now - COPY_DAYS * DAY):
            log.info("tidied up: the copy of the job table before its last upgrade")
        changes = 0
        if self.transitions_days:
            before = now - self.transitions_days * DAY
            while removed := await self._table.prune_transitions(before, TOGETHER):
                changes += removed
        if pictures or changes:
            log.info("tidied up: %d pictures that no job uses, %d old changes of state", pictures, changes)
        return changes, pictures
