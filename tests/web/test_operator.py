"""/metrics and /readyz of the control process: what they say, and to whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from queuekit import until
from webkit import api, worker

from daguerre.bot.text import LOCALES
from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.options import QueueOptions
from daguerre.queue.texts import Texts
from daguerre.web.operator import lacking_of
from daguerre.web.options import WebOptions
from daguerre.web.server import make_app


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QueueOptions(), tmp_path) as opened:
        yield opened


async def test_metrics_can_be_read_by_prometheus(queue: Queue, tmp_path: Path) -> None:
    """Its text format; jobs by state, workers and their slots, what of the queue works, room on the disk."""
    app = make_app(queue, WebOptions(), texts=Texts(LOCALES), data_dir=tmp_path)
    async with worker(queue, slots=3), TestClient(TestServer(app)) as client:
        await client.post("/api/v1/jobs", json={"prompt": "a red apple", "size": 64})
        job = (await (await client.post("/api/v1/jobs", json={"prompt": "a", "size": 64})).json())["id"]
        await (await client.get(f"/api/v1/jobs/{job}/events")).text()
        answer = await client.get("/metrics")
        text = await answer.text()
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    lines = text.splitlines()
    assert 'daguerre_up{part="storage"} 1.0' in lines
    assert 'daguerre_up{part="broker"} 1.0' in lines
    assert "daguerre_workers 1.0" in lines
    assert "daguerre_slots 3.0" in lines
    assert "daguerre_jobs_queued_total 2.0" in lines
    counted = [line for line in lines if line.startswith("daguerre_jobs{")]
    assert sum(float(line.rpartition(" ")[2]) for line in counted) == 2
    assert any(line.startswith("daguerre_disk_free_bytes ") for line in lines)
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


async def test_ready_means_that_a_picture_can_be_drawn(queue: Queue) -> None:
    """Alive at once; ready once a worker is there. Then it says so, else what is missing."""
    async with api(queue) as client:
        assert (await client.get("/healthz")).status == 200
        waiting = await client.get("/readyz")
        assert (waiting.status, (await waiting.json())["lacking"]) == (503, ["worker: none is connected"])
        async with worker(queue):
            await until(queue.workers)
            ready = await client.get("/readyz")
            assert (ready.status, await ready.json()) == (200, {"status": "ready", "lacking": []})
            assert lacking_of(queue, {"bot": "connecting"}) == ["bot: connecting"]
            assert lacking_of(queue, {"bot": "off: no DISCORD_TOKEN"}) == []


async def test_figures_are_for_this_machine_unless_it_is_opened(queue: Queue) -> None:
    """A browser that was led here, and a stranger, get no figures; whom [web] allowed_hosts names does by the token."""
    async with TestClient(TestServer(make_app(queue, WebOptions(), texts=Texts(LOCALES)))) as client:
        refused = await client.get("/metrics", headers={"Host": "evil.example"})
        assert (refused.status, (await refused.json())["error"]) == (403, "foreign_host")
    opened = WebOptions(allowed_hosts=("metrics.lan",))
    async with TestClient(TestServer(make_app(queue, opened, texts=Texts(LOCALES), token="t"))) as client:
        headers = {"Host": "metrics.lan"}
        assert (await client.get("/metrics", headers=headers)).status == 401
        headers["Authorization"] = "Bearer t"
        assert (await client.get("/metrics", headers=headers)).status == 200
