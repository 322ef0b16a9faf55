"""`daguerre backup` and `restore` with a real PostgreSQL."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from backupkit import PROMPT, a_queue_with_pictures, brought_back, configuration, files_of, forged, saved
from queue_postgres import Postgres, a_postgres, programs
from queuekit import QUICK, state, submit, worker

from daguerre.app.archive import DATABASES
from daguerre.app.errors import QueueFailed, Refused
from daguerre.queue.control.service import open_queue
from daguerre.queue.errors import QueueUnavailable
from daguerre.queue.records.jobs import JobState
from daguerre.queue.store.migrate import newest_revision
from daguerre.queue.store.upgrade import COPIES_BEFORE


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with a_postgres() as running:
        yield running


def database(server: Postgres, name: str) -> str:
    """URL of a new, empty database."""
    binaries = programs()
    assert binaries is not None
    where = ("-h", "127.0.0.1", "-p", str(server.port), "-U", "daguerre")
    subprocess.run([binaries / "dropdb", *where, "--if-exists", name], check=True, capture_output=True)
    subprocess.run([binaries / "createdb", *where, name], check=True, capture_output=True)
    return server.url.replace("/postgres", f"/{name}")


def listed(dump: Path) -> str:
    """What pg_restore finds in a dump."""
    binaries = programs()
    assert binaries is not None
    command = [binaries / "pg_restore", "--list", dump]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def set_revision(url: str, revision: str) -> None:
    change = f"UPDATE alembic_version SET version_num = '{revision}'"
    subprocess.run(["psql", url, "-c", change], check=True, capture_output=True)


async def test_postgresql_while_it_runs_and_into_an_empty_one(server: Postgres, tmp_path: Path) -> None:
    """By pg_dump and pg_restore: the same; a database that holds anything is left alone, a bad one leaves nothing."""
    options = QUICK.model_copy(update={"database_url": database(server, "before")})
    here = configuration(tmp_path / "old", options)
    async with open_queue(options, here.data_dir) as queue:
        done, waits, _ = await a_queue_with_pictures(queue)
        told = await saved(here, tmp_path / "b.zip")
    assert (told.database, told.jobs, told.counts["pictures"]) == ("postgresql", {"rendered": 1, "queued": 1}, 2)
    there = configuration(tmp_path / "new", options)
    with pytest.raises(QueueFailed, match="is not empty"):
        await brought_back(there, tmp_path / "b.zip")
    with pytest.raises(Refused, match="postgresql database"):
        await brought_back(configuration(tmp_path / "new"), tmp_path / "b.zip")

    empty = QUICK.model_copy(update={"database_url": database(server, "after")})
    there = configuration(tmp_path / "new", empty)
    forged(
        tmp_path / "b.zip", tmp_path / "bad.zip",
        add={DATABASES["postgresql"]: b"PGDMP nonsense"}, drop=DATABASES["postgresql"],
    )  # fmt: skip
    with pytest.raises(QueueFailed, match="pg_restore failed"):
        await brought_back(there, tmp_path / "bad.zip")
    assert files_of(there.data_dir).keys() == {"control.lock"}
    await brought_back(there, tmp_path / "b.zip")
    async with open_queue(empty, there.data_dir) as queue, worker(queue):
        assert (await queue.job(done.id)).request.prompt == PROMPT
        await state(queue, waits, JobState.RENDERED)
        assert sum((await queue.counts()).values()) == 2


async def test_postgresql_is_as_empty_as_before_when_it_cannot_be_brought_up_to_date(
    server: Postgres, tmp_path: Path
) -> None:
    """A dump of a later revision under a manifest that hides it: refused by the table itself, and taken away again."""
    url = database(server, "before")
    options = QUICK.model_copy(update={"database_url": url})
    here = configuration(tmp_path / "old", options)
    async with open_queue(options, here.data_dir) as queue:
        await submit(queue)
    set_revision(url, "9999")
    await saved(here, tmp_path / "b.zip")
    forged(tmp_path / "b.zip", tmp_path / "lying.zip", told=lambda told: told.update(revision=newest_revision()))
    empty = QUICK.model_copy(update={"database_url": database(server, "after")})
    there = configuration(tmp_path / "new", empty)
    with pytest.raises(QueueFailed, match="newer Daguerre"):
        await brought_back(there, tmp_path / "lying.zip")
    assert files_of(there.data_dir).keys() == {"control.lock"}
    # The same database takes a good one now.
    set_revision(url, newest_revision())
    await saved(here, tmp_path / "good.zip")
    await brought_back(there, tmp_path / "good.zip")


async def test_without_pg_dump_it_is_said_what_to_install(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No program, one line; a password of the URL is in no message."""
    url = database(server, "before").replace("daguerre@", "daguerre:hunter2secret@")
    options = QUICK.model_copy(update={"database_url": url})
    here = configuration(tmp_path / "old", options)
    async with open_queue(options, here.data_dir) as queue:
        await submit(queue)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(QueueFailed, match=r"pg_dump is not installed.*postgresql-client") as refused:
        await saved(here, tmp_path / "b.zip")
    assert "hunter2" not in str(refused.value)
    assert not (tmp_path / "b.zip").exists()


async def test_a_copy_is_kept_before_an_upgrade(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By pg_dump, before anything is changed; where it is not installed that is said and the upgrade goes on."""
    url = database(server, "before")
    options = QUICK.model_copy(update={"database_url": url})
    async with open_queue(options, tmp_path / "data") as queue:
        await submit(queue)
    earlier = f"{int(newest_revision()) - 1:04d}"
    set_revision(url, earlier)
    folder = tmp_path / "data" / COPIES_BEFORE
    # What the last migration makes is there already, so it fails: the copy was made before.
    with pytest.raises(QueueUnavailable):
        async with open_queue(options, tmp_path / "data"):
            pass
    copy = folder / f"job-table-{earlier}"
    assert "TABLE DATA public jobs" in listed(copy)

    copy.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(QueueUnavailable):
        async with open_queue(options, tmp_path / "data"):
            pass
    assert not copy.exists()
    assert any("upgraded without a copy" in record.getMessage() for record in caplog.records)
