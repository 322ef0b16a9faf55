"""Takes in how jobs ended at the workers: pictures stored, the table changed exactly once, then acknowledged."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .errors import BrokerUnavailable, QueueUnavailable
from .jobs import LIVE, Job, JobState
from .pictures import PictureStore
from .table import JobTable
from .transport import Arrived, ControlTransport, Outcome

log = logging.getLogger(__name__)

#: Seconds until an outcome that could not be stored is tried again.
LATER = 5.0


class Intake:
    """Construct, then `run` until cancelled."""

    def __init__(
        self, table: JobTable, pictures: PictureStore, transport: ControlTransport, changed: Callable[[Job], None]
    ) -> None:
        """`changed` is called with each job whose state an outcome changed."""
        self._table = table
        self._pictures = pictures
        self._transport = transport
        self._changed = changed
        #: Why the last outcome could not be stored, for the owner.
        self.problem: str | None = None

    async def run(self) -> None:
        async for arrived in self._transport.outcomes():
            try:
                job = await self._store(arrived)
            except QueueUnavailable as problem:
                # Nothing is lost: it lies in NATS until the disk is mended.
                log.warning("job %s: its outcome cannot be stored yet: %s", arrived.outcome.job, problem)
                self.problem = str(problem)
                await self._transport.postpone(arrived, LATER)
                continue
            self.problem = None
            if job is not None:
                self._changed(job)
            try:
                await self._transport.acknowledge(arrived)
            except BrokerUnavailable:
                log.warning("job %s: its outcome will come once more", arrived.outcome.job)

    async def _store(self, arrived: Arrived) -> Job | None:
        """Make the outcome the job's; None if the job was over before."""
        outcome = arrived.outcome
        job = await self._table.find(outcome.job)
        if job is None or job.state not in LIVE:
            return None
        match outcome.kind:
            case "rendered":
                return await self._rendered(outcome, arrived.pictures)
            case "failed" | "dead":
                state = JobState.FAILED if outcome.kind == "failed" else JobState.DEAD
                return await self._table.broken(
                    job.id, state=state, error=outcome.error or "broken", attempts=outcome.attempt
                )
            case "returned":
                # The attempt was not the job's fault, so it does not count.
                return await self._table.requeue(
                    job.id, generation=outcome.generation, attempts=max(0, outcome.attempt - 1)
                )

    async def _rendered(self, outcome: Outcome, pictures: tuple[bytes, ...]) -> Job | None:
        names = [await self._pictures.put(outcome.job, number, picture) for number, picture in enumerate(pictures)]
        return await self._table.rendered(
            outcome.job,
            pictures=names,
            metadata=outcome.metadata,
            seconds=outcome.seconds,
            attempts=outcome.attempt,
        )
