"""The job table on a real SQLite file: order, guards, limits, revisions, failing disks."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from queuekit import asked
from sqlalchemy import text

from daguerre.queue.database import Database, database_url
from daguerre.queue.errors import QueueFull, QueueUnavailable, StorageFull, UnknownJob
from daguerre.queue.jobs import Job, JobState
from daguerre.queue.schema import METADATA, migrate, newest_revision
from daguerre.queue.server_settings import ServerSettings, ServerSettingsStore
from daguerre.queue.table import JobTable


@asynccontextmanager
async def opened(folder: Path, *, limit: int = 1000) -> AsyncIterator[tuple[Database, JobTable]]:
    database = Database(database_url("", folder))
    try:
        await migrate(database)
        table = JobTable(database, max_queued_per_member=limit)
        await table.restore_clocks()
        yield database, table
    finally:
        await database.close()


async def add(table: JobTable, key: str, *, member: str = "m", server: str = "s", **fields: object) -> Job:
    return (await table.add(asked(**fields), key=key, member=member, server=server, reply={"channel": 5})).job


async def test_a_key_gives_one_job_for_ever(tmp_path: Path) -> None:
    """The same key again, even after the job is over and the table reopened, gives that job and creates nothing."""
    async with opened(tmp_path) as (_, table):
        first = await table.add(asked(), key="k", member="m", server="s", reply={"channel": 5})
        assert first.created
        assert first.job.reply == {"channel": 5}
        assert await table.cancel(first.job.id)
    async with opened(tmp_path) as (_, table):
        again = await table.add(asked("something else"), key="k", member="m", server="s", reply={})
        assert not again.created
        assert (again.job.id, again.job.request.prompt) == (first.job.id, "a red apple")
        assert sum((await table.counts()).values()) == 1


async def test_late_and_doubled_results_change_nothing(tmp_path: Path) -> None:
    """Pitfall 5: each change of state is guarded, so the second of anything finds nothing to do."""
    async with opened(tmp_path) as (_, table):
        job = await add(table, "k")
        (sent,) = await table.claim(5)
        assert (sent.id, sent.state, sent.generation) == (job.id, JobState.SENT, 1)
        assert (await table.running(job.id, attempt=1)) is not None
        assert (await table.running(job.id, attempt=1)) is None
        done = {"metadata": {}, "seconds": 1.0, "attempts": 1}
        assert (await table.rendered(job.id, pictures=["a"], **done)) is not None
        assert (await table.rendered(job.id, pictures=["b"], **done)) is None
        assert (await table.broken(job.id, state=JobState.DEAD, error="broken", attempts=3)) is None
        assert (await table.requeue(job.id, generation=1)) is None
        assert (await table.cancel(job.id)) is None
        assert (await table.job(job.id)).pictures == ("a",)
        assert await table.mark_told(job.id)
        assert not await table.mark_told(job.id)
        assert (await table.job(job.id)).state is JobState.DELIVERED


async def test_cancelled_before_its_result(tmp_path: Path) -> None:
    """A result that comes after the cancellation is superfluous; being told leaves the state alone."""
    async with opened(tmp_path) as (_, table):
        job = await add(table, "k")
        await table.claim(1)
        assert not await table.mark_told(job.id)
        cancelled = await table.cancel(job.id)
        assert cancelled is not None
        assert cancelled[1] is JobState.SENT
        assert (await table.rendered(job.id, pictures=["a"], metadata={}, seconds=1, attempts=1)) is None
        assert [one.id for one in await table.untold()] == [job.id]
        assert await table.mark_told(job.id)
        assert (await table.job(job.id)).state is JobState.CANCELLED
        assert await table.untold() == []


async def test_requeue_minds_the_generation(tmp_path: Path) -> None:
    """A job goes back only if the message that was lost is its latest one; it keeps its place."""
    async with opened(tmp_path) as (_, table):
        first = await add(table, "1")
        await add(table, "2")
        await table.claim(1)
        assert (await table.requeue(first.id, generation=0)) is None
        assert (await table.requeue(first.id, generation=1)) is not None
        assert await table.position(first.id) == 0
        (sent,) = await table.claim(1)
        assert (sent.id, sent.generation) == (first.id, 2)


async def test_no_more_jobs_than_slots_are_out(tmp_path: Path) -> None:
    """`claim` counts what is out already."""
    async with opened(tmp_path) as (_, table):
        for number in range(6):
            await add(table, str(number))
        assert len(await table.claim(4)) == 4
        assert len(await table.claim(4)) == 0
        assert len(await table.claim(5)) == 1


async def test_members_have_a_limit(tmp_path: Path) -> None:
    """Only waiting jobs count, only the member's own, and a known key is answered even at the limit."""
    async with opened(tmp_path, limit=2) as (_, table):
        await add(table, "1")
        await add(table, "2")
        with pytest.raises(QueueFull) as refusal:
            await add(table, "3")
        assert refusal.value.limit == 2
        assert not (await table.add(asked(), key="2", member="m", server="s", reply={})).created
        await add(table, "4", member="another")
        await table.claim(1)
        await add(table, "3")


