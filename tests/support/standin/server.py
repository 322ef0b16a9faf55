"""The listening stand-in: where it is, how it goes away and comes back, and what goes wrong on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from .cdn import Cdn
from .faults import Fault, Faults, matches, rate_limited
from .gateway import INVALID, RECONNECT, Gateway
from .records import Json, Request, Violation
from .rest import API, Rest, reset
from .routes import ROUTES
from .world import User, World

MEBIBYTE = 2**20


class Server:
    """REST, gateway and CDN over one world; listens while its context is open."""

    def __init__(
        self,
        *,
        token: str = "standin-token",
        name: str = "Daguerre",
        port: int = 0,
        upload_limit: int = 20 * MEBIBYTE,
        request_limit: int = 25 * MEBIBYTE,
        approved_intents: Collection[str] = (),
        heartbeat_seconds: float = 41.25,
    ) -> None:
        self.token = token
        self.world = World(name, upload_limit, request_limit)
        self.faults = Faults(self.world.changes)
        self.rest = Rest(self.world, self.faults, token, ROUTES)
        self.socket = Gateway(self.world, token, heartbeat_seconds=heartbeat_seconds, approved_intents=approved_intents)
        self.cdn = Cdn(self.world, self.faults)
        self._port = port
        self._site: web.TCPSite | None = None
        application = web.Application(client_max_size=1 << 40)
        for part in (self.rest, self.socket, self.cdn):
            part.attach(application)
        self._runner = web.AppRunner(application, shutdown_timeout=0.2, access_log=None)

    # ---- where it is

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()
        await self._runner.cleanup()

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await self._site.start()
        self._port = self._runner.addresses[0][1]
        self.world.base_url = self.base_url

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def api_base(self) -> str:
        return self.base_url + API

    @property
    def gateway(self) -> str:
        return f"ws://127.0.0.1:{self._port}/gateway"

    @property
    def cdn_base(self) -> str:
        return f"{self.base_url}/cdn"

    def environment(self) -> dict[str, str]:
        """What a bot's process needs in its environment."""
        return {
            "DISCORD_TOKEN": self.token,
            "DAGUERRE_DISCORD_API_BASE": self.api_base,
            "DAGUERRE_DISCORD_GATEWAY": self.gateway,
        }

    @property
    def application_id(self) -> int:
        return self.world.application_id

    @property
    def bot_user(self) -> User:
        return self.world.bot

    # ---- faults on REST

    def fail(
        self, pattern: str, status: int = 500, times: int | None = 1, *, code: int = 0, after: bool = False
    ) -> Fault:
        """Answer with an error. `after`: the work is done, only the answer is false."""
        body = {"message": f"{status}: fault of the stand-in", "code": code}
        headers = {"Content-Type": "application/json", "Via": "1.1 google"}
        return self._lay(pattern, times, after, status=status, body=body, headers=headers)

    def drop(self, pattern: str, times: int | None = 1, *, after: bool = False) -> Fault:
        """Reset the TCP connection before (or after) the request is carried out."""
        return self._lay(pattern, times, after, cut=True)

    def slow(self, pattern: str, seconds: float, times: int | None = 1, *, after: bool = False) -> Fault:
        """Take `seconds` longer, before (or after) the request is carried out."""
        return self._lay(pattern, times, after, delay=seconds)

    def rate_limit(self, pattern: str, retry_after: float = 0.3, times: int | None = 1, *, scope: str = "user",
                   cloudflare: bool = False) -> Fault:  # fmt: skip
        """Answer 429; `cloudflare`: without `Via` and JSON, as when an address is banned."""
        body, headers = rate_limited(retry_after, scope, cloudflare=cloudflare)
        return self._lay(pattern, times, False, status=429, body=body, headers=headers)

    def _lay(self, pattern: str, times: int | None, after: bool, **more: Any) -> Fault:
        return self.faults.lay(Fault(pattern, self.world.changes, times, after, **more))

    def advance(self, seconds: float) -> None:
        """Let the stand-in's clock run ahead; the bot's own clock stays."""
        self.world.clock.advance(seconds)
        self.world.changes.notify()

    # ---- the gateway and its faults

    async def connected(self, timeout: float = 10) -> None:
        """A bot is READY or RESUMED."""
        await self._until(lambda: True if self.socket.attached else None, timeout, lambda: "no bot is connected")

    async def disconnected(self, timeout: float = 10) -> None:
        await self._until(lambda: None if self.socket.attached else True, timeout, lambda: "a bot is still connected")

    async def resumed(self, times: int, timeout: float = 15) -> None:
        """The bot has resumed `times` times in all."""
        await self._until(lambda: True if self.resumes >= times else None, timeout, self._gateway_told)

    async def identified(self, times: int, timeout: float = 15) -> None:
        """The bot has identified `times` times in all."""
        await self._until(lambda: True if self.identifies >= times else None, timeout, self._gateway_told)

    def _gateway_told(self) -> str:
        return f"resumed {self.resumes}, identified {self.identifies} times"

    @property
    def identifies(self) -> int:
        return self.socket.identifies

    @property
    def resumes(self) -> int:
        return self.socket.resumes

    @property
    def presence(self) -> Json | None:
        return self.socket.presence

    @property
    def mute_heartbeats(self) -> bool:
        """Whether heartbeats get no acknowledgement."""
        return self.socket.mute_heartbeats

    @mute_heartbeats.setter
    def mute_heartbeats(self, mute: bool) -> None:
        self.socket.mute_heartbeats = mute

    @property
    def refuse_identify(self) -> int | None:
        """Close code for every IDENTIFY."""
        return self.socket.refuse_identify

    @refuse_identify.setter
    def refuse_identify(self, code: int | None) -> None:
        self.socket.refuse_identify = code

    def reconnect_gateway(self) -> None:
        """Op 7: please reconnect and resume."""
        self.socket.broadcast({"op": RECONNECT, "d": None})

    def invalidate_session(self, *, resumable: bool = False) -> None:
        """Op 9."""
        self.socket.broadcast({"op": INVALID, "d": resumable})
        if not resumable:
            self.socket.forget()

    def drop_gateway(self) -> None:
        """Reset the TCP connections of the gateway."""
        self.socket.hang_up(None)

    def close_gateway(self, code: int) -> None:
        self.socket.hang_up(code)

    async def restart(self, down: float = 0.5, *, forget_sessions: bool = False) -> None:
        """Go away for `down` seconds and come back on the same port; what is known stays known."""
        assert self._site is not None
        await self._site.stop()
        self._hang_up()
        if forget_sessions:
            self.socket.forget()
        await asyncio.sleep(down)
        await self._listen()

    def _hang_up(self) -> None:
        self.socket.hang_up(None)
        server = self._runner.server
        for connection in server.connections if server is not None else ():
            reset(connection.transport)

    # ---- evidence

    @property
    def requests(self) -> list[Request]:
        return self.rest.requests

    def calls(self, pattern: str) -> list[Request]:
        """The requests that the pattern fits, oldest first."""
        return [each for each in self.requests if matches(pattern, each.method, each.path)]

    async def called(self, pattern: str, n: int = 1, timeout: float = 10) -> list[Request]:
        """Wait until `n` such requests have been answered."""

        def probe() -> list[Request] | None:
            answered = [each for each in self.calls(pattern) if each.status]
            return answered if len(answered) >= n else None

        return await self._until(probe, timeout, lambda: f"{pattern}: {len(self.calls(pattern))} of {n} requests")

    @property
    def violations(self) -> list[Violation]:
        """What real Discord would refuse, misread or ignore; a test ends with none."""
        return self.world.violations

    def expect_violation(self, part: str) -> list[Violation]:
        """Take out the violations that have `part` in them: the test provoked them.

        Raises:
            AssertionError: there is none.
        """
        found = [each for each in self.violations if part in f"{each.where} {each.route} {each.problem}"]
        assert found, f"no violation with {part!r}; there are {self.violations}"
        self.world.violations = [each for each in self.violations if each not in found]
        return found

    async def _until(self, probe: Callable[[], Any], timeout: float, what: Callable[[], str]) -> Any:
        return await self.world.changes.until(probe, timeout=timeout, what=what)
