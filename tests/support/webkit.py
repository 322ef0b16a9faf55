"""The local API on a real socket, and a worker whose handler paints one colour: for tests of `web` and `app`."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from PIL import Image

from daguerre.bot.text import LOCALES
from daguerre.queue.control.queue import Queue
from daguerre.queue.errors import RenderRefused
from daguerre.queue.prompt.vocabulary import Vocabulary
from daguerre.queue.records.jobs import Rendered
from daguerre.queue.records.requests import ImageRequest
from daguerre.queue.texts import Texts
from daguerre.queue.worker.loop import Worker
from daguerre.queue.worker.settings import JobContext, WorkerSettings
from daguerre.web.options import WebOptions
from daguerre.web.server import make_app

Client = TestClient[Any, Any]
Paint = Callable[[ImageRequest, JobContext], Awaitable[Rendered]]


@asynccontextmanager
async def api(queue: Queue, vocabulary: Vocabulary | None = None) -> AsyncIterator[Client]:
    app = make_app(
        queue, WebOptions(max_body_bytes=2_048), texts=Texts(LOCALES), vocabulary=vocabulary,
        about=lambda: {"bot": "off"},
    )  # fmt: skip
    async with TestClient(TestServer(app)) as client:
        yield client


async def paint(request: ImageRequest, context: JobContext) -> Rendered:
    if request.prompt == "refused":
        raise RenderRefused("unrenderable", "never")
    await context.progress(1, request.steps)
    pictures: list[bytes] = []
    for seed in request.seeds:
        file = io.BytesIO()
        Image.new("RGB", (request.width, request.height), (seed % 256, 0, 0)).save(file, "PNG")
        pictures.append(file.getvalue())
    return Rendered(tuple(pictures), {"model": "one colour"}, 0.1)


@asynccontextmanager
async def worker(queue: Queue, handler: Paint = paint, **more: Any) -> AsyncIterator[None]:
    stop = asyncio.Event()
    ready = asyncio.Event()
    worker = Worker(
        handler,
        WorkerSettings(nats_url=queue.nats_url, nats_token=queue.nats_token, name="painter", drain_seconds=0, **more),
    )
    running = asyncio.create_task(worker.run(stop, ready.set))
    await asyncio.wait_for(ready.wait(), 10)
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 10)


async def events(client: Client, job: str) -> list[tuple[str, Any]]:
    """Everything that the event stream of a job says until it ends."""
    answer = await client.get(f"/api/v1/jobs/{job}/events")
    assert answer.content_type == "text/event-stream"
    blocks = [block.splitlines() for block in (await answer.text()).split("\n\n") if block]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]
