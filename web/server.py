"""The studio and its HTTP API, put together.

GET    /                                   pages for people (web/pages.py)
GET    /healthz                            200 while the queue is up, else 503
GET    /readyz, /metrics                   for an operator's programs (web/operator.py)
GET    /api/v1/openapi.json                every address of the API, by OpenAPI 3.1 (web/openapi.py)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from ..queue.control import Queue
from ..queue.prompt import Vocabulary
from ..queue.texts import Texts
from .asking import Asking
from .context import Studio
from .doors import KNOWN, Doors
from .guard import answer_problems, is_stranger, make_guard
from .jobs_api import JobsApi
from .knowledge_api import KnowledgeApi
from .openapi import document
from .operator import add_operator
from .options import WebOptions
from .pages import Pages
from .pictures_api import PicturesApi
from .queue_api import QueueApi
from .reading import answer
from .servers_api import ServersApi

NO_WORKER = (
    "no worker is connected; jobs wait until one is (scripts/start doctor, in a container daguerre doctor, says what a "
    "worker here lacks)"
)


def make_app(
    queue: Queue,
    options: WebOptions,
    *,
    texts: Texts,
    vocabulary: Vocabulary | None = None,
    about: Callable[[], Mapping[str, Any]] = dict,
    examples: Path | None = None,
    token: str = "",
    data_dir: Path | None = None,
) -> web.Application:
    """The studio on an open queue. `about` adds to what /healthz tells this machine.

    Where the workers of this machine cannot start, its `worker_problem` says why and what to do. `texts` are the
    bot's; `examples` is a picture of everything that the weights know; by `token` other machines sign in (a secret).
    """
    studio = Studio(queue, options, texts, vocabulary, about, examples)
    doors = Doors(options, token)
    guards = [answer_problems, make_guard(options), doors.middleware]
    app = web.Application(middlewares=guards, client_max_size=options.max_body_bytes)
    doors.add_to(app)
    add_operator(app, queue, options, about, data_dir)
    jobs = JobsApi(studio)
    pictures = PicturesApi(studio)
    servers = ServersApi(studio)
    pages = Pages(studio, pictures, servers)
    parts = (jobs, Asking(studio, jobs), pictures, KnowledgeApi(studio), QueueApi(studio), servers, pages)
    for part in parts:
        part.add_to(app)
    described = document()

    async def openapi(_: web.Request) -> web.Response:
        return answer(described)

    async def healthz(request: web.Request) -> web.Response:
        return await _healthz(studio, request)

    app.router.add_get("/api/v1/openapi.json", openapi)
    app.router.add_get("/healthz", healthz)
    return app


async def _healthz(studio: Studio, request: web.Request) -> web.Response:
    health = studio.queue.healthy()
    body: dict[str, Any] = {"status": "ok" if health.ok else "down"}
    if not is_stranger(studio.options, request) and request.get(KNOWN, False):
        about = studio.about()
        reason = about.get("worker_problem")
        idle = f"no worker is connected: {reason}" if reason else NO_WORKER
        body |= {
            "storage": health.storage,
            "broker": health.broker,
            "workers": health.workers,
            "problem": health.problem or (None if health.workers else idle),
            **about,
        }
        if health.storage:
            body["jobs"] = {state.value: count for state, count in (await studio.queue.counts()).items()}
    return web.json_response(body, status=200 if health.ok else 503)
