"""The database: one engine, read and write transactions, errors said clearly. SQLite or PostgreSQL by URL."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ..errors import QueueError, QueueUnavailable, StorageFull
from .batcher import Answer, Batcher

Result = TypeVar("Result")
#: Changes that share one transaction at most.
BATCH = 200

#: What SQLite says when the disk is full or cannot be written (sqlite3 result codes FULL, READONLY, IOERR).
_FULL = ("database or disk is full", "readonly database", "disk i/o error", "no space left", "disk full")


#: The asyncio driver of each kind of database.
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


def database_url(setting: str, data_dir: Path) -> URL:
    """The URL that `[queue] database_url` means; empty is the SQLite file in the data folder.

    Raises:
        QueueUnavailable: it is no URL, or of a database that is not supported.
    """
    if not setting:
        return URL.create(_DRIVERS["sqlite"], database=str(data_dir / "daguerre.db"))
    try:
        url = make_url(setting)
    except ArgumentError:
        raise QueueUnavailable("[queue] database_url is no SQLAlchemy URL, such as postgresql://host/name") from None
    backend = url.get_backend_name()
    if backend not in _DRIVERS:
        raise QueueUnavailable(f"[queue] database_url: {backend} is not supported; use sqlite or postgresql")
    return url.set(drivername=_DRIVERS[backend])


def make_private(url: URL) -> None:
    """Prompts are in it: a new SQLite file is for its owner alone, and so are the files that SQLite puts beside it.

    Raises:
        StorageFull: it cannot be made.
    """
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return
    try:
        os.close(os.open(url.database, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as problem:
        raise StorageFull(f"the job table {url.database} cannot be written ({problem.strerror})") from None


#: asyncpg: a server that is away is an error after these seconds, and a dead connection is noticed.
_POSTGRES_TIMEOUTS: dict[str, Any] = {
    "timeout": 5,
    "command_timeout": 20,
    "server_settings": {"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3"},
}


class Database:
    """All SQL goes through `read` and `write`. Construction opens nothing."""

    def __init__(self, url: URL) -> None:
        self.url = url
        sqlite = url.get_backend_name() == "sqlite"
        try:
            # Connections to a server may have died since they were last used; to a file they do not.
            more: dict[str, Any] = {} if sqlite else {"pool_pre_ping": True, "connect_args": _POSTGRES_TIMEOUTS}
            self.engine: AsyncEngine = create_async_engine(url, hide_parameters=True, **more)
            #: SQLite without a hop between threads for each cursor: `change` and `view` take one for all they do.
            self.direct = create_engine(url.set(drivername="sqlite"), hide_parameters=True) if sqlite else None
        except ModuleNotFoundError as missing:
            raise QueueUnavailable(
                f"[queue] database_url needs the package {missing.name}, which is missing here: "
                "PostgreSQL is asyncpg's (postgresql+asyncpg://…), SQLite aiosqlite's (sqlite+aiosqlite:///…)"
            ) from None
        for engine in (self.engine.sync_engine, self.direct) if self.direct is not None else ():
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        self._threads = ThreadPoolExecutor(max_workers=3, thread_name_prefix="database")
        # SQLite has one writer; waiting here is cheaper and fairer than its busy handler.
        self._writing = asyncio.Lock()
        self._changes: Batcher[Callable[[Connection], Any]] = Batcher(
            self._together, most=BATCH, name="database commits"
        )
        self._writer: Connection | None = None
        #: Awaited at the start of each write transaction; raises when this process may not write any more.
        self.fence: Callable[[AsyncConnection], Awaitable[None]] | None = None
        #: What the last transaction complained about, by kind; None once one of that kind has worked again.
        self.complaints: dict[str, str | None] = {}

    @property
    def problem(self) -> str | None:
        """What is wrong with it, for the owner."""
        return self.complaints.get("write") or self.complaints.get("read")

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        """A consistent view.

        Raises:
            QueueUnavailable: the database cannot be reached.
        """
        with _Errors(self, "read"):
            async with self.engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction, committed at the end.

        Raises:
            StorageFull: the disk is full or read-only; nothing was changed.
            QueueUnavailable: the database cannot be reached; nothing was changed.
        """
        async with self._writing:
            with _Errors(self, "write"):
                async with self.engine.connect() as connection:
                    await connection.execution_options(daguerre_write=True)
                    async with connection.begin():
                        if self.fence is not None:
                            await self.fence(connection)
                        yield connection

    async def view(self, work: Callable[[Connection], Result]) -> Result:
        """What `work` reads in one transaction; it runs in another thread, or in a greenlet.

        Raises:
            QueueUnavailable: the database cannot be reached.
        """
        if self.direct is None:
            async with self.read() as connection:
                return await connection.run_sync(work)
        direct = self.direct

        def look() -> Result:
            with direct.connect() as connection:
                return work(connection)

        with _Errors(self, "read"):
            return await asyncio.get_running_loop().run_in_executor(self._threads, look)

    async def change(self, work: Callable[[Connection], Result]) -> Result:
        """Like `write`, for many small changes: those that wait at the same time share one transaction, and one fsync.

        `work` runs in another thread, or in a greenlet. It may raise a QueueError as long as it has written nothing;
        that concerns itself alone.
        """
        return await self._changes.do(work)

    async def _together(self, batch: Sequence[Callable[[Connection], Any]]) -> list[Answer]:
        def run(connection: Connection) -> list[Answer]:
            answers: list[Answer] = []
            for work in batch:
                try:
                    answers.append((True, work(connection)))
                except QueueError as refusal:
                    answers.append((False, refusal))
            return answers

        if self.direct is None:
            async with self.write() as connection:
                return await connection.run_sync(run)
        direct = self.direct

        def commit() -> list[Answer]:
            # One connection for all of them, as there is one writer: opening a transaction on it costs a third.
            if self._writer is None:
                self._writer = direct.connect().execution_options(daguerre_write=True)
            try:
                with self._writer.begin():
                    return run(self._writer)
            except BaseException:
                # It may be the connection that is at fault.
                writer, self._writer = self._writer, None
                writer.close()
                raise

        async with self._writing:
            with _Errors(self, "write"):
                return await asyncio.get_running_loop().run_in_executor(self._threads, commit)

    async def close(self) -> None:
        await self._changes.end()
        await self.engine.dispose()
        if self._writer is not None:
            await asyncio.to_thread(self._writer.close)
            self._writer = None
        if self.direct is not None:
            await asyncio.to_thread(self.direct.dispose)
        self._threads.shutdown(wait=False)


