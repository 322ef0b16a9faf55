"""Room on the disk: nothing is accepted that there would soon be no room for.

nats-server writes no more once its disk was full, and SQLite fails in the middle of things; so the last megabytes are
kept for what has been accepted already.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from ..errors import StorageFull

log = logging.getLogger(__name__)

#: Seconds between two looks at the disk.
LOOK = 5.0
MEGABYTE = 2**20


class Room:
    """Looks at the disks of `folders` at most every few seconds."""

    def __init__(
        self,
        folders: Collection[Path],
        least: int,
        *,
        free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`least`: megabytes that stay free; 0: any."""
        self.least = least
        self._folders = tuple(folders)
        self._free = free
        self._now = now
        self._looked = float("-inf")
        #: Why nothing is accepted, for the owner; None while there is room.
        self.problem: str | None = None

    def check(self) -> None:
        """Raises: StorageFull: a disk has less room left than it should."""
        if self._now() - self._looked >= LOOK:
            self._looked = self._now()
            self._look()
        if self.problem is not None:
            raise StorageFull(self.problem)

    def _look(self) -> None:
        before, self.problem = self.problem, None
        for folder in self._folders:
            with suppress(OSError):
                free = self._free(folder) // MEGABYTE
                if free < self.least:
                    self.problem = (
                        f"{free} MB are left on the disk of {folder}, and {self.least} are kept free ([queue] "
                        "min_free_megabytes): nothing new is accepted. Make room, or keep pictures for fewer days"
                    )
        if self.problem and not before:
            log.error("%s", self.problem)
        elif before and not self.problem:
            log.info("there is room on the disk again")
