"""Which pictures members sent, and which jobs begin from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Table, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from . import statements
from .database import Database
from .schema import JOBS, SOURCE_USES, SOURCES
from .schema_moderation import JOB_MARKS


class SourceUses:
    """The part of the job table about pictures that requests begin from."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert: Any = postgresql.insert if database.url.get_backend_name() == "postgresql" else sqlite.insert
        self._keep_source = self._replacing(SOURCES, "kept", "name")

    async def source_kept(self, name: str, now: float) -> None:
        """A picture of this name was sent at Unix time `now`."""
        await self._run(self._keep_source, {"name": name, "kept": now})

    async def uses_source(self, name: str, member: str, server: str | None) -> bool:
        """Whether a job of this member, or one of this server if given, begins from that picture."""
        theirs = JOBS.c.member == member
        whose = theirs if server is None else or_(theirs, JOBS.c.server == server)
        query = select(JOBS.c.id).join(SOURCE_USES, SOURCE_USES.c.job == JOBS.c.id)
        query = query.where(SOURCE_USES.c.name == name, whose).limit(1)
        return await self._database.view(lambda one: one.execute(query).first()) is not None

    async def source_marks(self, name: str) -> tuple[bool, bool]:
        """Whether a job that begins from that picture is blurred, and whether one was made where more is allowed."""
        marks = select(JOB_MARKS.c.spoiler, JOB_MARKS.c.hidden, JOB_MARKS.c.relaxed)
        marks = marks.join(SOURCE_USES, SOURCE_USES.c.job == JOB_MARKS.c.job).where(SOURCE_USES.c.name == name)
        rows = await self._database.view(lambda one: one.execute(marks).all())
        return any(row[0] or row[1] for row in rows), any(row[2] for row in rows)

    async def unused_sources(self, before: float) -> list[str]:
        """Names of pictures sent before this Unix time that no job uses."""
        query = select(SOURCES.c.name).where(SOURCES.c.kept < before, ~statements.USED)
        return await self._database.view(lambda connection: list(connection.execute(query).scalars()))

    async def sources_removed(self, names: Collection[str]) -> None:
        """Their files are gone."""
        await self._run(delete(SOURCES).where(SOURCES.c.name.in_(names), ~statements.USED), {})

    async def _run(self, statement: Any, values: Mapping[str, Any]) -> None:
        def work(connection: Connection) -> None:
            connection.execute(statement, values)

        await self._database.change(work)

    def _replacing(self, table: Table, column: str, *key: str) -> Any:
        """Insert a row, or set its column where the key is there."""
        store = self._insert(table)
        return store.on_conflict_do_update(index_elements=key, set_={column: store.excluded[column]})
