"""Who comes in and how: other machines by the token, sessions against foreign pages, and not too often."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from daguerre.app.serve import web_token
from daguerre.app.settings import Configuration, Settings, read_secrets
from daguerre.bot.text import LOCALES
from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.options import QueueOptions
from daguerre.queue.texts import Texts
from daguerre.web.doors import is_direct
from daguerre.web.options import WebOptions
from daguerre.web.server import make_app
from daguerre.web.sign_in import COOKIE, SECONDS, Pace, SignIn

TOKEN = "a token of this test"
AWAY = {"Host": "studio.lan"}
PAGE = {**AWAY, "Accept": "text/html"}
#: Every address that does not need to know who asks.
OPEN = ("/healthz", "/sign-in", "/static/studio.css")


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QueueOptions(), tmp_path) as queue:
        yield queue


@pytest.fixture
async def client(queue: Queue) -> AsyncIterator[TestClient[Any, Any]]:
    options = WebOptions(allowed_hosts=("studio.lan",), max_changes_per_minute=30)
    app = make_app(queue, options, texts=Texts(LOCALES), about=lambda: {"bot": "off"}, token=TOKEN)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize(
    ("remote", "host", "headers", "direct"),
    [
        ("127.0.0.1", "localhost", {}, True), ("::1", "::1", {}, True), ("127.0.0.1", "studio.lan", {}, False),
        ("10.0.0.9", "localhost", {}, False), ("127.0.0.1", "localhost", {"X-Forwarded-For": "1.2.3.4"}, False),
        ("127.0.0.1", "localhost", {"Forwarded": "for=1.2.3.4"}, False), (None, None, {}, False),
    ],
)  # fmt: skip
def test_this_machine_alone_needs_no_credentials(
    remote: str | None, host: str | None, headers: dict[str, str], direct: bool
) -> None:
    """By its own name and without a proxy between."""
    assert is_direct(remote, host, headers) is direct


async def test_every_other_machine_signs_in(client: TestClient[Any, Any]) -> None:
    """Each address of the studio refuses whoever has not: pages lead to the form, the API says 401."""
    seen = 0
    values = {"id": "0" * 32, "other": "0" * 32, "n": "1", "server": "1", "number": "1"}
    for route in client.app.router.routes() if client.app else ():
        path = route.resource.canonical if route.resource else ""
        for name, value in values.items():
            path = path.replace(f"{{{name}}}", value)
        path = path.replace("{action}", "undo" if "reviews" in path else "again")
        if path.startswith(("/healthz", "/readyz", "/sign-in", "/static")) or route.method == "HEAD":
            continue
        answer = await client.request(route.method, path, headers=AWAY, allow_redirects=False)
        assert answer.status in (401, 429), (route.method, path)
        seen += 1
    assert seen > 40
    shown = await client.get("/gallery", headers=PAGE, allow_redirects=False)
    assert (shown.status, shown.headers["Location"]) == (302, "/sign-in")
    for path in OPEN:
        assert (await client.get(path, headers=AWAY)).status == 200
    told = await (await client.get("/healthz", headers=AWAY)).json()
    assert told == {"status": "ok"}


async def test_a_token_in_a_header_is_enough_for_programs(client: TestClient[Any, Any]) -> None:
    """Bearer TOKEN; a wrong one is nothing."""
    for token, status in ((TOKEN, 200), ("wrong", 401), ("", 401)):
        answer = await client.get("/api/v1/queue", headers={**AWAY, "Authorization": f"Bearer {token}"})
        assert answer.status == status


async def test_a_session_begins_with_the_form_and_ends_with_it(client: TestClient[Any, Any]) -> None:
    """The cookie is for us alone; changes need the page's own token besides; signing out takes it away."""
    wrong = await client.post("/sign-in", data={"token": "no"}, headers=PAGE)
    assert (wrong.status, "That is not the token." in await wrong.text()) == (401, True)
    entered = await client.post("/sign-in", data={"token": TOKEN}, headers=PAGE, allow_redirects=False)
    assert entered.status == 303
    said = entered.headers["Set-Cookie"]
    assert all(word in said for word in ("HttpOnly", "SameSite=Strict", "Path=/"))
    assert TOKEN not in said
    cookie = {**PAGE, "Cookie": f"{COOKIE}={entered.cookies[COOKIE].value}"}
    page = await (await client.get("/", headers=cookie)).text()
    csrf = page.partition('<meta name="csrf" content="')[2].partition('"')[0]
    assert csrf
    for headers, status in (({}, 403), ({"X-CSRF-Token": "x"}, 403), ({"X-CSRF-Token": csrf}, 200)):
        assert (await client.post("/api/v1/queue/pause", json={}, headers={**cookie, **headers})).status == status
    assert (await client.post("/sign-out", data={"csrf": "x"}, headers=cookie)).status == 403
    left = await client.post("/sign-out", data={"csrf": csrf}, headers=cookie, allow_redirects=False)
    assert (left.status, "Max-Age=0" in left.headers["Set-Cookie"]) == (303, True)


