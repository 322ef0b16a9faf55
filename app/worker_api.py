"""What an operator's programs ask of a worker process: /metrics, /healthz, /readyz; for whom the API is for.

No worker waits for it: where no port is free it draws without.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from ..web.connections import serve_app
from ..web.guard import answer_problems, make_guard
from ..web.options import WebOptions
from .errors import AppError
from .machine import address_of, listen

log = logging.getLogger(__name__)

#: Ports that are tried, from [web] worker_port on: one for each worker of a machine.
PORTS = 16


@asynccontextmanager
async def operator_api(
    options: WebOptions, registry: CollectorRegistry, lacking: Callable[[], str | None]
) -> AsyncGenerator[str | None]:
    """Answer until the block is left; gives the address, None where nothing listens. `lacking`: why it cannot draw
    now, in words; None while it can."""
    listener = _free(options) if options.worker_port else None
    if listener is None:
        if options.worker_port:
            log.warning("no /metrics: the ports from [web] worker_port=%d on are taken", options.worker_port)
        yield None
        return

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        reason = lacking()
        body = {"status": "ready"} if reason is None else {"status": "not ready", "lacking": reason}
        return web.json_response(body, status=200 if reason is None else 503)

    app = web.Application(middlewares=[answer_problems, make_guard(options)])
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    with listener:
        async with serve_app(app, listener, options):
            address = address_of(listener)
            log.info("metrics ready url=%s/metrics", address)
            yield address


def _free(options: WebOptions) -> socket.socket | None:
    """The first free port of this worker's."""
    for port in range(options.worker_port, options.worker_port + PORTS):
        with contextlib.suppress(AppError):
            return listen(options.model_copy(update={"port": port}))
    return None
