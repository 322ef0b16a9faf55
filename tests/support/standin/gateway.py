"""The gateway, version 10: hello, heartbeat, identify, events with numbers, resume with replay, and its own faults."""

from __future__ import annotations

import asyncio
import json
import secrets
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from . import payloads
from .records import Json
from .rest import cut
from .world import GUILDS, Guild, World

DISPATCH, HEARTBEAT, IDENTIFY, PRESENCE, VOICE, RESUME, RECONNECT, MEMBERS, INVALID, HELLO, ACK = (
    0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11,
)  # fmt: skip
#: Intents that need approval, and how many intents there are.
PRIVILEGED = {"members": 1 << 1, "presences": 1 << 8, "message_content": 1 << 15}
ALL_INTENTS = (1 << 27) - 1
#: Longest payload that a client may send, in bytes, and most payloads in a minute.
MAX_PAYLOAD, MAX_PER_MINUTE = 4096, 120


@dataclass(eq=False, slots=True)
class Session:
    """What READY opened: it outlives its connection, and keeps every event for a RESUME."""

    intents: int
    shard: list[int] | None
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    events: list[str] = field(default_factory=list[str])
    connection: Connection | None = None

    def concerned(self, guild: int) -> bool:
        """Whether events of this server come here; those of none (0) go to the first shard."""
        return self.shard is None or (guild >> 22) % self.shard[1] == self.shard[0]

    def dispatch(self, name: str, data: Json) -> None:
        self.events.append(json.dumps({"op": DISPATCH, "t": name, "s": len(self.events) + 1, "d": data}))
        if self.connection is not None:
            self.connection.put(self.events[-1])


class Connection:
    """One WebSocket; writing goes through a queue, so that anybody may send without waiting."""

    def __init__(self, http: web.Request) -> None:
        self.http = http
        self.ws = web.WebSocketResponse(compress=False, autoping=True, timeout=0.5)
        self.session: Session | None = None
        #: The close code that the stand-in chose, if it closed.
        self.closing: int | None = None
        self._outgoing: asyncio.Queue[str | int] = asyncio.Queue()
        self._squeeze = _compressor(http.query.get("compress"))

    def put(self, payload: str | Json) -> None:
        self._outgoing.put_nowait(payload if isinstance(payload, str) else json.dumps(payload))

    def close(self, code: int) -> None:
        """Close after what is already on its way."""
        self.closing = code
        self._outgoing.put_nowait(code)

    def abort(self) -> None:
        self.closing = 1006
        cut(self.http)

    async def write(self) -> None:
        while True:
            item = await self._outgoing.get()
            try:
                if isinstance(item, int):
                    await self.ws.close(code=item)
                    return
                if self._squeeze is None:
                    await self.ws.send_str(item)
                else:
                    await self.ws.send_bytes(self._squeeze(item.encode()))
            except (ConnectionError, RuntimeError):
                return


