"""Tells those who follow a job what happened to it, within the control process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from ..records import LIVE, OUT, Job, Progress


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


#: Seconds in which moves of the line are gathered: a hundred thousand followers may hear of each.
GATHER = 0.2
#: Jobs that are kept for those who join late, as they were told last, and with their latest progress.
LATEST = 1_000


class EventBus:
    """Followers by job. Nobody is waited for: a slow follower misses progress, never a change."""

    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = {}
        self._latest: OrderedDict[str, Progress] = OrderedDict()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._telling: asyncio.TimerHandle | None = None

    @contextmanager
    def watch(self, job_id: str) -> Generator[Watch]:
        watch = Watch()
        watch.progress = self._latest.get(job_id)
        if watch.progress is not None:
            watch.wake()
        self._watches.setdefault(job_id, set()).add(watch)
        try:
            yield watch
        finally:
            self._watches[job_id].discard(watch)
            if not self._watches[job_id]:
                del self._watches[job_id]

    def job(self, job_id: str) -> Job | None:
        """As it was told last, if that was lately and it is not over."""
        return self._jobs.get(job_id)

    def forget(self, job_id: str) -> None:
        """What was told of it last is not all any more."""
        self._jobs.pop(job_id, None)

    def changed(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        if job.state in LIVE:
            # What is over may be erased in the table alone, prompt and all.
            self._jobs[job.id] = job
            while len(self._jobs) > LATEST:
                self._jobs.popitem(last=False)
        # A job may be told as sent after its worker's first step: what comes from there stays.
        if job.state not in OUT:
            self._latest.pop(job.id, None)
        for watch in self._watches.get(job.id, ()):
            watch.changes.append(job)
            if job.state not in OUT:
                watch.progress = None  # Of the state before.
            watch.wake()

    def progress(self, progress: Progress) -> None:
        before = self._latest.pop(progress.job, None)
        if progress.preview is None and before is not None and before.step <= progress.step:
            progress = replace(progress, preview=before.preview)  # The latest there is.
        self._latest[progress.job] = progress
        while len(self._latest) > LATEST:
            self._latest.popitem(last=False)
        for watch in self._watches.get(progress.job, ()):
            watch.progress = progress
            watch.wake()

    def share_done(self, job_id: str) -> float:
        """How much of a job is rendered, as far as was heard: 0 to 1."""
        progress = self._latest.get(job_id)
        return min(progress.step / progress.steps, 1.0) if progress is not None and progress.steps > 0 else 0.0

    def moved(self) -> None:
        """Some job left the queue or cut in: places have changed. Told soon, not at once."""
        if self._watches and self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(GATHER, self._tell_moved)

    def _tell_moved(self) -> None:
        self._telling = None
        for watches in self._watches.values():
            for watch in watches:
                watch.moved = True
                watch.wake()

    def close(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
        for watches in self._watches.values():
            for watch in watches:
                watch.closed = True
                watch.wake()
