"""Who may hold a connection to the API open, and for how long.

asyncio and aiohttp accept whoever comes and wait for ever, so a few hundred silent connections would use up the file
descriptors of the whole process. Here every connection has an end:

    no complete request head within HEAD_SECONDS of connecting, or IDLE_SECONDS after the last answer    closed
    an answer that nobody reads for STALLED_SECONDS                                                      aborted
    more than `[web] max_connections_per_address` from one address, or OTHERS from other machines        503, closed
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from socket import socket
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from .guard import is_loopback
from .options import WebOptions

log = logging.getLogger(__name__)

HEAD_SECONDS = 10.0
IDLE_SECONDS = 30.0
STALLED_SECONDS = 60.0
#: Connections of all other machines together; this machine's own do not count, so that they cannot lock it out.
OTHERS = 256
#: Seconds between two lines of the log about refused connections.
SAY_EVERY = 60.0

_BODY = json.dumps({"error": "too_many_connections", "message": "too many connections are open; close some"}).encode()
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 10\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


@asynccontextmanager
async def serve_app(app: web.Application, listener: socket, options: WebOptions) -> AsyncGenerator[None]:
    """Answer on the bound socket until the block is left."""
    doors = Doors(options.max_connections_per_address)
    app.middlewares.insert(0, doors.middleware)
    # Packed bodies are refused (web/server.py): aiohttp would unpack them before anybody has looked at the request.
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=2.0,
        auto_decompress=False,
        lingering_time=2.0,
        logger=_ServerLog(logging.getLogger("aiohttp.server")),
    )
    await runner.setup()
    server = runner.server
    assert server is not None
    listening = await asyncio.get_running_loop().create_server(
        lambda: _Door(server(), doors), sock=listener, backlog=128
    )
    try:
        yield
    finally:
        listening.close()
        await runner.cleanup()


class _ServerLog(logging.LoggerAdapter[logging.Logger]):
    """aiohttp logs a fault with a traceback for whatever cannot be read; it is the sender's, and no news."""

    def exception(self, msg: object, *args: object, exc_info: Any = True, **more: Any) -> None:
        error = exc_info if isinstance(exc_info, BaseException) else sys.exc_info()[1]
        if isinstance(error, HttpProcessingError | web.RequestPayloadError):
            self.debug("a request cannot be read reason=%s", type(error).__name__)
        else:
            super().exception(msg, *args, exc_info=exc_info, **more)


def origin_of(address: str) -> str:
    """What connections are counted by: an IPv4 address, or the /64 network that one IPv6 customer has to himself."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


class Doors:
    """Counts connections and knows which of them wait for a request."""

    def __init__(self, per_address: int) -> None:
        self._per_address = per_address
        self._open: Counter[str] = Counter()
        self._others = 0
        self._refused = 0
        self._said = float("-inf")
        self._by_transport: dict[asyncio.BaseTransport, _Door] = {}

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Outermost: a request that has arrived whole stops the clock of its connection."""
        door = self._by_transport.get(request.transport) if request.transport is not None else None
        if door is None:
            return await handler(request)
        door.wait_for_request(None)
        try:
            return await handler(request)
        finally:
            # Writing the answer comes after this; `pause_writing` watches over that.
            door.wait_for_request(IDLE_SECONDS)

    def enter(self, door: _Door, transport: asyncio.BaseTransport, address: str) -> bool:
        """Whether one more connection from there may stay."""
        origin, here = origin_of(address), is_loopback(address)
        if self._open[origin] >= self._per_address or (not here and self._others >= OTHERS):
            self._refuse(origin)
            return False
        self._open[origin] += 1
        self._others += not here
        self._by_transport[transport] = door
        return True

    def leave(self, transport: asyncio.BaseTransport, address: str) -> None:
        if transport not in self._by_transport:
            return
        del self._by_transport[transport]
        origin = origin_of(address)
        self._open[origin] -= 1
        if not self._open[origin]:
            del self._open[origin]
        self._others -= not is_loopback(address)

    def _refuse(self, origin: str) -> None:
        self._refused += 1
        now = time.monotonic()
        if now - self._said >= SAY_EVERY:
            log.warning(
                "too many connections, refused=%d last_from=%s open=%d", self._refused, origin, len(self._by_transport)
            )
            self._said, self._refused = now, 0


class _Door(asyncio.Protocol):
    """One connection: aiohttp's protocol behind a clock."""

    def __init__(self, inner: asyncio.Protocol, doors: Doors) -> None:
        self._inner = inner
        self._doors = doors
        self._transport: asyncio.Transport | None = None
        self._address = ""
        self._clock: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        peer = transport.get_extra_info("peername")
        self._address = str(cast("tuple[Any, ...]", peer)[0]) if isinstance(peer, tuple) else ""
        if not self._doors.enter(self, transport, self._address):
            transport.write(_REFUSAL)
            transport.close()
            return
        self._transport = transport
        self.wait_for_request(HEAD_SECONDS)
        self._inner.connection_made(transport)

    def wait_for_request(self, seconds: float | None) -> None:
        """Close the connection unless a request comes within these seconds; None: it has come."""
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
        if seconds is not None and self._transport is not None:
            self._clock = asyncio.get_running_loop().call_later(seconds, self._transport.close)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._transport is not None else None

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._stalled = asyncio.get_running_loop().call_later(STALLED_SECONDS, self._transport.abort)
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._transport is not None:
            if self._stalled is not None:
                self._stalled.cancel()
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        for timer in (self._clock, self._stalled):
            if timer is not None:
                timer.cancel()
        self._doors.leave(self._transport, self._address)
        self._transport = None
        self._inner.connection_lost(exc)
