"""The connection to nats-server: dials until it is there, notices when it is gone, dials again.

Every new connection starts afresh: its owner subscribes again in `prepare`. This keeps one way of (re)connecting, and
acknowledgements may travel over another connection than the message did.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import NoServersError
from nats.js import JetStreamContext

from .errors import BrokerUnavailable
from .tasks import end

JOBS, RESULTS, PARTS = "JOBS", "RES", "PARTS"
#: The workers' consumer of JOBS, and the control process's of RES.
WORKERS, CONTROL = "gpu", "control"
JOBS_SUBJECT = "jobs.gpu"
#: What one message carries at most; nats-server is set to it.
MAX_PAYLOAD = 8 * 1024 * 1024
#: Pictures above this many bytes travel in parts of this size.
PART = 4 * 1024 * 1024
#: Errors of a connection that is breaking, closed or slow.
ERRORS = (NatsError, OSError, asyncio.TimeoutError)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """One established connection."""

    client: Client
    js: JetStreamContext
    closed: asyncio.Event

    async def listen(self, subject: str, hear: Callable[[Msg], Awaitable[None]]) -> Subscription:
        client: Any = self.client  # Its annotations are incomplete.
        subscription: Subscription = await client.subscribe(subject, cb=hear)
        return subscription


class Connection:
    """Keeps one session with nats-server."""

    def __init__(
        self,
        urls: str,
        token: str,
        *,
        name: str,
        prepare: Callable[[Session], Awaitable[None]],
        established: Callable[[], None] | None = None,
    ) -> None:
        """`urls`: one or several, parted by commas.

        `prepare` is awaited on each new session before others see it, `established` is called once they do.
        """
        self._urls = [url.strip() for url in urls.split(",") if url.strip()]
        self._token = token
        self._name = name
        self._prepare = prepare
        self._established = established
        self._session: Session | None = None
        self._change = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        #: Why there is no connection, for the owner.
        self.problem: str | None = None
        #: The server refused the token.
        self.refused = False

    @property
    def session(self) -> Session | None:
        """The session, when there is one that works."""
        session = self._session
        return None if session is None or session.closed.is_set() else session

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="nats connection")

    async def ready(self) -> Session:
        """Wait for a session."""
        async with self._change:
            await self._change.wait_for(lambda: self.session is not None)
        assert self._session is not None
        return self._session

    async def refusal(self) -> None:
        """Wait until the server refuses the token."""
        async with self._change:
            await self._change.wait_for(lambda: self.refused)

    def require(self) -> Session:
        """Raises: BrokerUnavailable when there is no session."""
        if self.session is None or self._session is None:
            raise BrokerUnavailable(self.problem or "nats-server is not connected")
        return self._session

    async def publish(self, subject: str, payload: bytes = b"") -> bool:
        """Send without waiting for an answer; False when it could not be sent."""
        session = self.session
        if session is None:
            return False
        try:
            await session.client.publish(subject, payload)
        except ERRORS:
            return False
        return True

    async def close(self) -> None:
        """Send what is buffered and close. Does not drain: that hangs while a fetch is outstanding."""
        if self._task is not None:
            await end([self._task])
        if self._session is not None:
            await _hang_up(self._session.client)
            self._session.closed.set()
            self._session = None

    async def _run(self) -> None:
        wait = 0.05
        while True:
            # Dial until a session stands.
            session = await self._dial()
            if session is None:
                await asyncio.sleep(wait)
                wait = min(wait * 2, 1.0)
                continue
            wait = 0.05
            # Let others use it until it breaks.
            async with self._change:
                self._session, self.problem, self.refused = session, None, False
                self._change.notify_all()
            if self._established is not None:
                self._established()
            await session.closed.wait()
            self.problem = "nats-server hung up"
            self._session = None
            await _hang_up(session.client)

    async def _dial(self) -> Session | None:
        client, closed = Client(), asyncio.Event()
        said: list[Exception] = []

        async def on_closed() -> None:
            closed.set()

        async def on_error(problem: Exception) -> None:
            said[:] = [problem]
            log.debug("nats: %s", type(problem).__name__)

        try:
            await client.connect(
                self._urls,
                name=self._name,
                token=self._token or None,
                # A lost connection closes the client; `_run` makes a new one at once.
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=2,
                ping_interval=5,
                closed_cb=on_closed,
                error_cb=on_error,
            )
            session = Session(client, JetStreamContext(client, timeout=5), closed)
            await self._prepare(session)
        except asyncio.CancelledError:
            await _hang_up(client)
            raise
        except (*ERRORS, BrokerUnavailable) as problem:
            # "No servers available" tells less than what happened at the last of them.
            await self._fail(client, said[-1] if said and isinstance(problem, NoServersError) else problem)
            return None
        return session

    async def _fail(self, client: Client, problem: Exception) -> None:
        refused = "authorization violation" in str(problem).lower()
        text = "it refuses the token" if refused else str(problem) or type(problem).__name__
        if self.problem is None or refused != self.refused:
            log.warning("nats-server cannot be used, trying on: %s", text)
        async with self._change:
            self.problem, self.refused = f"nats-server cannot be used: {text}", refused
            self._change.notify_all()
        await _hang_up(client)


async def _hang_up(client: Client) -> None:
    try:
        if client.is_connected:
            await client.flush(1)
        await client.close()
    except (*ERRORS, AttributeError, RuntimeError):
        pass  # It was broken already; closing a half-open client complains in many ways.


class Puller:
    """Takes messages one by one from a durable consumer.

    Nothing is lost when `next` is cancelled: what then arrives is kept for the next call, or for `stop`.
    """

    #: Seconds after which the server forgets a request for a message, and we ask again.
    EXPIRES = 10.0

    def __init__(self, connection: Connection, stream: str, consumer: str) -> None:
        self._connection = connection
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._request = b'{"batch":1,"expires":%d}' % int(self.EXPIRES * 1e9)
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._inbox = ""
        self._subscription: Subscription | None = None
        #: Loop time until which a request of ours is pending at the server.
        self._asked_until = 0.0

    async def attach(self, session: Session) -> None:
        """Listen on a new session; requests made on the old one are void."""
        self._inbox = session.client.new_inbox()
        self._subscription = await session.listen(self._inbox, self._on_message)
        self._asked_until = 0.0
        self._arrived.put_nowait(None)  # Wakes `next`, which asks again.

    async def _on_message(self, message: Msg) -> None:
        self._arrived.put_nowait(message)

    async def next(self) -> Msg:
        """The next message, across lost connections."""
        loop = asyncio.get_running_loop()
        while True:
            if self._arrived.empty() and loop.time() >= self._asked_until:
                session = await self._connection.ready()
                try:
                    await session.client.publish(self._subject, self._request, reply=self._inbox)
                except ERRORS:
                    await asyncio.sleep(0.05)
                    continue
                self._asked_until = loop.time() + self.EXPIRES + 1.0
            try:
                async with asyncio.timeout_at(self._asked_until if self._arrived.empty() else None):
                    message = await self._arrived.get()
            except TimeoutError:
                continue
            if message is None:
                continue
            status = (message.headers or {}).get("Status")
            self._asked_until = 0.0
            if status is None:
                return message
            if status != "408":  # 408: our request expired. Others: no consumer yet, too many requests, shutting down.
                await asyncio.sleep(0.25)

    async def stop(self) -> list[Msg]:
        """Ask for no more; gives what had arrived."""
        session = self._connection.session
        if session is not None and self._subscription is not None:
            try:
                async with asyncio.timeout(2):
                    # Unlike unsubscribing, this waits for messages under way.
                    await self._subscription.drain()
            except ERRORS:
                pass
        left: list[Msg] = []
        while not self._arrived.empty():
            message = self._arrived.get_nowait()
            if message is not None and not (message.headers or {}).get("Status"):
                left.append(message)
        return left
