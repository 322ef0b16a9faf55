"""What the bot's tests stand on: a real queue with a worker in this process, and a bot at the stand-in Discord.

Only the drawing is not real: an `Easel` paints plain pictures at once, or does what a test says. Run as a program it
is a bot without a worker in a process of its own, for tests that kill it.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from PIL import Image
from standin.driver import StandIn

from daguerre.bot.client import Backend
from daguerre.bot.connection import run_bot
from daguerre.bot.options import DiscordOptions
from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.errors import RenderRefused
from daguerre.queue.moderation.origin import ReadOrigin
from daguerre.queue.options import QueueOptions
from daguerre.queue.prompt.vocabulary import Vocabulary
from daguerre.queue.records.jobs import Job, JobState, Rendered
from daguerre.queue.records.requests import ImageRequest
from daguerre.queue.records.usual import Usual
from daguerre.queue.worker.loop import Worker
from daguerre.queue.worker.settings import JobContext, WorkerSettings

WORDS = Vocabulary(["apple", "pizza", "rocket"], ["apple", "apples", "pizza", "rocket"], ["a", "red", "on", "green"])


def png(seed: int, width: int, height: int) -> bytes:
    """A real PNG, its colour made of the seed."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (seed % 256, 80, 120)).save(buffer, "PNG")
    return buffer.getvalue()


class Easel:
    """A worker's handler."""

    def __init__(self) -> None:
        #: Requests in the order in which they were begun.
        self.begun: list[ImageRequest] = []
        #: Cleared: pictures wait at their last step.
        self.go = asyncio.Event()
        self.go.set()
        #: Sent with the progress.
        self.preview: bytes | None = None
        #: Raised instead of drawing.
        self.error: Exception | None = None
        #: What is said about the pictures.
        self.metadata: dict[str, Any] = {"model": "test"}

    async def __call__(self, request: ImageRequest, context: JobContext) -> Rendered:
        self.begun.append(request)
        if self.error is not None:
            raise self.error
        while True:
            # Progress is lossy, so a worker that hangs at one step says so again and again.
            await context.progress(request.steps // 2, request.steps, self.preview)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.go.wait(), 0.1)
                break
        return Rendered(tuple(png(seed, request.width, request.height) for seed in request.seeds), self.metadata, 0.1)

    def refuse(self, code: str) -> None:
        self.error = RenderRefused(code, "the test says so")


@asynccontextmanager
async def a_queue(folder: Path, **options: object) -> AsyncGenerator[Queue]:
    """A real queue: SQLite in `folder`, an own nats-server."""
    async with open_queue(QueueOptions.model_validate({"ack_wait_seconds": 2.0, **options}), folder) as queue:
        yield queue


@asynccontextmanager
async def a_worker(
    queue: Queue,
    easel: Easel,
    slots: int = 1,
    *,
    models: Sequence[str] = (),
    adapters: Sequence[str] | None = None,
    usual: Mapping[str, Usual] | None = None,
    triggers: Mapping[str, str] | None = None,
    embeddings: Sequence[str] = (),
    image_prompts: Sequence[str] = (),
    controls: Sequence[str] | None = None,
) -> AsyncGenerator[None]:
    """A worker in this process, connected when the block begins; it tells of `models` and `adapters` if given any."""
    stop, ready = asyncio.Event(), asyncio.Event()
    worker = Worker(
        easel,
        WorkerSettings(
            nats_url=queue.nats_url,
            nats_token=queue.nats_token,
            name="easel",
            slots=slots,
            drain_seconds=0.1,
            models=models,
            adapters=None if adapters is None else lambda: adapters,
            usual=usual or {},
            triggers=lambda: triggers or {},
            embeddings=lambda: embeddings,
            image_prompts=image_prompts,
            controls=None if controls is None else lambda: controls,
        ),
    )
    task = asyncio.create_task(worker.run(stop, ready.set))
    try:
        await first_of(task, ready, 30)
        await until(queue.workers)
        yield
    finally:
        stop.set()
        async with asyncio.timeout(30):
            await task


@asynccontextmanager
async def a_bot(
    standin: StandIn,
    queue: Queue,
    folder: Path,
    vocabulary: Vocabulary | None = None,
    *,
    token: str | None = None,
    read_origin: ReadOrigin | None = None,
    **options: object,
) -> AsyncGenerator[asyncio.Task[None]]:
    """A bot at the stand-in, ready when the block begins and stopped in good order at its end."""
    given = {"api_base": standin.api_base, "gateway": standin.gateway, "connect_attempts": 1, **options}
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(
        run_bot(
            DiscordOptions.model_validate(given),
            standin.token if token is None else token,
            Backend(queue, folder, vocabulary, read_origin),
            stop,
            ready.set,
        )
    )
    try:
        await first_of(task, ready, 30)
        yield task
    finally:
        stop.set()
        with suppress(asyncio.CancelledError):
            async with asyncio.timeout(30):
                await task


async def first_of(task: asyncio.Task[None], event: asyncio.Event, seconds: float) -> None:
    """Wait for `event`; what `task` raises before comes out here."""
    waiting = asyncio.create_task(event.wait())
    done, _ = await asyncio.wait({task, waiting}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task in done:
        await task
    assert event.is_set(), f"not ready after {seconds} s"


async def until(probe: Callable[[], Any], seconds: float = 30) -> Any:
    """What `probe` gives (awaited if need be) as soon as it is true."""
    async with asyncio.timeout(seconds):
        while True:
            found = probe()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.01)


async def told(queue: Queue, seconds: float = 30) -> None:
    """Every asker has been told the end of every job."""

    async def nothing_left() -> bool:
        return not await queue.pending_notifications()

    await until(nothing_left, seconds)


async def in_state(queue: Queue, state: JobState) -> int:
    """How many jobs are in this state."""
    return (await queue.counts())[state]


async def only_job(queue: Queue) -> Job:
    """The one job whose asker has not been told."""
    (job,) = await queue.pending_notifications()
    return job


async def serve(folder: Path, api_base: str, gateway: str, token: str) -> None:
    """A queue and a bot until the process is killed."""
    options = DiscordOptions(api_base=api_base, gateway=gateway)
    async with a_queue(folder) as queue:
        await run_bot(options, token, Backend(queue, folder), asyncio.Event())


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), *sys.argv[2:]))
