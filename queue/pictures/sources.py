"""Pictures that requests begin from: cleaned, kept under the hash of their content, and let go with their jobs.

They lie in the picture store as `sources/<SHA-256>.webp`, so one that many jobs use is stored once. Pictures of earlier
jobs (`<job>/<number>.png`) may be named by a request too; those are never removed here.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Collection

from ..errors import InvalidRequest, PictureGone
from ..records import ImageRequest
from ..store import JobTable
from .picture_store import PictureStore
from .uploads import clean

#: A picture that no job uses is removed after this many seconds: time to press a button under it.
UNUSED_SECONDS = 24 * 3600.0

_NAME = re.compile(r"sources/[0-9a-f]{64}\.webp|[0-9a-f]{32}/[0-9]{1,3}\.png")


class Sources:
    """Construct once; `sweep` now and then."""

    def __init__(self, table: JobTable, pictures: PictureStore) -> None:
        self._table = table
        self._pictures = pictures
        # Nothing is swept while it is being kept again.
        self._lock = asyncio.Lock()
        # Each may take the memory of a large picture.
        self._cleaning = asyncio.Semaphore(2)

    async def keep(self, data: bytes) -> str:
        """Store a picture that a member sent; gives its name for `Source`. The same picture gives the same name.

        Raises:
            InvalidPicture: it cannot be used; says why.
            QueueUnavailable: it cannot be stored just now.
        """
        async with self._cleaning:
            kept = await asyncio.to_thread(clean, data)
        name = f"sources/{hashlib.sha256(kept).hexdigest()}.webp"
        async with self._lock:
            await self._pictures.write({name: kept})
            await self._table.source_kept(name, time.time())
        return name

    async def sent(self, name: str) -> bytes:
        """A file that a member sent; what was drawn is not given out here. Raises: PictureGone, QueueUnavailable."""
        if not _NAME.fullmatch(name) or not name.startswith("sources/"):
            raise PictureGone(f"no picture that was sent is called {name[:80]}")
        return await self._pictures.get(name)

    async def check(self, request: ImageRequest, usable: Callable[[str], Awaitable[bool]]) -> None:
        """Whether the pictures that it names are there, and the one who asks may use them (`usable`, by name).

        Raises:
            InvalidRequest: field `source`; one has another kind of name, is gone, or is not theirs: which of both is
                nobody's business.
        """
        for name in request.source_names:
            if not _NAME.fullmatch(name):
                raise InvalidRequest(field="source", kind="source_name", limits={})
            if not await usable(name) or not await self._pictures.has(name):
                raise InvalidRequest(field="source", kind="source_gone", limits={})

    async def read(self, request: ImageRequest) -> dict[str, bytes]:
        """The files of a request by name.

        Raises:
            PictureGone: one was removed.
            QueueUnavailable: the storage does not answer.
        """
        found: dict[str, bytes] = {}
        for name in request.source_names:
            if not _NAME.fullmatch(name):
                raise PictureGone(f"no picture is called {name[:80]}")
            found[name] = await self._pictures.get(name)
        return found

    async def sweep(self, now: float, unused_seconds: float = UNUSED_SECONDS) -> Collection[str]:
        """Remove what no job has named for so long; gives their names. Raises: QueueUnavailable."""
        async with self._lock:
            gone = await self._table.unused_sources(now - unused_seconds)
            for name in gone:
                await self._pictures.remove(name)
            if gone:
                await self._table.sources_removed(gone)
        return gone
