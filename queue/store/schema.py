"""Tables of the jobs. schema_members.py and schema_moderation.py hold the others.

The tables here and the last file in migrations/versions say the same; a test compares them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
)

METADATA = MetaData()


class Record(TypeDecorator[Any]):
    """JSON of our own making. One that cannot be read any more is None: a damaged row must not hide the others."""

    impl = JSON
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        read: Any = self.impl_instance.result_processor(dialect, coltype)

        def lenient(value: Any) -> Any:
            try:
                return value if read is None else read(value)
            except (ValueError, TypeError):
                return None

        return lenient


JOBS = Table(
    "jobs",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("key", String(200), nullable=False, unique=True),
    Column("member", String(200), nullable=False),
    Column("server", String(200), nullable=False),
    # Fair share: lane, the member's weight, estimated device time; and what the job needs of a worker.
    Column("lane", String(8), nullable=False),
    Column("weight", Double, nullable=False),
    Column("cost", Double, nullable=False),
    Column("model", String(100), nullable=False),
    Column("side", Integer, nullable=False),
    Column("pool", String(100), nullable=False),
    Column("state", String(16), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("sequence", BigInteger),
    Column("group", String(40)),
    Column("worker", String(200)),
    Column("attempts", Integer, nullable=False),
    Column("request", Record, nullable=False),
    Column("reply", Record, nullable=False),
    Column("told", Boolean, nullable=False),
    Column("error", String(200)),
    Column("detail", String(500)),
    Column("pictures", Record, nullable=False),
    Column("metadata", Record, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("created", Double, nullable=False),
    Column("changed", Double, nullable=False),
    # What waits and what is out, read at start and by reconcile; the dead list.
    Index("jobs_by_state", "state", "id"),
    # Followers to resume after a restart.
    Index("jobs_untold", "told", "id"),
)

#: Written by triggers on `jobs` (migrations/versions/0002), so that no change of state goes unrecorded.
TRANSITIONS = Table(
    "transitions",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("job", String(32), nullable=False),
    Column("was", String(16)),
    Column("became", String(16), nullable=False),
    Column("at", Double, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Index("transitions_by_job", "job", "number"),
    # What is pruned.
    Index("transitions_by_time", "at"),
)

#: Device time that members used, by UTC day such as 2026-11-22.
USAGE = Table(
    "usage",
    METADATA,
    Column("day", String(10), primary_key=True),
    Column("member", String(200), primary_key=True),
    Column("seconds", Double, nullable=False),
)

#: What the queue remembers about itself: what is paused, how long a step takes.
MEMORY = Table(
    "memory", METADATA, Column("name", String(50), primary_key=True), Column("value", Record, nullable=False)
)

#: Which control process may write, where several share a PostgreSQL database (lease.py).
LEASES = Table(
    "leases",
    METADATA,
    Column("name", String(50), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires", Double, nullable=False),
)

#: Pictures that members sent, with the Unix time at which each was sent last, and the jobs that use them.
SOURCES = Table(
    "sources", METADATA, Column("name", String(200), primary_key=True), Column("kept", Double, nullable=False)
)
#: A row goes with its job, and, by a trigger (migrations/versions/0005), when the job's request is replaced.
SOURCE_USES = Table(
    "source_uses",
    METADATA,
    Column("job", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(200), primary_key=True),
    Index("source_uses_by_name", "name"),
)

SERVER_SETTINGS = Table(
    "server_settings",
    METADATA,
    Column("server", String(200), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("who", String(200), nullable=False),
    Column("changed", Double, nullable=False),
    Column("old", Record, nullable=False),
    Column("new", Record, nullable=False),
)
