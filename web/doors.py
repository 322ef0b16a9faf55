"""Who comes in: this machine without credentials, everybody else by the studio's token; and how often.

Behind guard.py, which has looked at Host and Origin.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from .connections import origin_of
from .guard import ERROR_PAGE, HEALTH, host_name, is_loopback, wants_page
from .options import WebOptions
from .problems import Problem
from .sign_in import COOKIE, SECONDS, Pace, SignIn

#: What changes nothing.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: Attempts to sign in from one address in a minute.
ATTEMPTS = 10
#: Longest form that is read, in bytes.
FORM = 4_096
#: Whether a request came by a proxy, so that its address says nothing.
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")
#: Under this key a request has the token that its page's forms bring back; empty: it needs none.
CSRF: web.RequestKey[str] = web.RequestKey("csrf", str)
#: Set where it is certain who asks.
KNOWN: web.RequestKey[bool] = web.RequestKey("known", bool)


def is_direct(remote: str | None, host: str | None, headers: Mapping[str, str]) -> bool:
    """Whether somebody at this very machine asks, by its own name, and no proxy stands between. Pure."""
    return is_loopback(remote) and is_loopback(host) and not any(name in headers for name in FORWARDED)


class Doors:
    """Construct, put `middleware` into an application, then `add_to` it."""

    def __init__(self, options: WebOptions, token: str) -> None:
        """`token`: empty where nobody else may come in."""
        self._sign_in = SignIn(token) if token else None
        self._changes = Pace(options.max_changes_per_minute)
        self._attempts = Pace(ATTEMPTS)

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/sign-in", self.form)
        app.router.add_post("/sign-in", self.enter)
        app.router.add_post("/sign-out", self.leave)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        changes = request.method not in SAFE
        # Browsers say where a request comes from; programs say nothing.
        if changes and request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            raise Problem(403, "foreign_origin", "pages of other sites may not use this API")
        if changes and not self._changes.take(origin_of(request.remote or "")):
            raise Problem(429, "too_often", "that was too often; wait a minute ([web] max_changes_per_minute)")
        direct = is_direct(request.remote, host_name(request.headers.get("Host", "")), request.headers)
        open_to_all = request.path in ("/sign-in", *HEALTH) or request.path.startswith("/static/")
        try:
            if not direct:
                self._check(request, changes=changes)
            request[KNOWN] = True
        except (Problem, web.HTTPFound):
            if not open_to_all:
                raise
        return await handler(request)

    def _check(self, request: web.Request, *, changes: bool) -> None:
        """Raises: Problem; web.HTTPFound: to where one signs in."""
        sign_in = self._sign_in
        if sign_in is None:
            raise Problem(403, "not_local", "this studio answers to this machine only")
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and sign_in.is_token(token):
            return
        cookie = request.cookies.get(COOKIE, "")
        if not (cookie and sign_in.holds(cookie)):
            if wants_page(request) and not changes:
                raise web.HTTPFound("/sign-in")
            raise Problem(401, "sign_in", "sign in first, or send the header Authorization: Bearer TOKEN")
        form = request.path == "/sign-out"  # Which brings it as a field.
        if changes and not form and not sign_in.is_csrf(cookie, request.headers.get("X-CSRF-Token", "")):
            raise Problem(403, "csrf", "this page is too old; read it anew")
        request[CSRF] = sign_in.csrf(cookie)

    async def form(self, request: web.Request) -> web.Response:
        return request.app[ERROR_PAGE](request, Problem(200, "sign_in", ""))

    async def enter(self, request: web.Request) -> web.StreamResponse:
        """A form with the token."""
        if self._sign_in is None:
            raise Problem(404, "not_found", "there is nothing at this address")
        if not self._attempts.take(origin_of(request.remote or "")):
            return request.app[ERROR_PAGE](request, Problem(429, "sign_in", "slow"))
        if (request.content_length or FORM + 1) > FORM:
            raise Problem(413, "too_large", "the form is too large")
        given = (await request.post()).get("token", "")
        if not isinstance(given, str) or not self._sign_in.is_token(given):
            return request.app[ERROR_PAGE](request, Problem(401, "sign_in", "wrong"))
        answer = web.HTTPSeeOther("/")
        answer.set_cookie(
            COOKIE, self._sign_in.session(), max_age=int(SECONDS), httponly=True, samesite="Strict", path="/",
            secure=request.secure or request.headers.get("X-Forwarded-Proto") == "https",
        )  # fmt: skip
        raise answer

    async def leave(self, request: web.Request) -> web.StreamResponse:
        cookie = request.cookies.get(COOKIE, "")
        given = (await request.post()).get("csrf", "")
        if self._sign_in is None or not isinstance(given, str) or not self._sign_in.is_csrf(cookie, given):
            raise Problem(403, "csrf", "this page is too old; read it anew")
        answer = web.HTTPSeeOther("/sign-in")
        answer.del_cookie(COOKIE, path="/")
        raise answer
