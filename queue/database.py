"""The database: one engine, read and write transactions, errors said clearly. SQLite or PostgreSQL by URL."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from .errors import QueueUnavailable, StorageFull

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


class Database:
    """All SQL goes through `read` and `write`. Construction opens nothing."""

    def __init__(self, url: URL) -> None:
        self.url = url
        sqlite = url.get_backend_name() == "sqlite"
        try:
            # Connections to a server may have died since they were last used; to a file they do not.
            self.engine: AsyncEngine = create_async_engine(url, pool_pre_ping=not sqlite, hide_parameters=True)
        except ModuleNotFoundError as missing:
            raise QueueUnavailable(f"[queue] database_url needs the package {missing.name}: pip install it") from None
        if sqlite:
            event.listen(self.engine.sync_engine, "connect", _set_up_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)
        # SQLite has one writer; waiting here is cheaper and fairer than its busy handler.
        self._writing = asyncio.Lock()
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
                        yield connection

    async def close(self) -> None:
        await self.engine.dispose()


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
        elif isinstance(error, SQLAlchemyError | OSError):
            reason = str(error.orig) if isinstance(error, DBAPIError) else type(error).__name__
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
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