async def test_the_order_of_the_table_is_fair(tmp_path: Path) -> None:
    """A newcomer cuts in behind what runs, before the flood, in its server and in others; the clocks survive."""
    async with opened(tmp_path) as (_, table):
        flood = [await add(table, f"flood {number}", member="flooder") for number in range(10)]
        await table.claim(1)
    async with opened(tmp_path) as (_, table):
        same = await add(table, "same server", member="quiet")
        other = await add(table, "other server", member="quiet", server="t")
        assert [await table.position(job.id) for job in (other, same, *flood)] == [0, 1, 0, *range(2, 11)]
        await table.cancel(flood[1].id)
        await table.cancel(same.id)
        assert [await table.position(job.id) for job in (other, *flood[2:])] == list(range(9))
        assert [job.id for job in await table.claim(10)] == [job.id for job in (other, *flood[2:])]


async def test_unknown_jobs(tmp_path: Path) -> None:
    """What never was is UnknownJob, or nothing to cancel."""
    async with opened(tmp_path) as (_, table):
        with pytest.raises(UnknownJob):
            await table.job("0" * 32)
        with pytest.raises(UnknownJob):
            await table.update_reply("0" * 32, {})
        assert await table.cancel("0" * 32) is None


async def test_replies_are_replaced(tmp_path: Path) -> None:
    """The follower notes where it answered; a restart finds it."""
    async with opened(tmp_path) as (_, table):
        job = await add(table, "k")
        await table.update_reply(job.id, {"message": 9})
        assert (await table.job(job.id)).reply == {"message": 9}


async def test_sqlite_writes_through(tmp_path: Path) -> None:
    """Pitfall 1: a committed job is on the disk (WAL with synchronous=FULL), and foreign keys hold."""
    async with opened(tmp_path) as (database, _), database.read() as connection:
        found = [
            (await connection.execute(text(f"PRAGMA {name}"))).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]


async def test_migrations_make_the_declared_tables(tmp_path: Path) -> None:
    """The last revision and schema.py say the same."""
    async with opened(tmp_path) as (database, _), database.read() as connection:
        difference = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), METADATA)
        )
    assert difference == []


async def test_a_newer_table_is_left_alone(tmp_path: Path) -> None:
    """Code that is older than the table refuses to touch it, and says what to do."""
    async with opened(tmp_path) as (database, table):
        await add(table, "k")
        async with database.write() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(QueueUnavailable, match=f"revision 9999.*knows {newest_revision()}.*backup"):
        async with opened(tmp_path):
            pass


