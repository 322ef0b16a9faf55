"""The API gives out no picture that is kept from sight, and begins from none that is not its own."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from queuekit import state
from webkit import Client, api, events, paint, worker

from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.options import QueueOptions
from daguerre.queue.records.jobs import JobState
from daguerre.queue.records.requests import ImageRequest, image_request
from daguerre.queue.worker.settings import JobContext


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QueueOptions(), tmp_path) as queue:
        yield queue


@pytest.fixture
async def client(queue: Queue) -> AsyncIterator[Client]:
    async with api(queue) as client:
        yield client


async def drawn(queue: Queue, client: Client, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/api/v1/jobs", json={"prompt": "a red apple", "seed": 9, "size": 64, **fields})
    job = await answer.json()
    async with worker(queue):
        await asyncio.wait_for(events(client, job["id"]), 20)
    return await (await client.get(f"/api/v1/jobs/{job['id']}")).json()


@pytest.mark.parametrize("marks", [{"review": "held"}, {"review": "rejected"}, {"deleted": True}])
async def test_what_is_kept_from_sight_is_not_given_out(queue: Queue, client: Client, marks: dict[str, Any]) -> None:
    """403 with a reason, before and after it was told; nothing can begin from it either."""
    job = await drawn(queue, client)
    await queue.moderation.store.mark(job["id"], **marks)
    refused = await client.get(job["pictures"][0])
    assert (refused.status, refused.content_type, (await refused.json())["error"]) == (
        403, "application/json", "not_shown",
    )  # fmt: skip
    begun = {"prompt": "x", "source": {"picture": f"{job['id']}/0.png"}}
    assert (await client.post("/api/v1/jobs", json=begun)).status == 403


async def test_a_discord_members_pictures_are_nobodys_source(queue: Queue, client: Client) -> None:
    """Neither what was drawn for them nor what they sent, by name, used or not; and it reads like one that is gone."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "PNG")
    sent = await queue.keep_source(file.getvalue())
    first = image_request(prompt="private", seed=1, width=64, height=64)
    theirs = await queue.submit(first, key="d", member="7", server="1", reply={"kind": "discord"})
    used = first.model_copy(update={"source": image_request(prompt="x", seed=1, source={"picture": sent}).source})
    await queue.submit(used, key="u", member="7", server="1", reply={"kind": "discord"}, brought=(sent,))
    async with worker(queue):
        await state(queue, theirs.job, JobState.RENDERED)
    own = await drawn(queue, client)
    bodies = []
    for name in (f"{theirs.job.id}/0.png", sent, f"{'0' * 32}/0.png"):
        answer = await client.post("/api/v1/jobs", json={"prompt": "x", "seed": 1, "source": {"picture": name}})
        bodies.append((answer.status, await answer.json()))
    assert bodies[0] == bodies[1] == bodies[2]
    assert (bodies[0][0], bodies[0][1]["field"]) == (400, "source")
    mine = {"prompt": "x", "seed": 1, "source": {"picture": f"{own['id']}/0.png"}}
    assert (await client.post("/api/v1/jobs", json=mine)).status == 202
    # The member who sent it may name it again, as a moderator of their server may; a stranger there may not.
    for number, (member, moderates, fine) in enumerate((("7", False, True), ("8", True, True), ("9", False, False))):
        asking = queue.submit(used, key=f"{number}", member=member, server="1", reply={}, moderates=moderates)
        if fine:
            await asking
        else:
            with pytest.raises(Exception, match="source"):
                await asking


async def test_previews_are_withheld_where_the_picture_is(queue: Queue, client: Client) -> None:
    """By the queue itself, so that no reader of events can forget it."""
    seen = asyncio.Event()

    async def slowly(request: ImageRequest, context: JobContext) -> Any:
        for _ in range(200):
            await context.progress(1, request.steps, b"\xff\xd8 a picture")
            await asyncio.sleep(0.02)
            if seen.is_set():
                break
        return await paint(request, context)

    job = await (await client.post("/api/v1/jobs", json={"prompt": "a red apple", "size": 64})).json()
    await queue.moderation.store.mark(job["id"], spoiler=True)
    async with worker(queue, slowly):
        steps = 0
        async for event in queue.events(job["id"]):
            if hasattr(event, "preview"):
                steps += 1
                assert event.preview is None
                if steps == 3:
                    seen.set()
    assert steps >= 1
