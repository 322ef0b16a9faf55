"""Bringing the database to the present revision."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import URL

from ..errors import QueueUnavailable

# Importing a schema declares its tables; Alembic compares with all of them.
from . import schema_members as _schema_members  # noqa: F401  # pyright: ignore[reportUnusedImport]
from . import schema_moderation as _schema_moderation  # noqa: F401  # pyright: ignore[reportUnusedImport]
from .database import Database
from .schema import METADATA

MIGRATIONS = Path(__file__).parent / "migrations"


def newest_revision() -> str:
    """The revision that this code needs: files in versions/ are named by number."""
    return max(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


async def migrate(database: Database, before: Callable[[str], Awaitable[None]] | None = None) -> None:
    """Bring the database to the newest revision; `before` is awaited with an earlier one that it has.

    Raises:
        StorageFull: it cannot be written.
        QueueUnavailable: it cannot be reached, or newer code wrote it.
    """
    newest = newest_revision()
    async with database.read() as connection:
        present = await connection.run_sync(revision_of)
    if present == newest:
        return  # Without even importing Alembic, which takes a third of a second.
    if present is not None and present > newest:
        raise QueueUnavailable(
            f"the job table is of revision {present}, written by a newer Daguerre; this one knows {newest}. "
            "Install the newer version again, or restore a backup of the data folder."
        )
    if present is not None and before is not None:
        await before(present)
    # In a thread with an event loop and an engine of its own: Alembic blocks.
    await asyncio.to_thread(asyncio.run, _upgrade(database.url))


def revision_of(connection: Connection) -> str | None:
    """The revision that the database is of; None: it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


async def _upgrade(url: URL) -> None:
    database = Database(url)
    try:
        async with database.write() as connection:
            await connection.run_sync(_run_alembic)
    finally:
        await database.close()


def _run_alembic(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    # Alembic reads the value as a ConfigParser does, where % is special.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["metadata"] = METADATA
    command.upgrade(config, "head")