async def test_a_full_disk_loses_nothing_and_is_said_clearly(tmp_path: Path) -> None:
    """SQLITE_FULL becomes StorageFull with what to do, without the prompt; once there is room it works again."""
    async with opened(tmp_path) as (database, table):
        job = await add(table, "before")
        async with database.write() as connection:
            pages = (await connection.execute(text("PRAGMA page_count"))).scalar()
            await connection.execute(text(f"PRAGMA max_page_count = {pages}"))

        async def fill() -> None:
            for number in range(100):
                await add(table, str(number), prompt="secret " * 100)

        with pytest.raises(StorageFull, match="free space") as problem:
            await fill()
        assert "secret" not in str(problem.value)
        assert database.problem == str(problem.value)
        assert (await table.job(job.id)).state is JobState.QUEUED
        async with database.write() as connection:
            await connection.execute(text("PRAGMA max_page_count = 100000"))
        await add(table, "after")
        assert database.problem is None


async def test_a_read_only_disk_is_said_clearly(tmp_path: Path) -> None:
    """SQLITE_READONLY too."""
    async with opened(tmp_path) as (database, table):
        async with database.read() as connection:
            await connection.execute(text("PRAGMA query_only = ON"))
        with pytest.raises(StorageFull, match="make it writable"):
            await add(table, "k")


async def test_a_broken_file_is_said_clearly(tmp_path: Path) -> None:
    """What is no database is not overwritten."""
    (tmp_path / "daguerre.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(QueueUnavailable, match="not a database"):
        async with opened(tmp_path):
            pass
    assert (tmp_path / "daguerre.db").read_bytes().startswith(b"not a database")


@pytest.mark.parametrize(
    ("setting", "text"),
    [("mysql://host/name", "mysql is not supported"), ("nonsense", "no SQLAlchemy URL")],
)
def test_wrong_database_urls_are_named(tmp_path: Path, setting: str, text: str) -> None:
    """Only SQLite and PostgreSQL; the message names the setting."""
    with pytest.raises(QueueUnavailable, match=rf"database_url.*{text}"):
        database_url(setting, tmp_path)


def test_database_urls_get_their_asyncio_driver(tmp_path: Path) -> None:
    """The owner writes plain URLs."""
    assert database_url("", tmp_path).drivername == "sqlite+aiosqlite"
    assert database_url("postgresql://me@host/name", tmp_path).drivername == "postgresql+asyncpg"


async def test_settings_of_servers_are_versioned(tmp_path: Path) -> None:
    """Who, when, from what, to what; each server its own; defaults until first set."""
    async with opened(tmp_path) as (database, _):
        store = ServerSettingsStore(database)
        assert await store.get("1") == ServerSettings()
        first = ServerSettings(steps=8, channels=frozenset({"5", "6"}))
        second = ServerSettings(steps=9, size=512)
        change = await store.put("1", first, who="ada")
        assert (change.version, change.old) == (1, ServerSettings())
        await store.put("1", second, who="bob")
        assert await store.get("1") == second
        assert await store.get("2") == ServerSettings()
        newest, oldest = await store.changes("1")
        assert (newest.version, newest.who, newest.old, newest.new) == (2, "bob", first, second)
        assert (oldest.who, oldest.new) == ("ada", first)
        assert newest.when >= oldest.when
        assert first.allows("5")
        assert not first.allows("7")
        assert second.allows("7")


async def test_stored_settings_outlive_their_fields(tmp_path: Path) -> None:
    """A value that today's code no longer knows or allows falls back to its default; the others stay."""
    async with opened(tmp_path) as (database, _):
        await ServerSettingsStore(database).put("1", ServerSettings(guidance=5.0), who="ada")
    with sqlite3.connect(tmp_path / "daguerre.db") as connection:
        old = '{"steps": 900, "guidance": 5.0, "size": 256, "channels": [], "gone": 1}'
        connection.execute("UPDATE server_settings SET new = ?", (old,))
    connection.close()
    async with opened(tmp_path) as (database, _):
        assert await ServerSettingsStore(database).get("1") == ServerSettings(guidance=5.0)
