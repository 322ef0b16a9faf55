"""A worker of the campaign: plain PNG files after a moment, told step by step."""

from __future__ import annotations

import asyncio
import io
import random

from PIL import Image

from daguerre.queue.records.jobs import Rendered
from daguerre.queue.records.requests import ImageRequest
from daguerre.queue.worker.loop import Worker
from daguerre.queue.worker.settings import JobContext, WorkerSettings


async def paint(request: ImageRequest, context: JobContext) -> Rendered:
    chance = random.Random(request.seed)
    steps = 4
    for step in range(1, steps + 1):
        await asyncio.sleep(chance.uniform(0.01, 0.12))
        await context.progress(step, steps)
    pictures: list[bytes] = []
    for seed in request.seeds:
        file = io.BytesIO()
        Image.new("RGB", (16, 16), (seed % 256, 90, 120)).save(file, "PNG")
        pictures.append(file.getvalue())
    return Rendered(tuple(pictures), {"model": "campaign"}, 0.2)


async def main(url: str, token: str, name: str) -> None:
    worker = Worker(
        paint,
        WorkerSettings(
            nats_url=url,
            nats_token=token,
            name=name,
            slots=2,
            drain_seconds=1,
        ),
    )
    await worker.run(asyncio.Event())
