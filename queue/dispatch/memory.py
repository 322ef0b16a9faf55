"""What the control process remembers about live jobs, kept in step with the table: the line, who runs what, pace."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from contextlib import suppress
from typing import Any, cast

from ..errors import QueueUnavailable
from ..observe import Meters
from ..options import QueueOptions
from ..records import FINISHED, OUT, UNMEASURED, Job, JobState, day, learned
from ..store import JobTable, entry_of
from .event_bus import EventBus
from .line import WaitingLine
from .worker_registry import WorkerRegistry

#: Seconds between two looks at whether the learnt speed is worth storing.
PACE_SECONDS = 30.0
#: Jobs that are kept from their submission, so that sending them costs no look-up.
RECENT = 500


class JobMemory:
    """Follows the table: whoever changes a job's state there tells `entered` or `changed`."""

    def __init__(self, table: JobTable, options: QueueOptions, meters: Meters | None = None) -> None:
        self._table = table
        self.meters = meters or Meters()
        self.line = WaitingLine(relax_share=options.relax_share, limits=options.limits)
        self.registry = WorkerRegistry(options.worker_timeout_seconds)
        self.bus = EventBus()
        #: The attempt of each job that is known to run, so that heartbeats cost no look-up.
        self.running: dict[str, int] = {}
        #: Seconds of device time for each unit of work, as measured.
        self.pace = UNMEASURED
        #: Set when there may be something to send.
        self.wake = asyncio.Event()
        self._recent: OrderedDict[str, Job] = OrderedDict()

    def entered(self, job: Job) -> None:
        """A job was submitted just now."""
        self._recent[job.id] = job
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)
        self.line.enter(entry_of(job))
        self.meters.queued.inc()
        self.bus.changed(job)
        self.bus.moved()
        self.wake.set()

    def take_recent(self, job_id: str) -> Job | None:
        """The job as it was submitted, if that was lately and nothing changed it; it is given once."""
        return self._recent.pop(job_id, None)

    def forget_recent(self) -> None:
        """Have every job looked up in the table before it is sent."""
        self._recent.clear()

    def changed(self, job: Job) -> None:
        """After each change of state: memory follows the table, and followers hear of it."""
        self._recent.pop(job.id, None)
        self._measure(job)
        if job.state is not JobState.RUNNING:
            self.running.pop(job.id, None)
        if job.state is JobState.QUEUED:
            self.line.back(entry_of(job))
        elif job.state in OUT:
            self.line.take(entry_of(job), job.group or "")
        else:
            rendered = job.state is JobState.RENDERED
            self.line.leave(job.id, seconds=job.seconds if rendered else None, now=time.time())
            if rendered:
                self.pace = learned(self.pace, job.request, job.seconds)
        if job.state not in OUT:
            self.wake.set()  # A slot may be free.
        if job.state is JobState.QUEUED or job.state is JobState.CANCELLED:
            self.bus.moved()
        self.bus.changed(job)

    def _measure(self, job: Job) -> None:
        if job.state is JobState.RUNNING and job.attempts <= 1:
            self.meters.waiting.observe(max(0.0, job.changed - job.created))
        elif job.state is JobState.RENDERED:
            self.meters.rendering.observe(job.seconds)
        if job.state in FINISHED:
            self.meters.ended.labels(job.state.value).inc()

    async def recall(self) -> None:
        """Memory as the table has it."""
        paused: Any = await self._table.recall("paused")
        if isinstance(paused, dict):
            held = cast("dict[str, Any]", paused)
            self.line.paused = bool(held.get("all"))
            self.line.paused_servers = {str(server) for server in held.get("servers", ())}
        pace: Any = await self._table.recall("seconds_of_work")
        if isinstance(pace, int | float) and 0 < pace < 1e6:
            self.pace = float(pace)
        now = time.time()
        self.line.recall_usage(await self._table.used(day(now)), now)
        out = await self._table.out()
        self.line.fill(await self._table.waiting(), {entry_of(job): job.group for job in out})

    async def keep_pace(self) -> None:
        """Store now and then what was learnt about the workers' speed."""
        stored = self.pace
        while True:
            await asyncio.sleep(PACE_SECONDS)
            if abs(self.pace - stored) > 0.02 * stored:
                with suppress(QueueUnavailable):
                    await self._table.remember("seconds_of_work", self.pace)
                    stored = self.pace
