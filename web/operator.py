"""What an operator's programs ask of the control process: figures for Prometheus, and whether it is ready.

GET /metrics   figures in Prometheus' text format; for whom the API is for
GET /readyz    200 while pictures can be asked for and drawn, else 503 with what is missing; /healthz says "alive"
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ..queue.control import Queue
from ..queue.records import JobState
from .guard import is_stranger
from .options import WebOptions

#: The bot's state in `about` while it can be asked, or is not wanted.
CONNECTED = "ready"
UNWANTED = "off"


def add_operator(
    app: web.Application,
    queue: Queue,
    options: WebOptions,
    about: Callable[[], Mapping[str, Any]],
    data_dir: Path | None,
) -> None:
    """Add both routes. `about` says the bot's state as `bot`; `data_dir`: whose disk is measured."""

    async def metrics(_: web.Request) -> web.Response:
        await _refresh(queue, data_dir)
        return web.Response(body=generate_latest(queue.meters.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def readyz(request: web.Request) -> web.Response:
        lacking = lacking_of(queue, about())
        body: dict[str, Any] = {"status": "not ready" if lacking else "ready"}
        if not is_stranger(options, request):
            body["lacking"] = lacking
        return web.json_response(body, status=503 if lacking else 200)

    app.router.add_get("/metrics", metrics)
    app.router.add_get("/readyz", readyz)


def lacking_of(queue: Queue, about: Mapping[str, Any]) -> list[str]:
    """What keeps a member from getting a picture now, in words."""
    health, bot = queue.healthy(), str(about.get("bot", UNWANTED))
    found = [] if health.ok else [f"queue: {health.problem}"]
    if not health.workers:
        found.append("worker: none is connected")
    if bot != CONNECTED and not bot.startswith(UNWANTED):
        found.append(f"bot: {bot}")
    return found


async def _refresh(queue: Queue, data_dir: Path | None) -> None:
    """Bring up to date what is known only when somebody asks."""
    meters, health = queue.meters, queue.healthy()
    meters.up.labels("storage").set(health.storage)
    meters.up.labels("broker").set(health.broker)
    workers = await queue.workers()
    meters.workers.set(len(workers))
    meters.slots.set(sum(worker.slots for worker in workers))
    meters.busy.set(sum(worker.busy for worker in workers))
    if health.storage:
        counts = await queue.counts()
        for state in JobState:
            meters.jobs.labels(state.value).set(counts.get(state, 0))
    if data_dir is not None:
        meters.disk_free.set(shutil.disk_usage(data_dir).free)
