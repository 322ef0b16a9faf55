"""What the queue's tests share: waiting for conditions, requests, workers in this process and in their own."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from inspect import isawaitable
from pathlib import Path
from typing import Any

from daguerre.queue.control.queue import Queue
from daguerre.queue.options import QueueOptions
from daguerre.queue.records.jobs import Job, JobState, Rendered
from daguerre.queue.records.requests import ImageRequest, image_request
from daguerre.queue.worker.loop import Worker
from daguerre.queue.worker.settings import Handler, JobContext, WorkerSettings

#: Short leases and frequent mending, so that a test of a crash takes a second.
QUICK = QueueOptions(ack_wait_seconds=1.0, reconcile_seconds=1.0, worker_timeout_seconds=1.5)
WORKER_PROCESS = Path(__file__).parent / "queue_worker_process.py"


async def until(condition: Callable[[], Any | Awaitable[Any]], seconds: float = 20.0) -> Any:
    """Wait until the condition holds; gives what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, "the condition never held"
        await asyncio.sleep(0.01)


def asked(prompt: str = "a red apple", **fields: Any) -> ImageRequest:
    return image_request(**{"prompt": prompt, "seed": 7, **fields})


async def stored_pictures(queue: Queue, job_id: str) -> tuple[bytes, ...]:
    """The files of a job as they lie in the store, whatever the gate would say."""
    return tuple([await queue._pictures.get(name) for name in (await queue.job(job_id)).pictures])


async def submit(queue: Queue, prompt: str = "a red apple", *, key: str = "", member: str = "m", **fields: Any) -> Job:
    """What it begins from, the member has just sent."""
    request = asked(prompt, **fields)
    ticket = await queue.submit(
        request, key=key or f"{prompt}-{time.time_ns()}", member=member, server="s", reply={},
        brought=request.source_names,
    )  # fmt: skip
    return ticket.job


async def state(queue: Queue, job: Job, *wanted: JobState, seconds: float = 20.0) -> Job:
    """Wait until the job is in one of the states."""

    async def reached() -> Job | None:
        now = await queue.job(job.id)
        return now if now.state in wanted else None

    return await until(reached, seconds)


async def paint(request: ImageRequest, context: JobContext) -> Rendered:
    """A handler that is done at once."""
    return Rendered(pictures=tuple(f"png {seed}".encode() for seed in request.seeds), metadata={"digest": "d"})


@asynccontextmanager
async def worker(queue: Queue, handler: Handler = paint, **settings: Any) -> AsyncIterator[asyncio.Event]:
    """A worker in this process; gives the event that stops it."""
    stop, ready = asyncio.Event(), asyncio.Event()
    settings = {"name": "here", "drain_seconds": 0.2, **settings}
    process = Worker(handler, WorkerSettings(nats_url=queue.nats_url, nats_token=queue.nats_token, **settings))
    running = asyncio.create_task(process.run(stop, ready.set))
    try:
        await until(lambda: ready.is_set() or running.done())
        yield stop
    finally:
        stop.set()
        await running


@dataclass(frozen=True)
class Address:
    """Where a worker dials in; a queue has these too."""

    nats_url: str
    nats_token: str


class WorkerProcess:
    """A worker in a process of its own that can be killed. Its handler obeys the prompt (queue_worker_process.py)."""

    def __init__(self, queue: Queue | Address, folder: Path, *, slots: int = 1) -> None:
        self._queue = queue
        self._slots = slots
        #: One line for each attempt begun, by any worker of this folder.
        self.record = folder / "attempts.txt"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        environment = {
            **os.environ,
            "NATS_URL": self._queue.nats_url,
            "NATS_TOKEN": self._queue.nats_token,
            "RECORD": str(self.record),
            "SLOTS": str(self._slots),
        }
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, WORKER_PROCESS, env=environment, stdout=asyncio.subprocess.PIPE
        )
        assert self.process.stdout is not None
        assert await asyncio.wait_for(self.process.stdout.readline(), 30) == b"ready\n"

    def attempts(self) -> list[str]:
        return self.record.read_text().split() if self.record.exists() else []

    async def kill(self) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()

    async def __aenter__(self) -> WorkerProcess:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
