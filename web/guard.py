"""Whom the API answers: this machine, unless its owner opened it.

A page in somebody's browser must not reach a server on the same machine, so the Host header has to name this machine
(DNS rebinding), a foreign Origin is refused (cross-site requests), and bodies have to be JSON (no plain form works).
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ..queue.errors import QueueError
from .options import WebOptions
from .problems import Problem, of_queue

log = logging.getLogger(__name__)

#: What tells everybody "yes" or "no", and strangers nothing else.
HEALTH = ("/healthz", "/readyz")


def is_loopback(host: str | None) -> bool:
    """Whether an address or host name is this very machine."""
    if host is None or host.lower() == "localhost":
        return host is not None
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def may_use_api(options: WebOptions, *, remote: str | None, host: str, origin: str | None) -> Problem | None:
    """None when the API answers, else why not. Pure."""
    name = host_name(host)
    ours = is_loopback(name) or name in {allowed.lower() for allowed in options.allowed_hosts}
    if not ours:
        return Problem(
            403, "foreign_host", "this API answers to the names of this machine only; [web] allowed_hosts adds others"
        )
    if not is_loopback(remote) and not options.allowed_hosts:
        return Problem(403, "not_local", "this API answers to this machine only; [web] allowed_hosts opens it")
    if origin is not None and _netloc(origin) != host.lower():
        return Problem(403, "foreign_origin", "pages of other sites may not use this API")
    return None


def host_name(host: str) -> str:
    """The name in a Host header, without its port; "" when it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _netloc(origin: str) -> str | None:
    """Host and port in an Origin header; None when it is no address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def is_stranger(options: WebOptions, request: web.Request) -> bool:
    """Whether the API would refuse this request, so that /healthz tells it the state and nothing else."""
    host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
    return may_use_api(options, remote=request.remote, host=host, origin=origin) is not None


def make_guard(options: WebOptions) -> Middleware:
    """Refuses whom `may_use_api` refuses."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        refusal = may_use_api(options, remote=request.remote, host=host, origin=origin)
        # Health checks of other machines come under whatever name. From this very machine a foreign name means that a
        # browser was led here.
        if refusal is not None and (request.path not in HEALTH or is_loopback(request.remote)):
            raise refusal
        return await handler(request)

    return guard


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every failure becomes a JSON body that says what to do; none becomes a traceback."""
    try:
        return await handler(request)
    except Problem as problem:
        refusal, headers = problem, {}
    except QueueError as error:
        refusal, headers = of_queue(error), {}
        if refusal.status == 500:
            log.exception("api failed path=%s", request.rel_url.path)
    except web.RequestPayloadError:
        # aiohttp's word for a body that is cut off, or chunked wrongly.
        refusal, headers = Problem(400, "invalid_body", "the body is cut off or damaged"), {}
    except web.HTTPRedirection:
        raise  # To where one signs in, and from there.
    except web.HTTPException as error:
        refusal, headers = _of_http(error), {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    except Exception:
        log.exception("api failed path=%s", request.rel_url.path)
        refusal = Problem(500, "internal", "something went wrong; the log of `daguerre serve` says what")
        headers = {}
    if (page := request.app.get(ERROR_PAGE)) is not None and wants_page(request):
        return page(request, refusal)
    return web.json_response(refusal.body(), status=refusal.status, headers=headers)


#: Shows a problem to somebody who looks at pages.
ERROR_PAGE: web.AppKey[Callable[[web.Request, Problem], web.Response]] = web.AppKey("error page", Callable)  # pyright: ignore


def wants_page(request: web.Request) -> bool:
    """Whether whoever asks reads pages, not JSON."""
    return not request.path.startswith(
        ("/api/", *HEALTH, "/metrics", "/static/")
    ) and "text/html" in request.headers.get("Accept", "")


def _of_http(error: web.HTTPException) -> Problem:
    texts = {
        404: ("not_found", "there is nothing at this address"),
        405: ("method_not_allowed", "this address does not know this method"),
        413: ("too_large", "the body is larger than [web] max_body_bytes"),
    }
    code, message = texts.get(error.status, ("http", error.reason))
    return Problem(error.status, code, message)
