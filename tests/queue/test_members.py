"""What is kept for members, on a real SQLite file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from queuekit import asked
from sqlalchemy import text

from daguerre.queue.store.database import Database, database_url
from daguerre.queue.store.members import MemberStore, Origin, Preferences
from daguerre.queue.store.migrate import migrate
from daguerre.queue.store.table import JobTable

ADA, EVE = "ada", "eve"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(database_url("", tmp_path))
    await migrate(opened)
    yield opened
    await opened.close()


@pytest.fixture
async def store(database: Database) -> MemberStore:
    return MemberStore(database)


async def jobs(database: Database, member: str, number: int, state: str = "delivered") -> list[str]:
    table = JobTable(database)
    made = [
        (await table.add(asked(f"apple {n}"), key=f"{member}{n}", member=member, server="s", reply={})).job.id
        for n in range(number)
    ]
    async with database.write() as connection:
        await connection.execute(
            text("UPDATE jobs SET state = :state WHERE member = :m"), {"state": state, "m": member}
        )
    return made


async def test_preferences_are_kept_and_at_hand(database: Database, store: MemberStore) -> None:
    """Also by a new process; those of a version that knew more keep what is still known."""
    assert store.known(ADA) == Preferences()
    wanted = Preferences(suffix="--style noto", layout="both", language="zh-CN", private=True, count=4)
    await store.prefer(ADA, wanted)
    assert store.known(ADA) == wanted
    again = MemberStore(database)
    await again.load()
    assert (again.known(ADA), again.known(EVE)) == (wanted, Preferences())
    async with database.write() as connection:
        await connection.execute(text("""UPDATE preferences SET value = '{"count": 99, "direct": true, "new": 1}'"""))
    await again.load()
    assert again.known(ADA) == Preferences(direct=True)


async def test_favourites_are_a_members_own(store: MemberStore) -> None:
    """Twice liked is liked once; pages are newest first."""
    for picture in range(3):
        await store.like(ADA, "a" * 32, picture)
    await store.like(ADA, "a" * 32, 2)
    await store.like(EVE, "b" * 32, 0)
    page, number = await store.favourites(ADA, 2)
    assert number == 3
    assert [one.picture for one in page] == [2, 1]
    assert [one.picture for one in (await store.favourites(ADA, 2, 2))[0]] == [0]
    await store.like(ADA, "a" * 32, 1, liked=False)
    assert not await store.likes(ADA, "a" * 32, 1)
    assert await store.likes(EVE, "b" * 32, 0)


async def test_history_has_only_pictures_of_that_member(database: Database, store: MemberStore) -> None:
    """Newest first, in pages; what waits is listed apart."""
    own = await jobs(database, ADA, 5)
    await jobs(database, EVE, 2, "queued")
    page, number = await store.history(ADA, 2, 1)
    assert number == 5
    assert [job.id for job in page] == [own[3], own[2]]
    assert await store.history(EVE, 10) == ([], 0)
    assert [job.request.prompt for job in await store.waiting(EVE)] == ["apple 0", "apple 1"]
    assert [job.request.prompt for job in await store.last_requests(EVE)] == ["apple 1", "apple 0"]


async def test_lineage_goes_both_ways(store: MemberStore) -> None:
    """A job has one parent; the first note stays."""
    parent, child = "a" * 32, "b" * 32
    await store.link(Origin(child, parent, 2, "vary"))
    await store.link(Origin(child, "c" * 32, 0, "zoom"))
    assert await store.origin(child) == Origin(child, parent, 2, "vary")
    assert await store.children(parent) == [Origin(child, parent, 2, "vary")]
    assert await store.origin(parent) is None


async def test_a_draft_is_taken_once_and_by_its_member(store: MemberStore) -> None:
    """Two clicks on Yes are one yes."""
    draft = await store.keep_proposal(ADA, {"prompt": "{a, b}"})
    assert await store.take_proposal(draft, EVE) is None
    assert await store.take_proposal(draft, ADA) == {"prompt": "{a, b}"}
    assert await store.take_proposal(draft, ADA) is None


async def test_a_member_can_be_exported_and_forgotten(database: Database, store: MemberStore) -> None:
    """Nothing of them stays in these tables; others keep theirs."""
    (job,) = await jobs(database, ADA, 1)
    await store.prefer(ADA, Preferences(language="zh-CN"))
    await store.like(ADA, job, 0)
    await store.like(EVE, job, 0)
    await store.link(Origin(job, "a" * 32, 0, "vary"))
    told = await store.export(ADA)
    assert told["preferences"]["language"] == "zh-CN"
    assert [one["job"] for one in told["favourites"]] == [job]
    await store.forget(ADA)
    assert (await store.export(ADA))["favourites"] == []
    assert await store.origin(job) is None
    assert store.known(ADA) == Preferences()
    assert (await store.favourites(EVE, 5))[1] == 1
