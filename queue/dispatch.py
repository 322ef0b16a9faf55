"""Hands queued jobs to NATS, as many as live workers have slots, and mends what a crash left behind.

One task does both, so that mending never meets a job half-way to NATS.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from .errors import BrokerUnavailable, QueueUnavailable
from .jobs import FINISHED, Job, JobState
from .news import News
from .roster import Roster
from .table import JobTable
from .transport import ControlTransport, JobMessage, Stored

log = logging.getLogger(__name__)

#: Failures in a row, while connected, after which nats-server is restarted.
STUCK = 3
#: Seconds after a failure until the next try.
PAUSE = 2.0


class Dispatcher:
    """Construct, then `run` until cancelled; `wake` whenever there may be something to send."""

    def __init__(
        self,
        table: JobTable,
        transport: ControlTransport,
        roster: Roster,
        news: News,
        *,
        max_attempts: int,
        reconcile_seconds: float,
        on_stuck: Callable[[], Awaitable[None]],
    ) -> None:
        """`on_stuck` is awaited when nats-server accepts connections but does not work."""
        self._table = table
        self._transport = transport
        self._roster = roster
        self._news = news
        self._max_attempts = max_attempts
        self._reconcile_seconds = reconcile_seconds
        self._on_stuck = on_stuck
        self._wake = asyncio.Event()
        self._reconcile_at = 0.0
        #: Why jobs could not be sent the last time, for the owner.
        self.problem: str | None = None

    def wake(self, *, reconcile: bool = False) -> None:
        if reconcile:
            self._reconcile_at = 0.0
        self._wake.set()

    async def run(self) -> None:
        failures = 0
        while True:
            pause = max(0.05, self._reconcile_at - time.monotonic())
            try:
                if not self._transport.connected:
                    pause = self._reconcile_seconds  # `wake` comes with the connection.
                else:
                    if time.monotonic() >= self._reconcile_at:
                        await self.reconcile()
                        self._reconcile_at = time.monotonic() + self._reconcile_seconds
                        pause = self._reconcile_seconds
                    await self.fill()
                failures, self.problem = 0, None
            except QueueUnavailable as problem:
                log.warning("jobs cannot be sent just now: %s", problem)
                self.problem = str(problem)
                self._reconcile_at = 0.0
                pause = PAUSE
                failures = failures + 1 if isinstance(problem, BrokerUnavailable) and self._transport.connected else 0
                if failures >= STUCK:
                    failures = 0
                    await self._on_stuck()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            self._wake.clear()

    async def fill(self) -> None:
        """Send as many jobs as live workers have free slots, in the order of their tags."""
        now = time.monotonic()
        slots = self._roster.slots(now)
        if slots == 0:
            return
        jobs = await self._table.claim(slots, apart=self._roster.last_jobs(now))
        for job in jobs:
            self._news.changed(job)
        if jobs:
            self._news.moved()
        for job in jobs:
            message = JobMessage(
                job=job.id,
                generation=job.generation,
                attempts=job.attempts,
                max_attempts=self._max_attempts,
                request=job.request,
            )
            # If this fails, the job stays `sent` and the reconcile that follows finds out whether it arrived.
            sequence = await self._transport.send(message)
            await self._table.carried(job.id, generation=job.generation, sequence=sequence)

    async def reconcile(self) -> None:
        """Compare the table with the messages that NATS holds, by the job id inside each message."""
        # The messages first, then the outcomes: a worker stores the outcome before its message goes.
        out = {job.id: job for job in await self._table.out()}
        carried: set[str] = set()
        for stored in await self._transport.stored():
            if await self._carries(stored, out.get(stored.job)):
                carried.add(stored.job)
        for job in out.values():
            if job.id in carried or job.id in self._roster.running(time.monotonic()):
                continue
            if not await self._transport.has_outcome(job.id):
                waiting = await self._table.requeue(job.id, generation=job.generation)
                if waiting is not None:
                    log.warning("job %s lost its message; it waits again", job.id)
                    self._news.changed(waiting)

    async def _carries(self, stored: Stored, job: Job | None) -> bool:
        """Whether this message rightly carries its job; one that does not is removed."""
        job = job or await self._table.find(stored.job)
        if job is None or job.state in FINISHED or stored.generation < job.generation:
            await self._transport.discard(stored.sequence)
            if job is not None and job.state in FINISHED:
                await self._transport.cancel(job.id)
            return False
        if job.state is JobState.QUEUED or job.sequence != stored.sequence:
            # It was sent and we were killed before that was noted, or NATS was restored.
            carried = await self._table.carried(
                job.id, generation=max(stored.generation, job.generation), sequence=stored.sequence
            )
            if carried is not None and carried.state is not job.state:
                self._news.changed(carried)
        return True
