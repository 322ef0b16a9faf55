"""Tells those who follow a job what happened to it, within the control process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

from .jobs import Job, Progress


class Watch:
    """What one follower has not read yet: every change of the job, the latest progress only."""

    def __init__(self) -> None:
        self.changes: deque[Job] = deque()
        self.progress: Progress | None = None
        #: Jobs before this one have moved.
        self.moved = False
        self.closed = False
        self._wake = asyncio.Event()

    async def wait(self) -> None:
        """Wait until there is something to read."""
        await self._wake.wait()
        self._wake.clear()

    def wake(self) -> None:
        self._wake.set()


class News:
    """Followers by job. Nobody is waited for: a slow follower misses progress, never a change."""

    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = {}

    @contextmanager
    def watch(self, job_id: str) -> Generator[Watch]:
        watch = Watch()
        self._watches.setdefault(job_id, set()).add(watch)
        try:
            yield watch
        finally:
            self._watches[job_id].discard(watch)
            if not self._watches[job_id]:
                del self._watches[job_id]

    def changed(self, job: Job) -> None:
        for watch in self._watches.get(job.id, ()):
            watch.changes.append(job)
            watch.progress = None  # Of the state before.
            watch.wake()

    def progress(self, progress: Progress) -> None:
        for watch in self._watches.get(progress.job, ()):
            watch.progress = progress
            watch.wake()

    def moved(self) -> None:
        """Some job left the queue or cut in: places have changed."""
        for watches in self._watches.values():
            for watch in watches:
                watch.moved = True
                watch.wake()

    def close(self) -> None:
        for watches in self._watches.values():
            for watch in watches:
                watch.closed = True
                watch.wake()