class Gateway:
    """All sessions of the bot."""

    def __init__(
        self, world: World, token: str, *, heartbeat_seconds: float, approved_intents: Collection[str]
    ) -> None:
        self.world = world
        self.heartbeat_seconds = heartbeat_seconds
        self.mute_heartbeats = False
        self.refuse_identify: int | None = None
        self.identifies = 0
        self.resumes = 0
        self.heartbeats = 0
        self.presence: Json | None = None
        self.sessions: dict[str, Session] = {}
        self.connections: set[Connection] = set()
        self._token = token
        self._forbidden = sum(bit for name, bit in PRIVILEGED.items() if name not in approved_intents)
        world.announce = self.announce

    def attach(self, application: web.Application) -> None:
        for path in ("/gateway", "/gateway/", "/gateway/resume", "/gateway/resume/"):
            application.router.add_get(path, self.serve)

    @property
    def attached(self) -> list[Session]:
        """Sessions that have a connection now."""
        return [session for session in self.sessions.values() if session.connection is not None]

    def announce(self, event: str, data: Json, intent: int, guild: Guild | None = None) -> None:
        """Send an event to every session that asked for its intent (0 = everybody) and whose shard it concerns."""
        if guild is not None and not guild.has_bot:
            return
        number = int(data.get("guild_id") or (guild.id if guild is not None else 0))
        for session in self.sessions.values():
            if (intent == 0 or session.intents & intent) and session.concerned(number):
                session.dispatch(event, data)

    def forget(self) -> None:
        """No session can be resumed any more."""
        self.sessions.clear()

    def broadcast(self, payload: Json) -> None:
        """To every connection that has a session."""
        for session in self.attached:
            if session.connection is not None:
                session.connection.put(payload)

    def hang_up(self, code: int | None) -> None:
        """Close every connection with this code; None = reset it. What happens from now on waits for a RESUME."""
        for connection in self.connections:
            if code is None:
                connection.abort()
            else:
                connection.close(code)
            if connection.session is not None:
                connection.session.connection = None

    async def serve(self, http: web.Request) -> web.StreamResponse:
        connection = Connection(http)
        await connection.ws.prepare(http)
        self.connections.add(connection)
        writer = asyncio.create_task(connection.write())
        try:
            if http.query.get("v") != "10" or http.query.get("encoding") != "json":
                connection.close(4012)
            connection.put({"op": HELLO, "d": {"heartbeat_interval": int(self.heartbeat_seconds * 1000)}})
            await self._read(connection)
        finally:
            self.connections.discard(connection)
            self._detach(connection)
            if connection.closing is None or connection.closing == 1006:
                writer.cancel()
            await asyncio.wait([writer])
        return connection.ws

    def _detach(self, connection: Connection) -> None:
        session = connection.session
        if session is not None and session.connection is connection:
            session.connection = None
            # A client that says goodbye ends its session; a lost connection does not.
            if connection.closing is None and connection.ws.close_code in (1000, 1001):
                self.sessions.pop(session.id, None)
        self.world.changes.notify()

    async def _read(self, connection: Connection) -> None:
        times: list[float] = []
        loop = asyncio.get_running_loop()
        while True:
            try:
                message = await connection.ws.receive(timeout=self.heartbeat_seconds * 2)
            except TimeoutError:
                connection.close(4009)
                return
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            times = [each for each in times if loop.time() - each < 60] + [loop.time()]
            if len(times) > MAX_PER_MINUTE:
                connection.close(4008)
                continue
            try:
                payload = json.loads(message.data)
            except ValueError:
                payload = None
            if len(message.data) > MAX_PAYLOAD or not isinstance(payload, dict):
                self.world.blame("gateway", "payload", "not a JSON object of at most 4096 bytes")
                connection.close(4002)
                continue
            self._handle(connection, payload)
            self.world.changes.notify()

    def _handle(self, connection: Connection, payload: Json) -> None:
        op: Any = payload.get("op")
        data: Json = payload["d"] if isinstance(payload.get("d"), dict) else {}
        if op == HEARTBEAT:
            self.heartbeats += 1
            if not self.mute_heartbeats:
                connection.put({"op": ACK})
        elif op in (IDENTIFY, RESUME):
            if connection.session is not None:
                connection.close(4005)
            elif data.get("token", "").removeprefix("Bot ") != self._token:
                connection.close(4004)
            elif op == IDENTIFY:
                self._identify(connection, data)
            else:
                self._resume(connection, data)
        elif connection.session is None:
            connection.close(4003)
        elif op == PRESENCE:
            self.presence = data
        elif op not in (VOICE, MEMBERS):
            self.world.blame("gateway", f"op {op}", "unknown opcode")
            connection.close(4001)

    def _identify(self, connection: Connection, data: Json) -> None:
        for key in ("properties", "intents"):
            if key not in data:
                self.world.blame("gateway", "identify", f"{key} is missing")
        intents, shard = int(data.get("intents", 0)), data.get("shard")
        self.identifies += 1
        if self.refuse_identify is not None:
            connection.close(self.refuse_identify)
        elif intents & ~ALL_INTENTS:
            connection.close(4013)
        elif intents & self._forbidden:
            connection.close(4014)
        elif shard is not None and not 0 <= shard[0] < shard[1]:
            connection.close(4010)
        else:
            self.presence = data.get("presence") or self.presence
            self._ready(connection, Session(intents, shard))

    def _ready(self, connection: Connection, session: Session) -> None:
        self.sessions[session.id] = session
        session.connection, connection.session = connection, session
        guilds = [guild for guild in self.world.guilds.values() if guild.has_bot and session.concerned(guild.id)]
        ready: dict[str, Any] = {
            "v": 10,
            "user": payloads.me(self.world),
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": self.world.base_url.replace("http", "ws", 1) + "/gateway/resume",
            "application": {"id": str(self.world.application_id), "flags": 0},
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
            "private_channels": [],
            "relationships": [],
            "_trace": [],
        }
        if session.shard is not None:
            ready["shard"] = session.shard
        session.dispatch("READY", ready)
        if session.intents & GUILDS:
            for guild in guilds:
                session.dispatch("GUILD_CREATE", payloads.guild_create(guild))

    def _resume(self, connection: Connection, data: Json) -> None:
        """Send what was missed, then RESUMED; a session that is gone has to identify again."""
        session = self.sessions.get(data.get("session_id", ""))
        sequence = data.get("seq")
        if session is None:
            connection.put({"op": INVALID, "d": False})
        elif not isinstance(sequence, int) or sequence > len(session.events):
            connection.close(4007)
        else:
            self.resumes += 1
            if session.connection is not None:
                session.connection.session = None
            session.connection, connection.session = connection, session
            for event in session.events[sequence:]:
                connection.put(event)
            session.dispatch("RESUMED", {"_trace": []})


def _compressor(kind: str | None) -> Callable[[bytes], bytes] | None:
    """One stream for the whole connection, flushed after each payload."""
    if kind == "zlib-stream":
        stream = zlib.compressobj()
        return lambda data: stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)
    if kind == "zstd-stream":
        # Only a client that has the package asks for it.
        import zstandard  # pyright: ignore[reportMissingImports]

        zstd = zstandard.ZstdCompressor().compressobj()
        return lambda data: zstd.compress(data) + zstd.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return None
