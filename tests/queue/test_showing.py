"""What the gate for showing needs to know, kept and found again; what is exported goes through it too."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from queuekit import QUICK, state, submit, worker

from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.errors import NotShown
from daguerre.queue.moderation.permits import Asker
from daguerre.queue.moderation.showing import Place, Use
from daguerre.queue.records.jobs import Job, JobState


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QUICK, tmp_path / "data") as opened:
        yield opened


async def drawn(queue: Queue, number: int, **fields: int) -> list[Job]:
    async with worker(queue):
        asked = [await submit(queue, f"apple {k}", member="ada", **fields) for k in range(number)]
        return [await state(queue, job, JobState.RENDERED) for job in asked]


async def test_pages_count_pictures(queue: Queue) -> None:
    """Newest first, each once, however many a request had; those whose files went are not there."""
    grids, single = await drawn(queue, 2, count=4), await drawn(queue, 1)
    every, number = await queue.members.pictures("ada", 100)
    assert number == len(every) == 9
    wanted = [(single[0].id, 0), *((job.id, k) for job in reversed(grids) for k in range(4))]
    assert [(job.id, picture) for job, picture in every] == wanted
    paged = [one for skip in range(0, 9, 2) for one in (await queue.members.pictures("ada", 2, skip))[0]]
    assert [(job.id, picture) for job, picture in paged] == wanted
    assert await queue.members.pictures("eve", 6) == ([], 0)


async def test_an_export_holds_back_what_nobody_may_see(queue: Queue) -> None:
    """And says so; the rest is there."""
    fine, held, deleted = await drawn(queue, 3)
    await queue.moderation.store.mark(held.id, review="held")
    await queue.moderation.store.mark(deleted.id, deleted=True)
    data, missing = await queue.privacy.export("ada", 1 << 20)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert sorted(archive.namelist()) == ["mydata.json", f"pictures/{fine.id}-0.png"]
        told = {job["id"]: job for job in json.loads(archive.read("mydata.json"))["jobs"]}
    assert missing == 0
    assert (told[held.id]["held_back"], told[deleted.id]["held_back"]) == ("held", "deleted")
    assert told[held.id]["pictures"] == []


async def test_what_a_server_decides_about_a_picture_of_elsewhere_holds_there(queue: Queue) -> None:
    """Not in its own server, nor in a third one; and it can be taken back."""
    (job,) = await drawn(queue, 1)
    store, ada = queue.moderation.store, Asker("ada")
    await store.mark_elsewhere(job.id, "2", deleted=True)

    async def shown(server: str) -> bool:
        return not (await queue.showing.permit(Use.POST, job, Place(server), ada)).private

    assert [await shown(server) for server in ("s", "2", "3")] == [True, False, True]
    await store.mark_elsewhere(job.id, "2", hidden=True)
    permit = await queue.showing.permit(Use.POST, job, Place("2"), ada)
    assert (permit.private, permit.blurred) == (False, True)
    await store.mark_elsewhere(job.id, "2")
    assert await shown("2")


async def test_copies_are_found_once(queue: Queue) -> None:
    """Of one server, or all; taken, they are forgotten."""
    store = queue.moderation.store
    for message, server in ((1, "s"), (2, "s"), (3, "t")):
        await store.copied("job", server, 9, message)
    assert (await store.copied_to("job", "t"), await store.copied_to("job", "u")) == (True, False)
    assert await store.take_copies("job", "t") == [(9, 3)]
    assert sorted(await store.take_copies("job")) == [(9, 1), (9, 2)]
    assert await store.take_copies("job") == []


async def test_what_is_forgotten_has_no_copies_on_record(queue: Queue) -> None:
    """Where a picture was shown goes with it."""
    (job,) = await drawn(queue, 1)
    await queue.moderation.store.copied(job.id, "s", 9, 1)
    assert await queue.privacy.forget("ada") == 1
    assert not await queue.moderation.store.copied_to(job.id, "s")


async def test_a_picture_that_the_check_would_hold_elsewhere_is_not_brought_there(queue: Queue) -> None:
    """Each server's own limit counts, also before the picture was ever delivered."""
    (job,) = await drawn(queue, 1)
    from dataclasses import replace

    from daguerre.queue.store.server_settings import ServerSettings

    await queue.server_settings.put("s", ServerSettings(hold_from=90), "1")
    scored = replace(job, metadata={"scores": [0.85]})
    ada = Asker("ada")
    assert not (await queue.showing.permit(Use.POST, scored, Place("s"), ada)).private
    assert (await queue.showing.permit(Use.POST, scored, Place("2"), ada)).private
    with pytest.raises(NotShown, match="held"):
        await queue.showing.permit(Use.LOOK, replace(job, metadata={"scores": [0.95]}), Place("s"), ada)
    assert (await queue.moderation.store.marks(job.id)).review == "held"