class _Errors:
    """Turns the driver's errors into ours. Statements and their values, prompts among them, stay out of the text."""

    def __init__(self, database: Database, kind: str) -> None:
        self._database = database
        self._kind = kind

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is None:
            self._database.complaints[self._kind] = None
        elif isinstance(error, SQLAlchemyError | sqlite3.Error | OSError | TimeoutError):
            said = error.orig if isinstance(error, DBAPIError) else error
            kind_of = "" if isinstance(error, DBAPIError | sqlite3.Error) else f"{type(error).__name__} "
            reason = f"{kind_of}{said}".strip()
            if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
                reason = type(error).__name__  # Its text quotes values.
            if any(sign in reason.lower() for sign in _FULL):
                problem: QueueUnavailable = StorageFull(
                    f"the job table cannot be written ({reason}): free space on the disk of the data folder, "
                    "or make it writable"
                )
            else:
                problem = QueueUnavailable(f"the job table cannot be used: {reason}")
            self._database.complaints[self._kind] = str(problem)
            raise problem from None


def _set_up_sqlite(connection: Any, _: object) -> None:
    # The driver must not begin transactions behind our back: `_begin_sqlite` does.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once, so that it cannot fail half-way with "database is locked".
    write = connection.get_execution_options().get("daguerre_write", False)
    # Not by `exec_driver_sql`: going through SQLAlchemy takes ten times as long.
    cursor = connection.connection.cursor()
    cursor.execute("BEGIN IMMEDIATE" if write else "BEGIN")
    cursor.close()
