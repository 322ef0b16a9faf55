"""What the control process hears from workers, and what it answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

from ..errors import QueueUnavailable
from ..records import FINISHED, ControlTransport, Heartbeat, JobState, Progress, Started
from ..store import JobTable
from .dispatcher import Dispatcher
from .memory import JobMemory

log = logging.getLogger(__name__)

#: Workers of another version that are remembered.
TOLD = 1_000


class WorkerEvents:
    """Implements ControlListener."""

    def __init__(
        self,
        table: JobTable,
        transport: ControlTransport,
        dispatcher: Dispatcher,
        memory: JobMemory,
        answer: Callable[[bytes], Awaitable[bytes]],
        version: str = "",
    ) -> None:
        """`answer` is awaited with each question of somebody who steers the queue; `version`: of this program."""
        self._version = version
        #: Workers of another version that were spoken of.
        self._told: set[str] = set()
        self._table = table
        self._transport = transport
        self._dispatcher = dispatcher
        self._memory = memory
        self._answer = answer

    def on_connected(self) -> None:
        self._dispatcher.reconcile_soon()

    async def on_started(self, started: Started) -> None:
        await self._runs(started.job, started.attempt, started.worker, started.instance)

    async def on_heartbeat(self, heartbeat: Heartbeat) -> None:
        if self._memory.registry.hear(heartbeat, now=time.monotonic(), seen=time.time()):
            self._memory.wake.set()
        self._compare(heartbeat)
        # Starts are announced lossily; heartbeats make up for the lost ones.
        for job_id, attempt in heartbeat.running.items():
            await self._runs(job_id, attempt, heartbeat.name, heartbeat.instance)

    def _compare(self, heartbeat: Heartbeat) -> None:
        """Say once of each worker that it is of another version: both sides should be upgraded together."""
        theirs = heartbeat.version
        if not theirs or not self._version or theirs == self._version or heartbeat.instance in self._told:
            return
        if len(self._told) >= TOLD:
            self._told.clear()
        self._told.add(heartbeat.instance)
        log.warning(
            "worker %s is of version %s, this is %s: upgrade both to the same one",
            heartbeat.name,
            theirs,
            self._version,
        )

    async def on_progress(self, progress: Progress) -> None:
        self._memory.bus.progress(progress)

    def on_trouble(self) -> None:
        self._dispatcher.storage_broke()

    async def on_question(self, question: bytes) -> bytes:
        return await self._answer(question)

    async def _runs(self, job_id: str, attempt: int, worker: str, instance: str) -> None:
        known = self._memory.running.get(job_id, 0)
        if known > attempt and instance:
            # Its lease ran out and the job was begun elsewhere: the older attempt stops.
            await self._transport.stop(job_id, instance)
        if known >= attempt:
            return
        try:
            job = await self._table.running(job_id, attempt=attempt, worker=worker)
            if job is None:
                job = await self._table.find(job_id)
                if job is None or job.state in FINISHED:
                    await self._transport.cancel(job_id)  # Cancelled too late for its worker to hear, or long over.
                    return
            else:
                self._memory.changed(job)
            if job.state is JobState.RUNNING:
                self._memory.running[job_id] = max(attempt, job.attempts)
                if job.attempts > attempt and instance:
                    await self._transport.stop(job_id, instance)
        except QueueUnavailable as problem:
            log.warning("job %s: its start cannot be noted: %s", job_id, problem)
