"""Disks that are full or read-only, and a clock that jumps: real ones, as far as a kernel can make them.

The other lines of "bad input" have their tests where they belong; docs/reliability.md names them all.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest
from queue_disks import fill, read_only_disk, small_disk
from queuekit import QUICK, paint, state, submit, until, worker

from daguerre.queue.control.service import open_queue
from daguerre.queue.errors import QueueUnavailable, StorageFull
from daguerre.queue.records.jobs import Job, JobState, Rendered
from daguerre.queue.records.requests import ImageRequest
from daguerre.queue.worker.settings import JobContext

__all__ = ["read_only_disk", "small_disk"]


async def test_a_disk_that_fills_up_in_mid_job(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Table, nats-server and pictures share it. Who asks is told, the rendered picture waits at its worker, and once
    there is room everything ends well."""
    go = asyncio.Event()

    async def hold(request: ImageRequest, context: JobContext) -> Rendered:
        await go.wait()
        return Rendered((bytes(300_000),))

    # The disk is smaller than what is kept free of it otherwise.
    full = QUICK.model_copy(update={"min_free_megabytes": 0})
    async with open_queue(full, small_disk / "data") as queue, worker(queue, hold):
        running, waiting = await submit(queue, "first"), await submit(queue, "second")
        await state(queue, running, JobState.RUNNING)
        filler = fill(small_disk)
        go.set()

        async def flood() -> None:
            for number in range(50):
                await submit(queue, "a secret wish " * 50, key=f"{number}", member=f"{number}")

        with pytest.raises(StorageFull, match="free space"):
            await flood()
        assert not queue.healthy().ok
        await asyncio.sleep(3)
        assert (await queue.job(running.id)).state is not JobState.RENDERED
        filler.unlink()
        for job in (running, waiting):
            await state_despite_trouble(queue, job)
        await until(lambda: queue.healthy().ok, 40)
    assert "secret" not in caplog.text


async def state_despite_trouble(queue: object, job: object) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            await state(queue, job, JobState.RENDERED, seconds=60)  # type: ignore[arg-type]
        except QueueUnavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)
        else:
            return


async def test_a_read_only_disk_is_told_at_the_start(read_only_disk: Path) -> None:
    """Neither a traceback nor half a queue."""
    with pytest.raises(StorageFull, match=r"cannot be (written|made)|writable|Read-only"):
        async with open_queue(QUICK, read_only_disk):
            pass


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0, -40 * 365 * 86_400.0])
async def test_a_clock_that_jumps_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, jump: float
) -> None:
    """A day ahead, a day back, and to the seventies, while a job runs: workers stay known, its follower hears every
    change in order, jobs of before and after keep their turn."""
    caplog.set_level(logging.WARNING)
    go, real = asyncio.Event(), time.time

    async def hold(request: ImageRequest, context: JobContext) -> Rendered:
        await go.wait()
        return await paint(request, context)

    async with open_queue(QUICK, tmp_path) as queue, worker(queue, hold):
        first = await submit(queue, "first")
        await state(queue, first, JobState.RUNNING)
        heard: list[JobState] = []

        async def follow() -> None:
            heard.extend([event.state async for event in queue.events(first.id) if isinstance(event, Job)])

        following = asyncio.create_task(follow())
        second = await submit(queue, "second")
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        third = await submit(queue, "third")
        await asyncio.sleep(2)  # Longer than a lease, and than a worker may be silent.
        assert len(await queue.workers()) == 1
        go.set()
        for job in (first, second, third):
            await state(queue, job, JobState.RENDERED)
        await asyncio.wait_for(following, 10)
        assert (heard[0], heard[-1]) == (JobState.RUNNING, JobState.RENDERED)
        assert await queue.mark_notified(first.id)
        for job in (first, second, third):
            assert (await queue.job(job.id)).attempts == 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
