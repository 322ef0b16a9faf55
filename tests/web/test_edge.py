"""The edge of the local API: connections that say nothing, bodies that are odd, keys that come fifty times at once."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from hypothesis import given
from hypothesis import strategies as st
from webkit import Client, api

from daguerre.app.machine import listen
from daguerre.bot.text import LOCALES
from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.errors import QueueFull
from daguerre.queue.options import QueueOptions
from daguerre.queue.records.requests import image_request
from daguerre.queue.texts import Texts
from daguerre.web import connections
from daguerre.web.connections import Doors, origin_of, serve_app
from daguerre.web.guard import may_use_api
from daguerre.web.options import WebOptions
from daguerre.web.server import make_app

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QueueOptions(max_queued_per_member=3), tmp_path) as queue:
        yield queue


@pytest.fixture
async def client(queue: Queue) -> AsyncIterator[Client]:
    async with api(queue) as client:
        yield client


@asynccontextmanager
async def served(queue: Queue, **options: Any) -> AsyncIterator[int]:
    """The API as `daguerre serve` serves it; gives its port."""
    settings = WebOptions(port=0, **options)
    with listen(settings) as listener:
        async with serve_app(make_app(queue, settings, texts=Texts(LOCALES)), listener, settings):
            yield listener.getsockname()[1]


async def said(port: int, sent: bytes) -> bytes:
    """What the server says to these bytes until it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


# --- connections


