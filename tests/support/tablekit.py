"""An open job table on a SQLite file, and jobs in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from queuekit import asked

from daguerre.queue.records.jobs import Job
from daguerre.queue.store.database import Database, database_url
from daguerre.queue.store.migrate import migrate
from daguerre.queue.store.table import JobTable


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Database, JobTable]]:
    database = Database(database_url("", folder))
    try:
        await migrate(database)
        yield database, JobTable(database)
    finally:
        await database.close()


async def add(table: JobTable, key: str, *, member: str = "m", server: str = "s", **fields: object) -> Job:
    return (await table.add(asked(**fields), key=key, member=member, server=server, reply={"channel": 5})).job
