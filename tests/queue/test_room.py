"""Room on the disk: what has been accepted keeps the last of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from queuekit import QUICK, paint, state, submit, worker

from daguerre.queue.control.room import Room
from daguerre.queue.control.service import open_queue
from daguerre.queue.errors import StorageFull
from daguerre.queue.records.jobs import JobState


async def test_nothing_is_accepted_without_room_and_what_was_is_finished(tmp_path: Path) -> None:
    """Asking is refused, health says why; a job from before is drawn; with room again all goes on."""
    async with open_queue(QUICK, tmp_path) as queue:
        waiting = await submit(queue)
        left = [10 * 2**20]
        queue._room._free = lambda folder: left[0]
        queue._room._looked = float("-inf")
        with pytest.raises(StorageFull, match="min_free_megabytes"):
            await submit(queue, "a pizza")
        assert (queue.healthy().ok, "10 MB are left" in str(queue.healthy().problem)) == (False, True)
        async with worker(queue, paint):
            await state(queue, waiting, JobState.RENDERED)
        left[0] = 10 * 2**30
        queue._room._looked = float("-inf")
        await submit(queue, "a pizza")
        assert queue.healthy().ok


def test_the_disk_is_looked_at_now_and_then(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A thousand submissions look once; going short and having room again are each said once."""
    looks, clock, free = 0, [0.0], [10**12]

    def look(_: Path) -> int:
        nonlocal looks
        looks += 1
        return free[0]

    room = Room([tmp_path], 200, free=look, now=lambda: clock[0])
    with caplog.at_level(logging.INFO):
        for _ in range(1000):
            room.check()
        assert looks == 1
        free[0] = 0
        for clock[0] in (6.0, 12.0, 18.0):
            with pytest.raises(StorageFull):
                room.check()
        free[0], clock[0] = 10**12, 24.0
        room.check()
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert Room([tmp_path], 0, free=lambda _: 0).check() is None


async def test_another_version_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The first start after an upgrade says so once; a worker of another version is named once."""

    def told(part: str) -> int:
        return sum(part in record.getMessage() for record in caplog.records)

    async with open_queue(QUICK, tmp_path, version="1.0"):
        pass
    assert told("ran here before") == 0
    async with open_queue(QUICK, tmp_path, version="1.1") as queue:
        assert told("daguerre 1.1 starts; 1.0 ran here before") == 1
        async with worker(queue, version="1.1"):
            job = await submit(queue)
            await state(queue, job, JobState.RENDERED)
            assert [each.version for each in await queue.workers()] == ["1.1"]
        assert told("is of version") == 0
        async with worker(queue, version="1.0", name="old"):
            job = await submit(queue, "a pizza")
            await state(queue, job, JobState.RENDERED)
        assert told("worker old is of version 1.0, this is 1.1") == 1
    async with open_queue(QUICK, tmp_path, version="1.1"):
        assert told("ran here before") == 1
