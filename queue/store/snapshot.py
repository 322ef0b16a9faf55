"""A copy of the whole database while others work on it, and bringing one back.

SQLite: its online backup, which readers and writers do not notice. PostgreSQL: `pg_dump` and `pg_restore`, on one
exported snapshot, so that what is counted here is what was dumped.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, create_engine, func, inspect, select, text
from sqlalchemy.engine import URL

from ..errors import QueueUnavailable, StorageFull
from .database import Database
from .migrate import revision_of
from .schema import JOBS, LEASES, SOURCES

#: What is asked of libpq's programs by the names of its variables; passwords are seen in no list of processes.
_VARIABLES = {"sslmode": "PGSSLMODE", "ssl": "PGSSLMODE", "host": "PGHOST", "port": "PGPORT"}
#: A SQLite database and what may lie beside it.
_BESIDE = ("", "-wal", "-shm", "-journal")
#: Tables, views and sequences that stand where ours would.
_OCCUPIED = """
SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = ANY (current_schemas(false)) AND relkind IN ('r', 'p', 'v', 'm', 'S')"""
#: Everything that a restore made, in a database that was empty before it.
_UNDO = """
DO $$ DECLARE name text; BEGIN
FOR name IN SELECT pg_class.oid::regclass::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = ANY (current_schemas(false)) AND relkind IN ('r', 'p') LOOP
    EXECUTE 'DROP TABLE IF EXISTS ' || name || ' CASCADE';
END LOOP;
FOR name IN SELECT pg_proc.oid::regprocedure::text FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
    WHERE nspname = ANY (current_schemas(false))
    AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e') LOOP
    EXECUTE 'DROP FUNCTION IF EXISTS ' || name || ' CASCADE';
END LOOP; END $$"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is in a copy."""

    #: Of the schema, such as "0006".
    revision: str
    #: Jobs by state.
    states: Mapping[str, int]
    jobs: frozenset[str]
    #: Names of pictures that members sent.
    sources: frozenset[str]


async def take(url: URL, file: Path) -> Snapshot:
    """Copy the database into `file`, which must not be there yet; others go on reading and writing meanwhile.

    Raises:
        QueueUnavailable: it cannot be reached, is not there or is damaged, or pg_dump is missing; says what to do.
        StorageFull: there is no room for the copy.
    """
    if url.get_backend_name() == "sqlite":
        return await asyncio.to_thread(_take_sqlite, url, file)
    program = _program("pg_dump")
    database = Database(url)
    try:
        async with database.read() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            name = (await connection.execute(text("SELECT pg_export_snapshot()"))).scalar_one()
            snapshot = await connection.run_sync(_look)
            await _run(
                program, url, "--format=custom", "--no-owner", "--no-privileges", f"--snapshot={name}",
                f"--exclude-table-data={LEASES.name}", f"--file={file}",
            )  # fmt: skip
    finally:
        await database.close()
    return snapshot


async def require_empty(url: URL) -> None:
    """That a database can be brought back here.

    Raises:
        QueueUnavailable: something is in it already, it cannot be reached, or pg_restore is missing.
    """
    if url.get_backend_name() == "sqlite":
        # A log that was left behind would be played into the new one.
        if there := [file for file in _files(url) if file.exists()]:
            raise QueueUnavailable(f"there is a job table already: {there[0]}. Move it away, or name another place")
        return
    _program("pg_restore")
    database = Database(url)
    try:
        async with database.read() as connection:
            occupied = (await connection.execute(text(_OCCUPIED))).scalar_one()
    finally:
        await database.close()
    if occupied:
        raise QueueUnavailable(
            "the database that [queue] database_url names is not empty: make an empty one (createdb) and name that"
        )


async def bring_back(url: URL, file: Path) -> None:
    """Fill an empty database from what `take` wrote: whole, or not at all.

    Raises:
        QueueUnavailable: it cannot be reached, or does not take it.
        StorageFull: there is no room.
    """
    if url.get_backend_name() == "sqlite":
        await asyncio.to_thread(_copy, file, Path(url.database or ""))
        return
    await _run(
        _program("pg_restore"), url, "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges",
        f"--dbname={url.database}", str(file),
    )  # fmt: skip


