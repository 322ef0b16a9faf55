"""Takes in how jobs ended at the workers: pictures stored, the table changed exactly once, then acknowledged."""

from __future__ import annotations

import asyncio
import logging

from ..errors import BrokerUnavailable, QueueUnavailable
from ..logs import where
from ..observe import NoSpans, Spans, about_job
from ..pictures import PictureStore
from ..records import LIVE, Arrived, ControlTransport, Job, JobState, Outcome
from ..store import JobTable
from .memory import JobMemory

log = logging.getLogger(__name__)

#: Seconds until an outcome that could not be stored is tried again.
LATER = 5.0
#: Outcomes that are stored at a time; each holds its pictures in memory.
AT_ONCE = 16


class Intake:
    """Construct, then `run` until cancelled."""

    def __init__(
        self,
        table: JobTable,
        pictures: PictureStore,
        transport: ControlTransport,
        memory: JobMemory,
        spans: Spans | None = None,
    ) -> None:
        self._table = table
        self._pictures = pictures
        self._transport = transport
        self._memory = memory
        self._spans = spans or NoSpans()
        #: Why the last outcome could not be stored, for the owner.
        self.problem: str | None = None
        self._room = asyncio.Semaphore(AT_ONCE)
        self._locks: dict[str, asyncio.Lock] = {}

    async def run(self) -> None:
        """Takes in several at a time, so that they share commits; those of one job one after the other."""
        async with asyncio.TaskGroup() as tasks:
            async for arrived in self._transport.outcomes():
                await self._room.acquire()
                tasks.create_task(self._take(arrived))

    async def _take(self, arrived: Arrived) -> None:
        job_id = arrived.outcome.job
        lock = self._locks.setdefault(job_id, asyncio.Lock())
        try:
            with about_job(job_id), self._spans.within(job_id, "store pictures", kind=arrived.outcome.kind):
                async with lock:
                    await self._store_and_acknowledge(arrived)
        except Exception as error:
            # A bug of ours; the outcome comes again after a while.
            log.error("job %s: taking in its outcome failed: %s", job_id, where(error))  # noqa: TRY400
        finally:
            if self._locks.get(job_id) is lock and not lock.locked():
                del self._locks[job_id]
            self._room.release()

    async def _store_and_acknowledge(self, arrived: Arrived) -> None:
        try:
            job = await self._store(arrived)
        except QueueUnavailable as problem:
            # Nothing is lost: it lies in NATS until the disk is mended.
            log.warning("job %s: its outcome cannot be stored yet: %s", arrived.outcome.job, problem)
            self.problem = str(problem)
            await self._transport.postpone(arrived, LATER)
            return
        self.problem = None
        if job is not None:
            log.info("job %s is %s attempt=%d worker=%s", job.id, job.state.value, job.attempts, job.worker)
            self._memory.changed(job)
        try:
            await self._transport.acknowledge(arrived)
        except BrokerUnavailable:
            log.warning("job %s: its outcome will come once more", arrived.outcome.job)

    async def _store(self, arrived: Arrived) -> Job | None:
        """Make the outcome the job's; None if the job was over before."""
        outcome = arrived.outcome
        if outcome.kind == "rendered" and self._memory.line.is_out(outcome.job):
            # What memory knows to be with a worker needs no look-up; the table's guard decides all the same.
            return await self._rendered(outcome, arrived.pictures)
        job = await self._table.find(outcome.job)
        if job is None or job.state not in LIVE:
            return None
        match outcome.kind:
            case "rendered":
                return await self._rendered(outcome, arrived.pictures)
            case "failed" | "dead":
                if outcome.generation < job.generation:
                    return None  # It has been sent again since.
                state = JobState.FAILED if outcome.kind == "failed" else JobState.DEAD
                log.error("job %s is %s: %s", job.id, state, outcome.detail or outcome.error)
                return await self._table.broken(
                    job.id,
                    state=state,
                    error=outcome.error or "broken",
                    attempts=outcome.attempt,
                    detail=outcome.detail,
                )
            case "returned":
                # The attempt was not the job's fault, so it does not count.
                return await self._table.requeue(
                    job.id, generation=outcome.generation, attempts=max(0, outcome.attempt - 1)
                )

    async def _rendered(self, outcome: Outcome, pictures: tuple[bytes, ...]) -> Job | None:
        names = await self._pictures.put(outcome.job, pictures)
        return await self._table.rendered(
            outcome.job,
            pictures=names,
            metadata=outcome.metadata,
            seconds=outcome.seconds,
            attempts=outcome.attempt,
            worker=outcome.worker or None,
        )