async def test_pages_of_other_sites_change_nothing_here(client: TestClient[Any, Any]) -> None:
    """Not by this machine's browser either: by Origin, by Sec-Fetch-Site, and no plain form is a body of the API."""
    for headers in (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert (await client.post("/api/v1/queue/pause", json={}, headers=headers)).status == 403
    assert (await client.post("/api/v1/queue/pause", data={"server": "1"})).status == 415
    assert (await client.post("/api/v1/sources", data=b"x", headers={"Content-Type": "text/plain"})).status == 415


async def test_too_often_is_told(client: TestClient[Any, Any]) -> None:
    """Changes from one address have a pace; looking has not."""
    statuses = [(await client.post("/api/v1/queue/pause", json={})).status for _ in range(32)]
    assert (statuses[0], statuses[-1]) == (200, 429)
    assert (await client.get("/api/v1/queue")).status == 200


async def test_headers_of_every_page_let_nothing_foreign_in(client: TestClient[Any, Any]) -> None:
    """Policy without inline scripts or frames, no sniffing, no referrer; templates hold no inline script or style."""
    for path in ("/", "/gallery", "/operate", "/operate/servers/local", "/sign-in", "/nothing-here", "/static/ask.js"):
        answer = await client.get(path, headers={"Accept": "text/html"})
        policy = answer.headers.get("Content-Security-Policy", "")
        assert "default-src 'none'" in policy, path
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        if answer.content_type == "text/html":
            assert re.search(r"<script(?![^>]*src=)|\son\w+=|\sstyle=", await answer.text()) is None, path


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../config.toml", "/static/..%2f..%2fconfig.toml", "/static/%2e%2e/pages.py", "/static//etc/passwd",
        "/static/vendor/../../pages.py", "/api/v1/pictures/../../../etc/passwd/1/file", "/pictures/%00/1",
        "/operate/servers/..%2f", "/api/v1/servers/%2e%2e%2f%2e%2e", "/api/v1/jobs/..%2f..%2fdaguerre.db/pictures/1",
    ],
)  # fmt: skip
async def test_no_address_leads_out_of_the_studio(client: TestClient[Any, Any], path: str) -> None:
    """Files are those of a list made at the start; nothing in an address becomes a path."""
    answer = await client.get(URL(path, encoded=True))
    assert answer.status in (400, 404)
    assert b"root:" not in await answer.read()


def test_sessions_end_and_cannot_be_made_up() -> None:
    """After two weeks, with another token, or with a changed time."""
    sign_in = SignIn(TOKEN)
    cookie = sign_in.session(now=0.0)
    assert sign_in.holds(cookie, now=SECONDS - 1)
    assert not sign_in.holds(cookie, now=SECONDS + 1)
    assert not SignIn("another").holds(cookie, now=1)
    until, rest = cookie.split(".", 1)
    assert not sign_in.holds(f"{int(until) + 1}.{rest}", now=1)
    assert not any(sign_in.holds(made, now=0) for made in ("", ".", "..", "x.y.z", "9" * 400, "٣.a.b"))


def test_a_pace_recovers() -> None:
    """So many at once, then one by one as time goes; each address by itself; 0 is no limit."""
    pace = Pace(60)
    assert [pace.take("a", now=0.0) for _ in range(61)].count(True) == 60
    assert pace.take("b", now=0.0)
    assert not pace.take("a", now=0.5)
    assert pace.take("a", now=2.0)
    assert all(Pace(0).take("a") for _ in range(1000))


def test_the_token_is_set_or_made_once(tmp_path: Path) -> None:
    """From the environment, else kept in the data folder for its owner alone; none where nobody else may come in."""

    def configured(secrets: dict[str, str], *hosts: str) -> Configuration:
        settings = Settings(web=WebOptions(allowed_hosts=hosts), storage={"data_dir": str(tmp_path)})  # type: ignore[arg-type]
        return Configuration(settings, read_secrets(secrets), None, tmp_path)

    assert web_token(configured({})) == ""
    assert web_token(configured({"DAGUERRE_WEB_TOKEN": "mine"}, "a.lan")) == "mine"
    made = web_token(configured({}, "a.lan"))
    assert len(made) >= 30
    assert web_token(configured({}, "a.lan")) == made
    assert (tmp_path / "web-token").stat().st_mode & 0o777 == 0o600
    assert "mine" in configured({"DAGUERRE_WEB_TOKEN": "mine"}).hidden