async def test_silent_connections_leave_room_for_others(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    """Of 300 silent connections the first ones stay, the others are refused; one line of the log says so, and as soon
    as the silent ones are closed the API answers again."""
    caplog.set_level(logging.WARNING)  # an earlier test may have left the log quieter
    async with served(queue, max_connections_per_address=50) as port, AsyncExitStack() as stack:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(300)]
        for _, writer in held:
            stack.callback(writer.close)
        answers = await asyncio.gather(*(asyncio.wait_for(reader.read(1), 0.5) for reader, _ in held[50:]))
        assert answers == [b"H"] * 250
        refused = await said(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert json.loads(refused.partition(b"\r\n\r\n")[2])["error"] == "too_many_connections"
        lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(lines) == 1
        assert "too many connections" in lines[0]
        for _, writer in held:
            writer.close()
        async with asyncio.timeout(5), ClientSession() as session:
            while True:
                async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
                    if answer.status == 200:
                        break


async def test_a_connection_ends_when_no_request_comes(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence, half a request head, and silence after an answer all end with the connection."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.6)
    async with served(queue) as port:
        for sent in (b"", b"GET /healthz HTT", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "):
            assert await said(port, sent) == b""
        begun = time.monotonic()
        whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert (await said(port, whole)).count(b"HTTP/1.1 200") == 1
        assert time.monotonic() - begun >= 0.5, "an answered connection may be used again for a while"
        # Half of a second request does not hold it longer.
        assert (await said(port, whole + b"GET /heal")).count(b"HTTP/1.1 200") == 1


async def test_a_dripping_head_is_no_sign_of_life(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A letter now and then does not keep a connection open."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    async with served(queue) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        with suppress(ConnectionError):
            async with asyncio.timeout(5):
                while not reader.at_eof():
                    writer.write(b"a")
                    await writer.drain()
                    await asyncio.sleep(0.05)
        writer.close()


async def test_a_stream_of_events_is_not_idle(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """While an answer is being given no clock runs, however little there is to say."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.2)
    async with served(queue) as port, ClientSession(f"http://127.0.0.1:{port}") as session:
        job = await (await session.post("/api/v1/jobs", json={"prompt": "a"})).json()
        async with session.get(f"/api/v1/jobs/{job['id']}/events") as events:
            await events.content.readuntil(b"\n\n")
            await asyncio.sleep(0.6)
            await queue.cancel(job["id"])
            rest = await asyncio.wait_for(events.text(), 5)
            assert '"cancelled"' in rest


async def test_a_body_that_does_not_come_is_given_up(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head without its body is answered 408 in the end."""
    monkeypatch.setattr("daguerre.web.reading.BODY_SECONDS", 0.3)
    async with served(queue) as port:
        head = b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        answer = await said(port, head + b"Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{")
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_what_counts_as_one_address() -> None:
    """An IPv4 address however it is written, and the network that one IPv6 customer has to himself."""
    assert origin_of("10.0.0.5") == origin_of("::ffff:10.0.0.5") == "10.0.0.5"
    assert origin_of("2001:db8::1") == origin_of("2001:db8::ffff:2") != origin_of("2001:db8:0:1::1")
    assert origin_of("fe80::1%eth0") == origin_of("fe80::2%eth0")


def test_other_machines_together_leave_this_one_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many addresses at once fill what is for others; this machine's own connections are still let in."""
    monkeypatch.setattr(connections, "OTHERS", 3)

    def enter(doors: Doors, address: str) -> tuple[bool, asyncio.BaseTransport]:
        transport = asyncio.BaseTransport()
        return doors.enter(None, transport, address), transport  # type: ignore[arg-type]

    doors = Doors(2)
    assert [enter(doors, f"10.0.0.{n}")[0] for n in range(5)] == [True, True, True, False, False]
    entered, transport = enter(doors, "127.0.0.1")
    assert entered
    assert [enter(doors, "127.0.0.1")[0] for _ in range(2)] == [True, False]
    doors.leave(transport, "127.0.0.1")
    assert enter(doors, "127.0.0.1")[0]


# --- bodies and headers


async def test_only_utf8_is_read(client: Client) -> None:
    """Any other charset is refused unread: decoding 60 KB of punycode blocked everybody for two seconds."""
    for charset in ("punycode", "idna", "utf-16", "latin-1", "what", "utf-7", "zip", "rot13", "uu"):
        answer = await client.post(
            "/api/v1/jobs", data=b'{"prompt": "a"}', headers={"Content-Type": f"application/json; charset={charset}"}
        )
        assert (answer.status, (await answer.json())["error"]) == (415, "not_utf8"), charset
    for charset in ("utf-8", "UTF-8", '"utf-8"', "utf8"):
        answer = await client.post(
            "/api/v1/jobs",
            data='{"prompt": "红"}'.encode(),
            headers={"Content-Type": f"application/json; charset={charset}", "Idempotency-Key": "one"},
        )
        assert answer.status in (200, 202), charset
    odd = await client.post("/api/v1/jobs", data=b'{"prompt": "\xff"}', headers=JSON)
    assert (odd.status, (await odd.json())["error"]) == (400, "invalid_json")


async def test_packed_bodies_are_refused(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever Content-Encoding says, garbage behind it is 400 in JSON, and nothing is logged as a fault of ours."""
    async with served(queue) as port, ClientSession(f"http://127.0.0.1:{port}") as session:
        for encoding in ("gzip", "deflate", "br", "zstd", "GZIP", "garbage", "gzip, gzip", ""):
            answer = await session.post("/api/v1/jobs", data=b"garbage", headers={**JSON, "Content-Encoding": encoding})
            assert (answer.status, (await answer.json())["error"]) == (400, "packed"), encoding
        plain = {**JSON, "Content-Encoding": "identity"}
        assert (await session.post("/api/v1/jobs", data=b'{"prompt": "a"}', headers=plain)).status == 202
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_damaged_body_is_the_senders_fault(client: Client) -> None:
    """Where something else in front has begun to unpack it, garbage is still 400, not 500."""
    answer = await client.post("/api/v1/jobs", data=b"garbage", headers={**JSON, "Content-Encoding": "gzip"})
    assert answer.status == 400


async def test_wrong_chunks_are_the_senders_fault(queue: Queue) -> None:
    """A chunk without a length is 400."""
    async with served(queue) as port:
        head = b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        answer = await said(port, head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
        assert answer.split(b" ")[1] == b"400"


async def test_a_broken_origin_is_a_foreign_one(client: Client) -> None:
    """No Origin makes the server fail."""
    for origin in ("http://[", "http://[::1", "//[", "http://]", "http://a]b"):
        answer = await client.get("/api/v1/jobs/x", headers={"Origin": origin})
        assert (answer.status, (await answer.json())["error"]) == (403, "foreign_origin"), origin


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_any_headers_are_answered(remote: str, host: str, origin: str) -> None:
    """Whatever stands in them, the guard decides."""
    for before in ("", "http://", "http://[", "http://localhost@["):
        for name in (host, "localhost"):
            refusal = may_use_api(WebOptions(), remote=remote or None, host=name, origin=before + origin)
            assert refusal is None or refusal.status == 403


async def test_no_path_or_header_breaks_it(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    """Escape characters and halves of addresses in the request line are refused without a fault in the log."""
    async with served(queue) as port:
        for sent in (
            b"GET /\x1b[31m HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"\x1b[31mGET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: lo\x1bcal\r\n\r\n",
            b"GET http://[/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET //[ HTTP/1.1\r\nHost: [\r\n\r\n",
            b"GET /api/v1/jobs/%1b%5b%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        ):
            answer = await said(port, sent.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert answer.split(b" ")[1] in (b"400", b"403", b"404"), sent
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


# --- health


async def test_health_under_a_foreign_name(client: Client) -> None:
    """A page that was led to this machine under a name of its own learns nothing."""
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Host": "["}):
        answer = await client.get("/healthz", headers=headers)
        assert answer.status == 403, headers
        assert "workers" not in await answer.json()


async def test_health_for_another_machine(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other machines are told the state, and nothing else, under whatever name they ask."""
    strange = "10.0.0.5"
    monkeypatch.setattr("aiohttp.web.Request.remote", property(lambda _: strange))
    async with api(queue) as client:
        for host in ("10.0.0.1:8600", "daguerre.lan:8600", "localhost:8600"):
            answer = await client.get("/healthz", headers={"Host": host})
            assert (answer.status, await answer.json()) == (200, {"status": "ok"})


# --- keys


async def test_fifty_equal_keys_at_once_are_one_job(queue: Queue, client: Client) -> None:
    """One Idempotency-Key, fifty requests at the same time, a limit of three: one job, fifty answers with its id."""

    async def post(key: str) -> tuple[int, str]:
        answer = await client.post("/api/v1/jobs", json={"prompt": "a cat"}, headers={"Idempotency-Key": key})
        return answer.status, (await answer.json()).get("id", "")

    answers = await asyncio.gather(*(post("same") for _ in range(50)))
    assert sorted(status for status, _ in answers) == [200] * 49 + [202]
    assert len({job for _, job in answers}) == 1
    assert sum((await queue.counts()).values()) == 1


async def test_equal_keys_of_which_the_first_is_refused(queue: Queue) -> None:
    """A refusal is nobody else's answer: each is looked at by itself, and nothing is left waiting."""
    request = image_request(prompt="a cat", seed=1)
    for number in range(3):
        await queue.submit(request, key=f"full {number}", member="1", server="1", reply={})
    refused = await asyncio.gather(
        *(queue.submit(request, key="same", member="1", server="1", reply={}) for _ in range(20)),
        return_exceptions=True,
    )
    assert {type(one) for one in refused} == {QueueFull}
    ticket = await queue.submit(request, key="same", member="2", server="1", reply={})
    assert ticket.created
