"""The pictures of all jobs as the studio lists them: newest first, page by page from a key, by filters.

What may be shown of them is asked of the gate (moderation/permits.py), not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Connection, String, and_, case, func, null, select, type_coerce, union

from ..records import Job
from .database import Database
from .members import WITH_PICTURES
from .rows import job_of
from .schema import JOBS, SERVER_SETTINGS
from .schema_members import FAVOURITES
from .schema_moderation import AUDIT

#: Names that one list of choices holds at most.
MOST_NAMES = 200
#: Jobs that are looked through for the names of models and styles.
LOOKED_AT = 5_000


@dataclass(frozen=True, slots=True)
class Filters:
    """Which pictures; empty: all."""

    #: Part of a prompt, in any case.
    words: str = ""
    member: str = ""
    server: str = ""
    style: str = ""
    #: As it was asked for, or as the worker named it.
    model: str = ""
    #: Only what this member put among the favourites.
    liked_by: str = ""
    #: Unix times: from, and before.
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """What can be filtered by."""

    members: tuple[str, ...]
    servers: tuple[str, ...]
    styles: tuple[str, ...]
    models: tuple[str, ...]


class GalleryStore:
    """Methods raise QueueUnavailable when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sqlite = database.url.get_backend_name() == "sqlite"

    async def page(self, filters: Filters, limit: int, before: str = "") -> list[Job]:
        """At most `limit` jobs with pictures, newest first; `before`: the id of the last one of the page before."""
        query = select(JOBS).where(*self._where(filters))
        if before:
            query = query.where(JOBS.c.id < before)
        query = query.order_by(JOBS.c.id.desc()).limit(limit)
        return await self._database.view(lambda one: [job_of(row) for row in one.execute(query).mappings()])

    async def names(self) -> Names:
        """What the newest jobs with pictures have, each sorted."""
        newest = select(
            JOBS.c.member, JOBS.c.server, self._field("style").label("style"), self._field("model").label("model")
        )
        newest = newest.where(JOBS.c.state.in_(WITH_PICTURES)).order_by(JOBS.c.id.desc()).limit(LOOKED_AT).subquery()

        def work(connection: Connection) -> Names:
            found = [
                tuple(str(name) for (name,) in connection.execute(select(column).distinct()).all() if name)
                for column in (newest.c.member, newest.c.server, newest.c.style, newest.c.model)
            ]
            return Names(*(tuple(sorted(names)[:MOST_NAMES]) for names in found))

        return await self._database.view(work)

    async def servers(self) -> list[str]:
        """Every server that asked for something, was set up, or has an audit log; sorted."""
        tables = (JOBS.c.server, SERVER_SETTINGS.c.server, AUDIT.c.server)
        query = union(*(select(column).distinct() for column in tables))
        rows = await self._database.view(lambda one: one.execute(query).all())
        return sorted(str(server) for (server,) in rows if server)

    async def liked(self, member: str, jobs: Sequence[str]) -> set[tuple[str, int]]:
        """Which pictures of these jobs the member put among the favourites."""
        columns = FAVOURITES.c
        query = select(columns.job, columns.picture).where(columns.member == member, columns.job.in_(jobs))
        rows = await self._database.view(lambda one: one.execute(query).all())
        return {(str(job), int(picture)) for job, picture in rows}

    def _where(self, filters: Filters) -> list[Any]:
        where: list[Any] = [JOBS.c.state.in_(WITH_PICTURES), JOBS.c.pictures.cast(String) != "[]"]
        for column, wanted in ((JOBS.c.member, filters.member), (JOBS.c.server, filters.server)):
            if wanted:
                where.append(column == wanted)
        if filters.style:
            where.append(self._field("style") == filters.style)
        if filters.model:
            where.append(JOBS.c.model == filters.model)
        if filters.words:
            where.append(self._field("prompt").icontains(filters.words, autoescape=True))
        if filters.since is not None:
            where.append(JOBS.c.created >= filters.since)
        if filters.until is not None:
            where.append(JOBS.c.created < filters.until)
        if filters.liked_by:
            liked = and_(FAVOURITES.c.job == JOBS.c.id, FAVOURITES.c.member == filters.liked_by)
            where.append(select(FAVOURITES.c.job).where(liked).exists())
        return where

    def _field(self, name: str) -> Any:
        """A text of the request; NULL in a row that is damaged, where SQLite would break the whole look."""
        said = type_coerce(JOBS.c.request, JSON)[name].as_string()
        return case((func.json_valid(JOBS.c.request) == 1, said), else_=null()) if self._sqlite else said
