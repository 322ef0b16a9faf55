"""The database under the tables, a real SQLite file: revisions, failing disks, addresses, servers' settings."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from queuekit import QUICK, asked
from sqlalchemy import text
from tablekit import add, opened

from daguerre.queue.control.service import open_queue
from daguerre.queue.errors import QueueUnavailable, StorageFull
from daguerre.queue.records.jobs import JobState
from daguerre.queue.store.database import Database, database_url
from daguerre.queue.store.migrate import MIGRATIONS, newest_revision
from daguerre.queue.store.schema import METADATA
from daguerre.queue.store.server_settings import ServerSettings, ServerSettingsStore
from daguerre.queue.store.upgrade import COPIES_BEFORE, upgrade


async def test_an_earlier_queue_is_brought_up_to_date(tmp_path: Path) -> None:
    """A database as the first release left it: jobs keep id, state and reply, wait in order, and changes are
    recorded from then on."""
    old = load_revision("0001")
    with sqlite3.connect(tmp_path / "daguerre.db") as connection:
        for statement in old:
            connection.execute(statement)
        request = asked().model_dump_json()
        for number, job_state in enumerate(("queued", "running", "queued", "delivered")):
            columns = "id, key, member, server, turn, tag, cost, state, generation, attempts, request, reply, told"
            connection.execute(
                f"INSERT INTO jobs ({columns}, pictures, metadata, seconds, created, changed) "
                "VALUES (?, ?, 'm', 's', 0, ?, 1, ?, 0, 0, ?, '{\"channel\": 5}', 0, '[]', '{}', 0, 1, 1)",
                (f"{number:032x}", str(number), number, job_state, request),
            )
    connection.close()
    async with opened(tmp_path) as (_, table):
        assert [entry.id for entry in await table.waiting()] == [f"{0:032x}", f"{2:032x}"]
        (running,) = await table.out()
        assert (running.priority, running.weight, running.reply, running.request) == (
            "fast",
            1.0,
            {"channel": 5},
            asked(),
        )
        await table.cancel(running.id)
        assert [step.after for step in await table.history(running.id)] == [JobState.CANCELLED]
        assert (await table.counts())[JobState.DELIVERED] == 1


def load_revision(number: str) -> list[str]:
    """The statements that make a database of this revision."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config).get_revision(number)

    out = StringIO()
    context = MigrationContext.configure(dialect_name="sqlite", opts={"as_sql": True, "output_buffer": out})
    with Operations.context(context):
        script.module.upgrade()
    statements = [part for part in out.getvalue().split(";") if part.strip()]
    version = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
    return [*statements, version, f"INSERT INTO alembic_version VALUES ('{number}')"]


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


async def test_an_upgrade_keeps_a_copy_of_what_was(tmp_path: Path) -> None:
    """Readable by its owner alone, of the earlier revision, with the jobs; made anew where an upgrade broke off."""
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as old:
        for statement in load_revision("0001"):
            old.execute(statement)
        old.commit()
    copy = tmp_path / "before-upgrade" / "job-table-0001"
    copy.parent.mkdir()
    copy.write_bytes(b"half of one")
    database = Database(database_url("", tmp_path).set(database=str(tmp_path / "jobs.db")))
    try:
        await upgrade(database, copy.parent)
        await upgrade(database, copy.parent)  # Nothing is left to do.
    finally:
        await database.close()
    assert copy.stat().st_mode & 0o777 == 0o600
    for file, revision in ((copy, "0001"), (tmp_path / "jobs.db", newest_revision())):
        with closing(sqlite3.connect(file)) as kept:
            assert kept.execute("SELECT version_num FROM alembic_version").fetchone() == (revision,)
    assert [each.name for each in copy.parent.iterdir()] == [copy.name]


async def test_the_copy_goes_after_a_week(tmp_path: Path) -> None:
    """It holds prompts that members may have erased since; nothing else in the folder is touched."""
    async with open_queue(QUICK, tmp_path) as queue:
        folder = tmp_path / COPIES_BEFORE
        folder.mkdir()
        for name in ("job-table-0001", "mine"):
            (folder / name).write_bytes(b"x")
        kept = {"job-table-0001", "mine"}
        await queue._housekeeping.tidy(time.time() + 6.9 * 86_400)
        assert {file.name for file in folder.iterdir()} == kept
        await queue._housekeeping.tidy(time.time() + 7.1 * 86_400)
        assert {file.name for file in folder.iterdir()} == {"mine"}


async def test_without_room_for_the_copy_nothing_is_upgraded(tmp_path: Path) -> None:
    """And the error says which folder is full or cannot be written."""
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as old:
        for statement in load_revision("0001"):
            old.execute(statement)
        old.commit()
    (tmp_path / "before-upgrade").mkdir()
    (tmp_path / "before-upgrade" / "job-table-0001").mkdir()  # Where the copy would be: cannot be removed as a file.
    database = Database(database_url("", tmp_path).set(database=str(tmp_path / "jobs.db")))
    try:
        with pytest.raises(StorageFull, match="before-upgrade"):
            await upgrade(database, tmp_path / "before-upgrade")
    finally:
        await database.close()
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as kept:
        assert kept.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)


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
        pages = await database.change(lambda connection: connection.execute(text("PRAGMA page_count")).scalar())
        await database.change(lambda connection: connection.execute(text(f"PRAGMA max_page_count = {pages}")).all())

        async def fill() -> None:
            for number in range(100):
                await add(table, str(number), prompt="secret " * 100)

        with pytest.raises(StorageFull, match="free space") as problem:
            await fill()
        assert "secret" not in str(problem.value)
        assert database.problem == str(problem.value)
        assert (await table.job(job.id)).state is JobState.QUEUED
        await database.change(lambda connection: connection.execute(text("PRAGMA max_page_count = 100000")).all())
        await add(table, "after")
        assert database.problem is None


async def test_a_read_only_disk_is_said_clearly(tmp_path: Path) -> None:
    """SQLITE_READONLY too."""
    async with opened(tmp_path) as (database, table):
        # A session's own setting, on the connection that writes next.
        await database.change(lambda connection: connection.execute(text("PRAGMA query_only = ON")) and None)
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
        assert await ServerSettingsStore(database).get("1") == ServerSettings(guidance=5.0, size=256)
