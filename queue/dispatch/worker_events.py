"""What the control process hears from workers, and its memory of who runs what: kept in step with the job table."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from ..errors import QueueUnavailable
from ..records import (
    FINISHED,
    OUT,
    UNMEASURED,
    ControlTransport,
    Heartbeat,
    Job,
    JobState,
    Progress,
    Started,
    day,
    learned,
)
from ..store import JobTable, entry_of
from .event_bus import EventBus
from .line import WaitingLine
from .worker_registry import WorkerRegistry

if TYPE_CHECKING:
    from .dispatcher import Dispatcher

log = logging.getLogger(__name__)

#: Seconds between two looks at whether the learnt speed is worth storing.
PACE_SECONDS = 30.0


class WorkerEvents:
    """Implements ControlListener. `transport` and `dispatcher` are set before anything is heard."""

    transport: ControlTransport
    dispatcher: Dispatcher

    def __init__(
        self,
        table: JobTable,
        line: WaitingLine,
        registry: WorkerRegistry,
        bus: EventBus,
        answer: Callable[[bytes], Awaitable[bytes]],
    ) -> None:
        """`answer` is awaited with each question of somebody who steers the queue."""
        self._table = table
        self._line = line
        self._registry = registry
        self._bus = bus
        self._answer = answer
        #: The attempt of each job that is known to run, so that heartbeats cost no look-up.
        self.known: dict[str, int] = {}
        #: Seconds of device time for each unit of work, as measured.
        self.pace = UNMEASURED

    def on_connected(self) -> None:
        self.dispatcher.wake(reconcile=True)

    async def on_started(self, started: Started) -> None:
        await self._runs(started.job, started.attempt, started.worker, started.instance)

    async def on_heartbeat(self, heartbeat: Heartbeat) -> None:
        if self._registry.hear(heartbeat, now=time.monotonic(), seen=time.time()):
            self.dispatcher.wake()
        # Starts are announced lossily; heartbeats make up for the lost ones.
        for job_id, attempt in heartbeat.running.items():
            await self._runs(job_id, attempt, heartbeat.name, heartbeat.instance)

    async def on_progress(self, progress: Progress) -> None:
        self._bus.progress(progress)

    def on_trouble(self) -> None:
        self.dispatcher.storage_broke()

    async def on_question(self, question: bytes) -> bytes:
        return await self._answer(question)

    async def recall(self) -> None:
        """Memory as the table has it."""
        paused: Any = await self._table.recall("paused")
        if isinstance(paused, dict):
            held = cast("dict[str, Any]", paused)
            self._line.paused = bool(held.get("all"))
            self._line.paused_servers = {str(server) for server in held.get("servers", ())}
        pace: Any = await self._table.recall("seconds_of_work")
        if isinstance(pace, int | float) and 0 < pace < 1e6:
            self.pace = float(pace)
        now = time.time()
        self._line.recall_usage(await self._table.used(day(now)), now)
        out = await self._table.out()
        self._line.fill(await self._table.waiting(), {entry_of(job): job.group for job in out})

    async def keep_pace(self) -> None:
        """Store now and then what was learnt about the workers' speed."""
        stored = self.pace
        while True:
            await asyncio.sleep(PACE_SECONDS)
            if abs(self.pace - stored) > 0.02 * stored:
                with suppress(QueueUnavailable):
                    await self._table.remember("seconds_of_work", self.pace)
                    stored = self.pace

    async def _runs(self, job_id: str, attempt: int, worker: str, instance: str) -> None:
        known = self.known.get(job_id, 0)
        if known > attempt and instance:
            # Its lease ran out and the job was begun elsewhere: the older attempt stops.
            await self.transport.stop(job_id, instance)
        if known >= attempt:
            return
        try:
            job = await self._table.running(job_id, attempt=attempt, worker=worker)
            if job is None:
                job = await self._table.find(job_id)
                if job is None or job.state in FINISHED:
                    await self.transport.cancel(job_id)  # Cancelled too late for its worker to hear, or long over.
                    return
            else:
                self.changed(job)
            if job.state is JobState.RUNNING:
                self.known[job_id] = max(attempt, job.attempts)
                if job.attempts > attempt and instance:
                    await self.transport.stop(job_id, instance)
        except QueueUnavailable as problem:
            log.warning("job %s: its start cannot be noted: %s", job_id, problem)

    def changed(self, job: Job) -> None:
        """After each change of state: memory follows the table, and followers hear of it."""
        self.dispatcher.forget(job.id)
        if job.state is not JobState.RUNNING:
            self.known.pop(job.id, None)
        if job.state is JobState.QUEUED:
            self._line.back(entry_of(job))
        elif job.state in OUT:
            self._line.take(entry_of(job), job.group or "")
        else:
            rendered = job.state is JobState.RENDERED
            self._line.leave(job.id, seconds=job.seconds if rendered else None, now=time.time())
            if rendered:
                self.pace = learned(self.pace, job.request, job.seconds)
        if job.state not in OUT:
            self.dispatcher.wake()  # A slot may be free.
        if job.state is JobState.QUEUED or job.state is JobState.CANCELLED:
            self._bus.moved()
        self._bus.changed(job)
