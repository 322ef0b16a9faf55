"""The events of one job, for whoever follows it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from ..errors import QueueUnavailable
from ..records import FINISHED, Job, JobState, Progress
from ..store import JobTable
from .event_bus import EventBus


async def follow(bus: EventBus, table: JobTable, job_id: str) -> AsyncGenerator[Job | Progress]:
    """What `Queue.events` gives."""
    with bus.watch(job_id) as watch:
        last = bus.job(job_id) or await table.job(job_id)
        yield last
        while last.state not in FINISHED:
            await watch.wait()
            while watch.changes:
                job = watch.changes.popleft()
                # What `last` tells already is passed over.
                if job.changed > last.changed:
                    last = job
                    yield job
            if last.state in FINISHED:
                return
            if watch.closed:
                raise QueueUnavailable("the queue is being closed")
            if watch.moved:
                watch.moved = False
                if last.state is JobState.QUEUED:
                    yield last
            if watch.progress is not None:
                progress, watch.progress = watch.progress, None
                yield progress