async def undo(url: URL) -> None:
    """Take away what `bring_back` made and what was done to it since. Raises: QueueUnavailable."""
    if url.get_backend_name() == "sqlite":
        for file in _files(url):
            file.unlink(missing_ok=True)
        return
    database = Database(url)
    try:
        async with database.write() as connection:
            await connection.execute(text(_UNDO))
    finally:
        await database.close()


def _files(url: URL) -> list[Path]:
    return [Path(f"{url.database}{ending}") for ending in _BESIDE]


def _take_sqlite(url: URL, file: Path) -> Snapshot:
    path = Path(url.database or "")
    if not path.is_file():
        raise QueueUnavailable(f"there is no job table {path}: no `daguerre serve` has run with this data folder yet")
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        # mode=rw: it is not made when it has just gone.
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=10)) as source,
            closing(sqlite3.connect(file)) as copy,
        ):
            source.backup(copy)
            # The copy is one file, without a log beside it.
            copy.execute("PRAGMA journal_mode=DELETE")
            said = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        if said != "ok":
            raise QueueUnavailable(f"the job table {path} is damaged: restore an earlier backup")
        engine = create_engine(URL.create("sqlite", database=str(file)), hide_parameters=True)
        try:
            with engine.connect() as connection:
                return _look(connection)
        finally:
            engine.dispose()
    except sqlite3.Error as problem:
        if "full" in str(problem):
            raise StorageFull(f"there is no room for a copy of the job table in {file.parent}") from None
        raise QueueUnavailable(f"the job table {path} cannot be copied: {problem}") from None
    except OSError as problem:
        raise StorageFull(f"the job table cannot be copied to {file.parent}: {problem.strerror}") from None


def _look(connection: Connection) -> Snapshot:
    revision = revision_of(connection)
    if revision is None or not inspect(connection).has_table(JOBS.name):
        raise QueueUnavailable("the database holds no job table: no `daguerre serve` has worked on it yet")
    states = connection.execute(select(JOBS.c.state, func.count()).group_by(JOBS.c.state))
    counted = {str(state): int(number) for state, number in states}
    jobs = frozenset(connection.execute(select(JOBS.c.id)).scalars())
    # Early revisions had none.
    there = inspect(connection).has_table(SOURCES.name)
    sources = frozenset(connection.execute(select(SOURCES.c.name)).scalars() if there else ())
    return Snapshot(revision, counted, jobs, sources)


def _copy(file: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (
            file.open("rb") as source,
            os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as to,
        ):
            shutil.copyfileobj(source, to, 1 << 20)
            to.flush()
            os.fsync(to.fileno())
    except OSError as problem:
        with suppress(OSError):
            if not isinstance(problem, FileExistsError):
                target.unlink()
        raise StorageFull(f"the job table {target} cannot be written: {problem.strerror}") from None


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise QueueUnavailable(
            f"{name} is not installed here, and a PostgreSQL database needs it: install PostgreSQL's client programs, "
            "of the server's version or newer (Debian: apt-get install postgresql-client)"
        )
    return found


async def _run(program: str, url: URL, *arguments: str) -> None:
    named = {
        "PGHOST": url.host, "PGPORT": url.port, "PGUSER": url.username, "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
        **{_VARIABLES[key]: value for key, value in url.query.items() if key in _VARIABLES},
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        program, "--no-password", *arguments,
        env={**os.environ, "LC_ALL": "C", **{key: str(value) for key, value in named.items() if value}},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        # The first line alone: those behind it quote statements and rows, with prompts in them.
        line = next((line for line in said.decode(errors="replace").splitlines() if "error:" in line), "")
        reason = line.partition("error:")[2].strip() or f"exit code {process.returncode}"
        raise QueueUnavailable(f"{Path(program).name} failed: {reason}")
