"""The connection to nats-server: dials until it is there, notices when it is gone, dials again.

Every new connection starts afresh: its owner subscribes again in `prepare`. This keeps one way of (re)connecting, and
acknowledgements may travel over another connection than the message did.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import NoServersError
from nats.js import JetStreamContext

from ..errors import BrokerUnavailable
from ..tasks import end
from .credentials import Credentials

JOBS, RESULTS, PARTS, SOURCES = "JOBS", "RES", "PARTS", "SOURCES"
#: The consumer of JOBS of workers without special abilities, and the control process's of RES.
WORKERS, CONTROL = "gpu", "control"
#: Jobs of all groups of workers.
JOBS_SUBJECT = "jobs.*"
#: Where the command line steers the queue.
QUESTIONS = "steer"
#: Where workers tell that outcomes cannot be stored.
TROUBLE = "trouble"
#: What one message carries at most; nats-server is set to it.
MAX_PAYLOAD = 8 * 1024 * 1024
#: Pictures above this many bytes travel in parts of this size.
PART = 4 * 1024 * 1024
#: What of a message's room is left for headers and the like.
MARGIN = 64 * 1024
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
        credentials: Credentials | str,
        *,
        name: str,
        prepare: Callable[[Session], Awaitable[None]],
    ) -> None:
        """`urls`: one or several, comma-separated. `prepare` is awaited on each new session before others see it."""
        self._urls = [url.strip() for url in urls.split(",") if url.strip()]
        self._credentials = Credentials(token=credentials) if isinstance(credentials, str) else credentials
        self._name = name
        self._prepare = prepare
        self._established: Callable[[], None] | None = None
        self._session: Session | None = None
        self._change = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        #: Why there is no connection, for the owner.
        self.problem: str | None = None
        #: The server refused the token.
        self.refused = False
        #: It cannot be reached by TLS as it is set up.
        self.mismatched = False

    @property
    def session(self) -> Session | None:
        """The session, when there is one that works."""
        session = self._session
        return None if session is None or session.closed.is_set() else session

    def start(self, established: Callable[[], None] | None = None) -> None:
        """`established` is called with each new session, once others see it."""
        self._established = established
        self._task = asyncio.create_task(self._run(), name="nats connection")

    async def ready(self) -> Session:
        """Wait for a session."""
        async with self._change:
            await self._change.wait_for(lambda: self.session is not None)
        assert self._session is not None
        return self._session

    async def refusal(self) -> None:
        """Wait until the server refuses us: the token, or the way of encryption."""
        async with self._change:
            await self._change.wait_for(lambda: self.refused or self.mismatched)

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
                self._session, self.problem, self.refused, self.mismatched = session, None, False, False
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
            given = self._credentials
            for url in self._urls:
                # nats-py would go on in the clear, token and all.
                if url.startswith("tls://") and not await _encrypts(url):
                    raise ssl.SSLError("it does not offer TLS")  # noqa: TRY301 (told like the client's own)
            await client.connect(
                self._urls,
                name=self._name,
                token=given.token or None,
                user_credentials=given.creds_file or None,
                tls=given.context(self._urls),
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
        except Exception as problem:
            # Of all kinds: a file of credentials that cannot be used shows itself as an error inside the client. Ending
            # here would end all dialling.
            # "No servers available" tells less than what happened at the last of them.
            await self._fail(client, said[-1] if said and isinstance(problem, NoServersError) else problem)
            return None
        return session

    async def _fail(self, client: Client, problem: Exception) -> None:
        said = str(problem).lower()
        refused = any(sign in said for sign in ("authorization violation", "authentication", "user authentication"))
        mismatched = isinstance(problem, ssl.SSLError) or any(sign in said for sign in _TLS)
        if refused:
            text = "it refuses the token (or the file of [queue] nats_creds_file)"
        elif mismatched:
            text = (
                f"TLS does not fit ({problem}): the address begins with tls:// where the server encrypts, and "
                "[queue] nats_ca_file names who signed its certificate"
            )
        else:
            text = str(problem) or type(problem).__name__
        if self.problem is None or (refused, mismatched) != (self.refused, self.mismatched):
            log.warning("nats-server cannot be used, trying on: %s", text)
        async with self._change:
            self.problem = f"nats-server cannot be used: {text}"
            self.refused, self.mismatched = refused, mismatched
            self._change.notify_all()
        await _hang_up(client)


#: What nats-py and OpenSSL say when one side encrypts and the other does not, or does not trust.
_TLS = ("tls", "ssl", "certificate", "wrong version number")


async def _encrypts(url: str) -> bool:
    """Whether a server's greeting, which comes in the clear, offers TLS. One that is away may."""
    address = urlsplit(url)
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(address.hostname, address.port or 4222)
            greeting = await reader.readline()
            writer.close()
        offer: Any = json.loads(greeting[5:])
        return bool(offer.get("tls_required") or offer.get("tls_available"))
    except (OSError, TimeoutError, ValueError, AttributeError):
        return True


async def _hang_up(client: Client) -> None:
    try:
        if client.is_connected:
            await client.flush(1)
        await client.close()
    except (*ERRORS, AttributeError, RuntimeError, AssertionError):
        pass  # It was broken already; closing a half-open client complains in many ways.
