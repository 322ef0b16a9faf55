"""Tables of the database, and bringing it to the present revision.

The tables here and the last file in migrations/versions say the same; a test compares them.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    inspect,
    text,
)
from sqlalchemy.engine import URL

from .database import Database
from .errors import QueueUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"

METADATA = MetaData()

JOBS = Table(
    "jobs",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("key", String(200), nullable=False, unique=True),
    Column("member", String(200), nullable=False),
    Column("server", String(200), nullable=False),
    # Fair share: place inside the server, place among all, and what the job costs (fair.py).
    Column("turn", Double, nullable=False),
    Column("tag", Double, nullable=False),
    Column("cost", Double, nullable=False),
    Column("state", String(16), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("sequence", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("request", JSON, nullable=False),
    Column("reply", JSON, nullable=False),
    Column("told", Boolean, nullable=False),
    Column("error", String(200)),
    Column("pictures", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("created", Double, nullable=False),
    Column("changed", Double, nullable=False),
    # The dispatcher's order and the position of a job.
    Index("jobs_by_tag", "state", "tag", "id"),
    # Placing a newcomer among its server's waiting jobs.
    Index("jobs_by_server", "state", "server", "turn"),
    # The limit of waiting jobs for each member.
    Index("jobs_by_member", "state", "member"),
    # Followers to resume after a restart.
    Index("jobs_untold", "told", "state"),
)

SERVER_SETTINGS = Table(
    "server_settings",
    METADATA,
    Column("server", String(200), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("who", String(200), nullable=False),
    Column("changed", Double, nullable=False),
    Column("old", JSON, nullable=False),
    Column("new", JSON, nullable=False),
)


def newest_revision() -> str:
    """The revision that this code needs: files in versions/ are named by number."""
    return max(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


async def migrate(database: Database) -> None:
    """Bring the database to the newest revision.

    Raises:
        StorageFull: it cannot be written.
        QueueUnavailable: it cannot be reached, or newer code wrote it.
    """
    newest = newest_revision()
    async with database.read() as connection:
        present = await connection.run_sync(_revision)
    if present == newest:
        return  # Without even importing Alembic, which takes a third of a second.
    if present is not None and present > newest:
        raise QueueUnavailable(
            f"the job table is of revision {present}, written by a newer Daguerre; this one knows {newest}. "
            "Install the newer version again, or restore a backup of the data folder."
        )
    # In a thread with an event loop and an engine of its own: Alembic blocks.
    await asyncio.to_thread(asyncio.run, _upgrade(database.url))


def _revision(connection: Connection) -> str | None:
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
