"""A worker process for tests. The prompt says what its handler does: `wait FILE`, `die`, or anything else."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from daguerre.queue.records.jobs import Rendered
from daguerre.queue.records.requests import ImageRequest
from daguerre.queue.worker.loop import Worker
from daguerre.queue.worker.settings import JobContext, WorkerSettings


def note(attempt: str) -> None:
    with Path(os.environ["RECORD"]).open("a") as record:
        record.write(f"{attempt}\n")


def absent(name: str) -> bool:
    return not Path(name).exists()


async def handler(request: ImageRequest, context: JobContext) -> Rendered:
    note(f"{context.job}:{context.attempt}")
    what, _, argument = request.prompt.partition(" ")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    while what == "wait" and absent(argument):
        await context.progress(1, 2)
        await asyncio.sleep(0.02)
    return Rendered(pictures=(b"png from a process",))


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    worker = Worker(
        handler,
        WorkerSettings(
            nats_url=os.environ["NATS_URL"],
            nats_token=os.environ["NATS_TOKEN"],
            name=os.environ.get("NAME", "apart"),
            slots=int(os.environ["SLOTS"]),
            drain_seconds=5,
        ),
    )
    await worker.run(stop, lambda: print("ready", flush=True))


if __name__ == "__main__":
    asyncio.run(main())
