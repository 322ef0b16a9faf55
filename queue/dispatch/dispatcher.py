"""Hands queued jobs to NATS, as many as live workers have slots, and mends what a crash left behind.

One task does both, so that mending never meets a job half-way to NATS. A job is sent first and noted second: that saves
a commit on the way to the worker, and a crash in between leaves a message that `reconcile` finds by the id inside it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from ..errors import BrokerUnavailable, PictureGone, QueueUnavailable
from ..observe import NoSpans, Spans
from ..options import QueueOptions
from ..pictures import Sources
from ..records import FINISHED, NOTHING, OUT, ControlTransport, Job, JobMessage, JobState, Stored
from ..store import OTHER_VERSION, UNREADABLE, Carried, JobTable, entry_of
from .line import Pick
from .memory import JobMemory

log = logging.getLogger(__name__)

#: Failures in a row, while connected, after which nats-server is restarted.
STUCK = 3
#: Seconds after a failure until the next try, and between two restarts of nats-server.
PAUSE = 2.0
RESTART_SECONDS = 10.0
#: Code of a job whose pictures to begin from are gone.
SOURCE_GONE = "source_gone"


class Dispatcher:
    """Construct, then `run` until cancelled; `JobMemory.wake` says that there may be something to send."""

    def __init__(
        self,
        table: JobTable,
        transport: ControlTransport,
        memory: JobMemory,
        sources: Sources,
        options: QueueOptions,
        on_stuck: Callable[[], Awaitable[None]],
        spans: Spans | None = None,
    ) -> None:
        """`on_stuck` is awaited when nats-server accepts connections but does not work."""
        self._table = table
        self._transport = transport
        self._memory = memory
        self._registry = memory.registry
        self._line = memory.line
        self._bus = memory.bus
        self._max_attempts = options.max_attempts
        self._reconcile_seconds = options.reconcile_seconds
        self._lease_seconds = options.ack_wait_seconds
        self._on_stuck = on_stuck
        self._spans = spans or NoSpans()
        self._sources = sources
        #: Jobs whose files lie in NATS, as far as is known.
        self._enclosing: set[str] = set()
        self._storage_broke = False
        self._restart_at = 0.0
        self._reconcile_at = 0.0
        #: Why jobs could not be sent the last time, for the owner.
        self.problem: str | None = None

    def adopt(self, options: QueueOptions) -> None:
        """Go by these from the next job on."""
        self._max_attempts, self._reconcile_seconds = options.max_attempts, options.reconcile_seconds

    def reconcile_soon(self) -> None:
        """Compare table and NATS before the next jobs are sent: much may have happened meanwhile."""
        self._reconcile_at = 0.0
        self._memory.wake.set()

    def storage_broke(self) -> None:
        """nats-server is connected and stores nothing."""
        if not self._storage_broke:
            self._storage_broke = True
            self._memory.wake.set()

    async def run(self) -> None:
        failures = 0
        while True:
            if self._storage_broke and time.monotonic() >= self._restart_at:
                self._storage_broke, self._restart_at = False, time.monotonic() + RESTART_SECONDS
                await self._on_stuck()
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
                    await self._take_files_back()
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
            if self._storage_broke:
                pause = min(pause, max(0.05, self._restart_at - time.monotonic()))
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._memory.wake.wait()
            self._memory.wake.clear()

    async def fill(self) -> None:
        """Send as many jobs as live workers have free slots, in fair order, each to workers that it fits."""
        now = time.monotonic()
        while picks := self._line.pick(self._registry.groups(now), self._registry.last_jobs(now)):
            await self._send(picks)
            self._bus.moved()

    async def _send(self, picks: Sequence[Pick]) -> None:
        try:
            jobs = await self._readable(picks)
            files, jobs = await self._files(jobs)
        except QueueUnavailable:
            for pick in picks:
                self._line.back(pick.entry)
            raise
        entries = {pick.entry.id: pick for pick in picks}
        # 1. Store the messages with NATS, together. What fails may have arrived all the same: it is sent again under
        #    the same name, and NATS drops the second one.
        answers = await asyncio.gather(
            *(self._carry(job, entries[job.id].group, files[job.id]) for job in jobs),
            return_exceptions=True,
        )
        carried: list[Carried] = []
        failures: list[BaseException] = []
        for job, answer in zip(jobs, answers, strict=True):
            if isinstance(answer, BaseException):
                failures.append(answer)
                self._line.back(entries[job.id].entry)
            else:
                carried.append(Carried(job.id, job.generation + 1, answer, entries[job.id].group))
        # 2. Note them, in one transaction. What cannot be noted is found by the next reconcile.
        for one, job in zip(carried, await self._table.sent(carried) if carried else [], strict=True):
            if job is not None:
                self._memory.changed(job)
            elif (now := await self._table.find(one.job)) is None or now.state in FINISHED:
                # Cancelled in the meantime, or already rendered.
                await self._transport.discard(one.sequence)
                await self._transport.cancel(one.job)
                self._line.leave(one.job)
        if failures:
            raise failures[0]

    async def _carry(self, job: Job, group: str, files: Mapping[str, bytes]) -> int:
        with self._spans.within(job.id, "send to worker", waited=max(0.0, time.time() - job.created)):
            return await self._transport.send(self._message(job), group, files)

    async def _readable(self, picks: Sequence[Pick]) -> list[Job]:
        """The jobs to be sent. One that the table holds in a form that nobody understands ends here."""
        known = {pick.entry.id: self._memory.take_recent(pick.entry.id) for pick in picks}
        missing = [job for job, fresh in known.items() if fresh is None]
        if missing:
            known.update({job.id: job for job in await self._table.jobs(missing)})
        ready: list[Job] = []
        for pick in picks:
            job = known[pick.entry.id]
            if job is None or job.state is not JobState.QUEUED:
                self._line.leave(pick.entry.id)
                if job is not None and job.state in OUT:
                    self._line.take(pick.entry, job.group or pick.group)
            elif job.error in (UNREADABLE, OTHER_VERSION):
                await self._give_up(job, job.error, "its row in the job table cannot be understood")
            else:
                ready.append(job)
        return ready

    def _message(self, job: Job) -> JobMessage:
        return JobMessage(
            job=job.id,
            generation=job.generation + 1,
            attempts=job.attempts,
            max_attempts=self._max_attempts,
            request=job.request,
        )

    async def _files(self, jobs: Sequence[Job]) -> tuple[dict[str, Mapping[str, bytes]], list[Job]]:
        """What the jobs begin from, by job, and those of the jobs that have it all; the others end here."""
        files: dict[str, Mapping[str, bytes]] = {}
        for job in jobs:
            try:
                files[job.id] = await self._sources.read(job.request) if job.request.source else NOTHING
            except PictureGone:
                await self._give_up(job, SOURCE_GONE, "a picture that it begins from was removed")
            else:
                if files[job.id]:
                    self._enclosing.add(job.id)
        return files, [job for job in jobs if job.id in files]

    async def _give_up(self, job: Job, error: str, detail: str) -> None:
        log.error("job %s is given up: %s", job.id, detail)
        broken = await self._table.broken(job.id, state=JobState.FAILED, error=error, attempts=0, detail=detail)
        if broken is not None:
            self._memory.changed(broken)

    async def _take_files_back(self) -> None:
        """Remove from NATS what belongs to jobs that are over."""
        for job in [one for one in self._enclosing if not self._line.is_out(one) and one not in self._line]:
            await self._transport.discard_files(job)
            self._enclosing.discard(job)

    # Mending

    async def reconcile(self) -> None:
        """Compare table, memory and the messages that NATS holds, by the job id inside each message."""
        # What another hand has removed first: without its consumer no worker gets anything, and nothing fails.
        await self._transport.repair([group.name for group in self._registry.groups(time.monotonic())])
        # The messages first, then the outcomes: a worker stores the outcome before its message goes.
        out = {job.id: job for job in await self._table.out()}
        carried: set[str] = set()
        for stored in await self._transport.stored():
            if await self._carries(stored, out.get(stored.job)):
                carried.add(stored.job)
        running = self._registry.running(time.monotonic())
        for job in out.values():
            if job.id in carried or job.id in running:
                self._line.take(entry_of(job), job.group or "")
                continue
            if not await self._transport.has_outcome(job.id):
                waiting = await self._table.requeue(job.id, generation=job.generation)
                if waiting is not None:
                    log.warning("job %s lost its message; it waits again", job.id)
                    self._memory.changed(waiting)
        self._enclosing |= set(await self._transport.enclosing())
        await self._look_after([job for job in self._line.out if job not in out and job not in carried])

    async def _look_after(self, jobs: Sequence[str]) -> None:
        """Jobs that memory thinks are out and the table does not."""
        for job in await self._table.jobs(jobs) if jobs else []:
            if job.state is JobState.QUEUED and not await self._transport.has_outcome(job.id):
                self._line.back(entry_of(job))
            elif job.state in FINISHED:
                self._line.leave(job.id)

    async def _carries(self, stored: Stored, job: Job | None) -> bool:
        """Whether this message rightly carries its job; one that does not is removed."""
        job = job or await self._table.find(stored.job)
        if job is None or job.state in FINISHED or stored.generation < job.generation:
            await self._transport.discard(stored.sequence)
            if job is not None and job.state in FINISHED:
                await self._transport.cancel(job.id)
            return False
        if self._stranded(stored, job):
            # All workers like the one it waits for are gone, and others can render it.
            await self._transport.discard(stored.sequence)
            waiting = await self._table.requeue(job.id, generation=job.generation)
            if waiting is not None:
                log.warning("job %s waited for workers that are gone; it goes to others", job.id)
                self._memory.changed(waiting)
            return True
        one = Carried(job.id, max(stored.generation, job.generation), stored.sequence, stored.group)
        if job.state is JobState.QUEUED:
            # It was sent and we were killed before that was noted.
            (noted,) = await self._table.sent([one])
            if noted is not None:
                self._line.take(entry_of(noted), stored.group)
                self._memory.changed(noted)
        elif (job.sequence, job.group) != (stored.sequence, stored.group):
            await self._table.carried(one)  # NATS was restored from a backup.
        return True

    def _stranded(self, stored: Stored, job: Job) -> bool:
        now = time.monotonic()
        if job.state not in OUT or job.id in self._registry.running(now):
            return False
        if self._registry.silent(stored.group, now) < self._lease_seconds + self._reconcile_seconds:
            return False
        return any(group.name != stored.group and group.capability.fits(entry_of(job).needs)
                   for group in self._registry.groups(now))  # fmt: skip
