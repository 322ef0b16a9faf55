"""The connection to nats-server: dials until it is there, notices when it is gone, dials again.

Every new connection starts afresh: its owner subscribes again in `prepare`. This keeps one way of (re)connecting, and
acknowledgements may travel over another connection than the message did.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import NoServersError
from nats.js import JetStreamContext

from ..errors import BrokerUnavailable, QueueUnavailable
from ..tasks import end

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


#: What stands above the two parts of a file of credentials.
_CREDS = ("BEGIN NATS USER JWT", "BEGIN USER NKEY SEED")


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to get in. Files are looked at when a connection is made."""

    token: str = ""
    #: JWT and seed, as `nsc generate creds` writes them.
    creds_file: str = ""
    #: Who signed the server's certificate; empty: those that this machine trusts.
    ca_file: str = ""
    #: Certificate and key of this side, where the server asks for them.
    cert_file: str = ""
    key_file: str = ""

    def check(self) -> None:
        """Raises: QueueUnavailable when a file is not there or cannot be used."""
        for name, file in (("nats_creds_file", self.creds_file), ("nats_ca_file", self.ca_file),
                           ("nats_cert_file", self.cert_file), ("nats_key_file", self.key_file)):  # fmt: skip
            if file and not Path(file).is_file():
                raise QueueUnavailable(f"[queue] {name} names {file}, which is no file")
        if self.creds_file and not all(sign in _read(self.creds_file) for sign in _CREDS):
            raise QueueUnavailable(
                f"[queue] nats_creds_file: {self.creds_file} holds no JWT and seed as `nsc generate creds` writes them"
            )
        self.context(())

    def context(self, urls: Sequence[str]) -> ssl.SSLContext | None:
        """For TLS, where an address or a file asks for it."""
        addresses = [urlsplit(url) for url in urls]
        if not (self.ca_file or self.cert_file or any(address.scheme in ("tls", "wss") for address in addresses)):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
            if addresses and all(address.hostname in ("127.0.0.1", "::1", "localhost") for address in addresses):
                # A certificate names the machine as others see it, and this traffic does not leave it.
                context = unchecked_tls()
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file or None)
        except (ssl.SSLError, OSError) as problem:
            raise QueueUnavailable(
                f"a certificate or key for nats-server cannot be used ({problem}): see [queue] nats_ca_file, "
                "nats_cert_file and nats_key_file"
            ) from None
        return context


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as problem:
        raise QueueUnavailable(f"{path} cannot be read ({problem.strerror})") from None


def unchecked_tls() -> ssl.SSLContext:
    """TLS with whoever answers: for this machine's own server, which the token identifies."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


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
        established: Callable[[], None] | None = None,
    ) -> None:
        """`urls`: one or several, parted by commas.

        `prepare` is awaited on each new session before others see it, `established` is called once they do.
        """
        self._urls = [url.strip() for url in urls.split(",") if url.strip()]
        self._credentials = Credentials(token=credentials) if isinstance(credentials, str) else credentials
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
        #: It cannot be reached by TLS as it is set up.
        self.mismatched = False

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


class Puller:
    """Takes messages from a durable consumer, in the order of arrival.

    Nothing is lost when `next` is cancelled: what then arrives is kept for the next call, or for `stop`.
    """

    #: Seconds after which the server forgets a request for messages, and we ask again.
    EXPIRES = 10.0

    def __init__(self, connection: Connection, stream: str, consumer: str, *, batch: int = 1) -> None:
        """`batch`: how many messages may come for one request, asked for or not yet."""
        self._connection = connection
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._request = b'{"batch":%d,"expires":%d}' % (batch, int(self.EXPIRES * 1e9))
        self._batch = batch
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._inbox = ""
        self._subscription: Subscription | None = None
        #: Loop time until which a request of ours is pending at the server, and what may come for it yet.
        self._asked_until = 0.0
        self._due = 0

    async def attach(self, session: Session) -> None:
        """Listen on a new session; requests made on the old one are void."""
        self._inbox = session.client.new_inbox()
        self._subscription = await session.listen(self._inbox, self._on_message)
        self._asked_until, self._due = 0.0, 0
        self._arrived.put_nowait(None)  # Wakes `next`, which asks again.

    async def _on_message(self, message: Msg) -> None:
        self._arrived.put_nowait(message)

    async def next(self) -> Msg:
        """The next message, across lost connections."""
        loop = asyncio.get_running_loop()
        while True:
            if self._arrived.empty() and (self._due <= 0 or loop.time() >= self._asked_until):
                session = await self._connection.ready()
                try:
                    await session.client.publish(self._subject, self._request, reply=self._inbox)
                except ERRORS:
                    await asyncio.sleep(0.05)
                    continue
                self._asked_until, self._due = loop.time() + self.EXPIRES + 1.0, self._batch
            try:
                async with asyncio.timeout_at(self._asked_until if self._arrived.empty() else None):
                    message = await self._arrived.get()
            except TimeoutError:
                continue
            if message is None:
                continue
            status = (message.headers or {}).get("Status")
            if status is None:
                self._due -= 1
                return message
            self._due = 0
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
