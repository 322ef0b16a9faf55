"""The local API on real sockets, with the real queue and a worker whose handler paints one colour."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from queuekit import until
from webkit import Client, api, events, worker

from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.options import QueueOptions
from daguerre.queue.prompt.vocabulary import Vocabulary
from daguerre.queue.records.jobs import JobState, Rendered
from daguerre.queue.records.requests import ImageRequest, image_request
from daguerre.queue.records.usual import Usual
from daguerre.queue.worker.settings import JobContext


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QueueOptions(max_queued_per_member=3), tmp_path) as queue:
        yield queue


@pytest.fixture
async def client(queue: Queue) -> AsyncIterator[Client]:
    async with api(queue) as client:
        yield client


async def test_a_prompt_becomes_pictures(queue: Queue, client: Client) -> None:
    """POST, follow, fetch: one PNG for each seed, and the job counts as delivered once the last was fetched."""
    answer = await client.post("/api/v1/jobs", json={"prompt": "a red apple", "count": 2, "seed": 9, "size": 64})
    assert answer.status == 202
    job = await answer.json()
    assert (job["state"], job["position"], job["seeds"]) == ("queued", 0, [9, 10])
    assert answer.headers["Location"] == f"/api/v1/jobs/{job['id']}"
    early = await client.get(f"/api/v1/jobs/{job['id']}/pictures/1")
    assert (early.status, (await early.json())["error"]) == (409, "not_finished")
    async with worker(queue):
        seen = await asyncio.wait_for(events(client, job["id"]), 20)
    name, last = seen[-1]
    assert (name, last["state"], last["finished"], last["metadata"]) == (
        "job",
        "rendered",
        True,
        {"model": "one colour"},
    )
    for seed, url in zip((9, 10), last["pictures"], strict=True):
        picture = await client.get(url)
        assert picture.content_type == "image/png"
        assert Image.open(io.BytesIO(await picture.read())).getpixel((0, 0)) == (seed, 0, 0)
    assert (await client.get(f"/api/v1/jobs/{job['id']}/pictures/3")).status == 404
    assert (await (await client.get(f"/api/v1/jobs/{job['id']}")).json())["state"] == "delivered"
    assert await queue.pending_notifications() == []


async def test_a_refused_job_says_why(queue: Queue, client: Client) -> None:
    """A job that no worker can render ends with a code and a sentence, and is told once somebody looked."""
    job = await (await client.post("/api/v1/jobs", json={"prompt": "refused"})).json()
    async with worker(queue):
        await asyncio.wait_for(events(client, job["id"]), 20)
    ended = await (await client.get(f"/api/v1/jobs/{job['id']}")).json()
    assert (ended["state"], ended["error"], ended["pictures"]) == ("failed", "unrenderable", [])
    assert "cannot render" in ended["message"]
    assert (await client.get(f"/api/v1/jobs/{job['id']}/pictures/1")).status == 404
    assert await queue.pending_notifications() == []


async def test_the_same_key_is_the_same_job(client: Client) -> None:
    """Sent twice with one Idempotency-Key a request is one job; another request under that key is refused."""
    send = {"Idempotency-Key": "abc-1"}
    first = await client.post("/api/v1/jobs", json={"prompt": "a cat"}, headers=send)
    again = await client.post("/api/v1/jobs", json={"prompt": "a cat"}, headers=send)
    assert (first.status, again.status) == (202, 200)
    assert (await first.json())["id"] == (await again.json())["id"]
    other = await client.post("/api/v1/jobs", json={"prompt": "a dog"}, headers=send)
    assert (other.status, (await other.json())["error"]) == (409, "key_used")
    bad = await client.post("/api/v1/jobs", json={"prompt": "a dog"}, headers={"Idempotency-Key": "a b"})
    assert (bad.status, (await bad.json())["error"]) == (400, "invalid_key")


async def test_cancel(queue: Queue, client: Client) -> None:
    """A waiting job is cancelled at once, a running one within its handler; a finished one cannot be."""
    waiting = await (await client.post("/api/v1/jobs", json={"prompt": "a"})).json()
    answer = await client.delete(f"/api/v1/jobs/{waiting['id']}")
    assert (answer.status, (await answer.json())["cancelled"]) == (202, "queued")
    assert (await client.delete(f"/api/v1/jobs/{waiting['id']}")).status == 409
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def endless(request: ImageRequest, context: JobContext) -> Rendered:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    async with worker(queue, endless):
        running = await (await client.post("/api/v1/jobs", json={"prompt": "b"})).json()
        await asyncio.wait_for(begun.wait(), 10)
        assert (await client.delete(f"/api/v1/jobs/{running['id']}")).status == 202
        await asyncio.wait_for(cancelled.wait(), 10)
    assert (await queue.job(running["id"])).state is JobState.CANCELLED


async def test_refusals_are_json(queue: Queue, client: Client) -> None:
    """Every refusal is a JSON body with a code and a sentence; none is a page or a traceback."""

    def post(body: bytes | str, **headers: str) -> Any:
        return client.post("/api/v1/jobs", data=body, headers={"Content-Type": "application/json", **headers})

    cases = [
        (post('{"prompt": "a", "count": 99}'), 400, "invalid_request", "count"),
        (client.post("/api/v1/jobs", data="prompt=a"), 415, "not_json", None),
        (post("{"), 400, "invalid_json", None),
        (post(b'"\xff"', **{"Content-Type": "application/json; charset=what"}), 415, "not_utf8", None),
        (post('{"prompt": "' + "a" * 3_000 + '"}'), 413, "too_large", None),
        (client.get(f"/api/v1/jobs/{'0' * 32}"), 404, "unknown_job", None),
        (client.get("/nowhere"), 404, "not_found", None),
        (client.put("/api/v1/jobs"), 405, "method_not_allowed", None),
        (client.get("/api/v1/jobs/x", headers={"Host": "evil.example"}), 403, "foreign_host", None),
        (post("{}", Origin="https://evil.example"), 403, "foreign_origin", None),
    ]
    for asking, status, code, field in cases:
        answer = await asking
        body = await answer.json()
        assert (answer.status, body["error"], body.get("field")) == (status, code, field)
        assert body["message"]
    for number in range(3):
        assert (await client.post("/api/v1/jobs", json={"prompt": f"a {number}"})).status == 202
    full = await client.post("/api/v1/jobs", json={"prompt": "one more"})
    assert (full.status, (await full.json())["error"]) == (429, "queue_full")


async def test_jobs_of_discord_are_not_shown(queue: Queue, client: Client) -> None:
    """What a member asked for on Discord cannot be read or cancelled over HTTP."""
    request = image_request(prompt="private", seed=1)
    ticket = await queue.submit(request, key="d", member="1", server="2", reply={"kind": "discord"})
    for answer in (
        await client.get(f"/api/v1/jobs/{ticket.job.id}"),
        await client.get(f"/api/v1/jobs/{ticket.job.id}/events"),
        await client.delete(f"/api/v1/jobs/{ticket.job.id}"),
    ):
        assert answer.status == 404
    assert (await queue.job(ticket.job.id)).state is JobState.QUEUED


async def test_unknown_words(queue: Queue) -> None:
    """A prompt of which the model knows nothing is refused; with something known, the rest is told."""
    async with api(queue, Vocabulary(["apple"], ["apple"], ["red"])) as client:
        refused = await client.post("/api/v1/jobs", json={"prompt": "aple"})
        body = await refused.json()
        assert (refused.status, body["error"], body["field"]) == (400, "unknown_words", "prompt")
        assert "aple (perhaps apple)" in body["message"]
        taken = await (await client.post("/api/v1/jobs", json={"prompt": "apple zeppelin"})).json()
        assert list(taken["unknown_words"]) == ["zeppelin"]


async def test_health(queue: Queue, client: Client) -> None:
    """/healthz answers this machine with the state of queue, workers and whatever the process adds."""
    body = await (await client.get("/healthz")).json()
    assert (body["status"], body["workers"], body["bot"], body["jobs"]["queued"]) == ("ok", 0, "off", 0)
    assert "no worker" in body["problem"]


async def test_a_prompt_is_read_by_the_one_grammar(queue: Queue, client: Client) -> None:
    """Flags and weights as on Discord; a field beside the prompt wins; what is malformed points at its character."""
    typed = "a cat::2 hat --seed 7 --ar 2:1 --no clouds --n 2 --s 200"
    answer = await client.post("/api/v1/jobs", json={"prompt": typed, "count": 1})
    assert answer.status == 202
    asked = (await answer.json())["request"]
    assert [(part["text"], part["weight"]) for part in asked["parts"]] == [("a cat", 2.0), ("hat", 1.0)]
    assert (asked["seed"], asked["negative"], asked["count"], asked["guidance"]) == (7, "clouds", 1, 5.0)
    assert asked["width"] > asked["height"]
    refusals = {
        "an apple --sed 7": ("--seed", "\n         ^"),
        "a {red, green} apple": ("send each by itself", "^"),
        "https://cdn.discordapp.com/x.png a cat": ("on Discord only", ""),
        "a cat --repeat 3": ("send each by itself", ""),
    }
    for prompt, (says, at) in refusals.items():
        answer = await client.post("/api/v1/jobs", json={"prompt": prompt})
        body = await answer.json()
        assert (answer.status, body["error"], body["field"]) == (400, "invalid_prompt", "prompt")
        assert says in body["message"], prompt
        assert at in body["message"], prompt


async def test_what_a_body_leaves_open_is_as_the_model_is_made(queue: Queue, client: Client) -> None:
    """Steps, guidance and size; what it says wins, in a field or by a flag. The same key stays the same job later."""
    usual = Usual(steps=30, guidance=5.0, size=512, pixels=300_000)
    body = {"prompt": "a red apple --q 0.5", "seed": 1}
    async with worker(queue, models=("sdxl",), usual={"sdxl": usual}):
        await until(queue.workers)
        answer = await client.post("/api/v1/jobs", json=body, headers={"Idempotency-Key": "one"})
        asked = (await answer.json())["request"]
        assert (asked["steps"], asked["guidance"], asked["width"], asked["height"]) == (15, 5.0, 512, 512)
        said = {"prompt": "a red apple --ar 2:1", "guidance": 2.0, "steps": 4}
        asked = (await (await client.post("/api/v1/jobs", json=said)).json())["request"]
        assert (asked["steps"], asked["guidance"], asked["width"], asked["height"]) == (4, 2.0, 736, 368)
        large = await client.post("/api/v1/jobs", json={"prompt": "a red apple", "width": 1216, "height": 832})
        problem = await large.json()
        assert (large.status, problem["field"]) == (400, "width")
        assert "up to 1024 pixels" in problem["message"]
        assert "megapixels" in problem["message"]
    await until(lambda: not queue._registry.workers(time.monotonic()))
    again = await client.post("/api/v1/jobs", json=body, headers={"Idempotency-Key": "one"})
    assert (again.status, (await again.json())["request"]["steps"]) == (200, 15)
    other = {**body, "steps": 9}
    assert (await client.post("/api/v1/jobs", json=other, headers={"Idempotency-Key": "one"})).status == 409
