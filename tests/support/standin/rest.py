"""The REST side: takes each request through faults, limits, authorisation, checks and its handler, and keeps it."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from .bodies import Body, read_body
from .drafts import Sent
from .errors import NotThere, Refused, Unauthorised
from .faults import Fault, Faults, rate_limited
from .limits import Limits
from .openapi import openapi
from .records import Json, Request
from .world import World

API = "/api/v10"
#: Refusals that mean the bot sent something malformed, not that the world was against it.
BLAMED = frozenset({50006, 50035, 50109})


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 200
    body: Any = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way through a handler."""

    world: World
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: Body

    def number(self, name: str) -> int:
        """An id of the path.

        Raises:
            Refused: 50035, it is not a number.
        """
        if not self.params[name].isdigit():
            raise Refused(50035, errors={name: f"Value {self.params[name]!r} is not snowflake."})
        return int(self.params[name])

    def flag(self, name: str) -> bool:
        return self.query.get(name, "") in ("1", "true")

    @property
    def sent(self) -> Sent:
        return Sent(self.body.json if isinstance(self.body.json, dict) else {}, self.body.files)


Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    #: OpenAPI template below the API's base.
    template: str
    handler: Handler
    #: Whether it needs the bot's token; those of webhooks and interactions carry their own.
    bot: bool = True


class Rest:
    """All routes over one world."""

    def __init__(self, world: World, faults: Faults, token: str, routes: Sequence[Route]) -> None:
        self.world = world
        self.faults = faults
        self.limits = Limits(world.clock)
        self.requests: list[Request] = []
        self._token = token
        self._routes = routes

    def attach(self, application: web.Application) -> None:
        for route in self._routes:
            application.router.add_route(route.method, API + route.template, self._server(route))
        application.router.add_route("*", "/api/{anything:.*}", self._server(None))

    def _server(self, route: Route | None) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(http: web.Request) -> web.StreamResponse:
            return await self._serve(http, route)

        return serve

    async def _serve(self, http: web.Request, route: Route | None) -> web.StreamResponse:
        path = http.rel_url.raw_path.removeprefix(API).replace("%40", "@")
        record = Request(
            http.method, path, route.template if route else "", dict(http.query), dict(http.headers),
            self.world.clock.now(),
        )  # fmt: skip
        self.requests.append(record)
        struck = self.faults.strike(http.method, path)
        fault = next((each for each in struck if not each.delay), None)
        try:
            answer, headers = await self._answer(http, route, record, struck, fault)
        except Exception:
            # Shown at the end of the test; the client would only see (and repeat) a 500.
            self.world.blame("standin", f"{record.method} {record.path}", traceback.format_exc())
            answer, headers = Answer(500, {"message": "500: fault in the stand-in", "code": 0}), {}
        await asyncio.sleep(sum(each.delay for each in struck if each.after))
        if fault is not None and fault.cut:
            cut(http)
            return web.Response()
        if fault is not None and fault.status:
            answer, headers = Answer(fault.status, fault.body), headers | dict(fault.headers)
        record.status, record.answer = answer.status, answer.body
        self.world.changes.notify()
        return _response(answer, headers)

    async def _answer(
        self, http: web.Request, route: Route | None, record: Request, struck: Sequence[Fault], fault: Fault | None
    ) -> tuple[Answer, dict[str, str]]:
        """The true answer and its headers; a fault that strikes before the work is done gets an empty one."""
        world = self.world
        try:
            body = await read_body(http, world.request_limit)
        except Refused as refusal:
            world.blame("request", f"{http.method} {record.path}", str(refusal))
            return Answer(refusal.status, refusal.body), {}
        record.body, record.files = body.json, dict(body.files)
        await asyncio.sleep(sum(each.delay for each in struck if not each.after))
        if fault is not None and not fault.after:
            return Answer(204), {}
        if route is None:
            refusal = NotThere()
            world.blame("request", f"{http.method} {record.path}", "the stand-in has no such route")
            return Answer(refusal.status, refusal.body), {}
        bucket, full = self.limits.take(route.method, route.template, http.match_info)
        now = world.clock.now()
        headers = bucket.headers(now)
        if full is not None:
            scope = "global" if full is not bucket else "user"
            refused, extra = rate_limited(round(full.ends - now, 3), scope, cloudflare=False)
            return Answer(429, refused), headers | extra
        answer = await self._carry_out(http, route, body)
        for problem in openapi().response_problems(route.method, route.template, answer.status, answer.body):
            world.blame("response", f"{route.method} {route.template} {answer.status}", str(problem))
        return answer, headers

    async def _carry_out(self, http: web.Request, route: Route, body: Body) -> Answer:
        name = f"{route.method} {route.template}"
        call = Call(self.world, http.match_info, dict(http.query), body)
        try:
            if route.bot:
                self._authorise(http, name)
            self._check(route, call)
            return await route.handler(call)
        except Refused as refusal:
            if refusal.body["code"] in BLAMED and not isinstance(refusal, Malformed):
                self.world.blame("rule", name, str(refusal))
            return Answer(refusal.status, refusal.body)

    def _authorise(self, http: web.Request, name: str) -> None:
        if http.headers.get("Authorization") != f"Bot {self._token}":
            raise Unauthorised
        if not http.headers.get("User-Agent", "").startswith("DiscordBot ("):
            self.world.blame("rule", name, "User-Agent is not 'DiscordBot (address, version)'")

    def _check(self, route: Route, call: Call) -> None:
        """Against the OpenAPI description. What Discord overlooks is a violation, but carried out."""
        if call.body.too_large:
            raise Refused(40005)
        name = f"{route.method} {route.template}"
        for oddity in call.body.oddities:
            self.world.blame("rule", name, oddity)
        problems = openapi().request_problems(
            route.method, route.template, call.body.json, call.query, has_body=call.body.present
        )
        for problem in problems:
            self.world.blame("request", name, str(problem))
        refused = {problem.path: problem.text for problem in problems if problem.refused}
        if refused:
            raise Malformed(refused)


class Malformed(Refused):
    """Refused by the schema; already among the violations."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(50035, errors=errors)


def cut(http: web.Request) -> None:
    """Reset the TCP connection: the client gets no answer."""
    reset(http.transport)


def reset(transport: asyncio.BaseTransport | None) -> None:
    """Close with RST instead of FIN."""
    if not isinstance(transport, asyncio.Transport):
        return
    sock = transport.get_extra_info("socket")
    if sock is not None and not transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _response(answer: Answer, headers: Mapping[str, str]) -> web.Response:
    """Exactly `application/json`: with a charset behind it discord.py would not read it."""
    if answer.body is None:
        return web.Response(status=answer.status, headers=headers)
    if isinstance(answer.body, str):
        return web.Response(status=answer.status, body=answer.body.encode(), headers=headers)
    whole: Json = {"Content-Type": "application/json"}
    return web.Response(status=answer.status, body=json.dumps(answer.body).encode(), headers={**whole, **headers})
