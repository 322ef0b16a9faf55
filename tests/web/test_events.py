"""The event stream of a job over HTTP: previews, late joiners, silence."""

from __future__ import annotations

import asyncio
import io
import json
from base64 import b64decode
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from queuekit import QUICK
from webkit import Client, api, worker

from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.records.jobs import Job, Progress, Rendered
from daguerre.queue.records.requests import ImageRequest
from daguerre.queue.worker.settings import JobContext
from daguerre.web.events import MAX_PREVIEW, progress_body, send_events


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QUICK, tmp_path) as opened:
        yield opened


@pytest.fixture
async def client(queue: Queue) -> AsyncIterator[Client]:
    async with api(queue) as opened:
        yield opened


def preview(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(file, kind)
    return file.getvalue()


async def listen(client: Client, job: str, enough: int) -> list[tuple[str, Any]]:
    """The first events that somebody gets who joins now."""
    heard: list[tuple[str, Any]] = []
    async with client.get(f"/api/v1/jobs/{job}/events") as answer:
        name = ""
        async for raw in answer.content:
            field, _, value = raw.decode().strip().partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                heard.append((name, json.loads(value)))
                if len(heard) == enough:
                    break
    return heard


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
async def test_late_joiners_get_the_latest_step_and_preview(queue: Queue, client: Client, kind: str) -> None:
    """The job as it stands, then the last step with the last picture, though that came a step earlier."""
    go, shown = asyncio.Event(), asyncio.Event()

    async def paint(request: ImageRequest, context: JobContext) -> Rendered:
        await context.progress(1, 4, preview(kind))
        await context.progress(2, 4)
        shown.set()
        await go.wait()
        return Rendered((b"png",))

    job = (await (await client.post("/api/v1/jobs", json={"prompt": "a red apple"})).json())["id"]
    async with worker(queue, paint):
        await asyncio.wait_for(shown.wait(), 20)
        await asyncio.sleep(0.3)  # What is lossy is under way.
        (first, state), (second, step) = await asyncio.wait_for(listen(client, job, 2), 10)
        assert (first, state["state"], second) == ("job", "running", "progress")
        assert (step["step"], step["steps"]) == (2, 4)
        head, _, data = step["preview"].partition(";base64,")
        assert head == f"data:image/{kind.lower()}"
        assert b64decode(data) == preview(kind)
        go.set()
        assert (await asyncio.wait_for(listen(client, job, 1), 10))[0][1]["id"] == job


@pytest.mark.parametrize("picture", [None, b"what is this", b"\xff\xd8" + bytes(MAX_PREVIEW)])
def test_no_or_an_unfit_preview_is_left_out(picture: bytes | None) -> None:
    """The step is told all the same."""
    assert progress_body(Progress("0" * 32, 3, 9, picture)) == {"id": "0" * 32, "step": 3, "steps": 9}


async def test_silence_is_filled_with_comments() -> None:
    """And a listener who leaves closes the source behind him."""
    closed: list[bool] = []

    async def silent() -> AsyncGenerator[Job | Progress]:
        try:
            await asyncio.Event().wait()
            yield Progress("0" * 32, 1, 2)
        finally:
            closed.append(True)

    written: list[bytes] = []

    async def write(data: bytes) -> None:
        written.append(data)
        if len(written) == 3:
            raise ConnectionResetError

    async def body(_: Job) -> Mapping[str, Any]:
        return {}

    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(send_events(silent(), body, write, keep_alive=0.01), 5)
    assert set(written) == {b": still here\n\n"}
    assert closed == [True]
