"""What is kept for each member: preferences, favourites, their own jobs, and where a picture came from."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlalchemy import Connection, String, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from ..records import Job, JobState
from .database import Database
from .rows import job_of
from .schema import JOBS
from .schema_members import DRAFTS, FAVOURITES, LINEAGE, PREFERENCES

#: States of jobs that have pictures.
WITH_PICTURES = (JobState.RENDERED, JobState.DELIVERED)
#: Seconds after which a draft is forgotten.
DRAFT_SECONDS = 7 * 24 * 3600.0
#: Jobs that are looked through for different prompts.
LOOKED_AT = 100


class Preferences(BaseModel):
    """What a member wants unless they say otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Put behind every prompt: words and flags of the grammar.
    suffix: Annotated[str, StringConstraints(strip_whitespace=True, max_length=300)] = ""
    style: Annotated[str, StringConstraints(max_length=100)] = ""
    #: Several pictures as one file, each in its own, or both.
    layout: Literal["grid", "single", "both"] = "grid"
    #: Pictures of one request.
    count: Annotated[int, Field(ge=1, le=4)] = 1
    #: Send the pictures as a direct message too.
    direct: bool = False
    #: Only the member sees cards and pictures.
    private: bool = False
    #: Minutes after which a finished job mentions its member; 0: never.
    mention: Annotated[int, Field(ge=0, le=1_440)] = 3
    #: `en`, `zh-CN`; empty: that of their Discord.
    language: Annotated[str, StringConstraints(max_length=10)] = ""


@dataclass(frozen=True, slots=True)
class Favourite:
    """A picture that a member liked; `picture` counts from 0."""

    job: str
    picture: int
    #: Unix time.
    at: float


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a job came from: picture `picture` (from 0) of `parent`, by a button."""

    job: str
    parent: str
    picture: int
    action: str


class MemberStore:
    """Methods raise StorageFull or QueueUnavailable when the database fails, and have then changed nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert: Any = postgresql.insert if database.url.get_backend_name() == "postgresql" else sqlite.insert
        #: Preferences of those who have any, by member. One process writes them, so this is the truth after `load`.
        self._known: dict[str, Preferences] = {}

    async def load(self) -> None:
        """Read all preferences: they are needed before an interaction is answered, when there is no time to wait."""
        query = select(PREFERENCES.c.member, PREFERENCES.c.value)
        rows = await self._database.view(lambda connection: connection.execute(query).all())
        self._known = {str(member): _preferences(value) for member, value in rows}

    def known(self, member: str) -> Preferences:
        """What a member prefers, without waiting."""
        return self._known.get(member, Preferences())

    # Preferences

    async def prefer(self, member: str, preferences: Preferences) -> None:
        store = self._insert(PREFERENCES)
        store = store.on_conflict_do_update(
            index_elements=["member"], set_={"value": store.excluded.value, "changed": store.excluded.changed}
        )
        row = {"member": member, "value": preferences.model_dump(mode="json"), "changed": time.time()}
        await self._do(store, row)
        self._known[member] = preferences

    # Favourites

    async def like(self, member: str, job: str, picture: int, liked: bool = True) -> None:
        """Put a picture among the favourites, or take it away."""
        if liked:
            row = {"member": member, "job": job, "picture": picture, "at": time.time()}
            await self._do(self._insert(FAVOURITES).on_conflict_do_nothing(), row)
            return
        columns = FAVOURITES.c
        where = (columns.member == member, columns.job == job, columns.picture == picture)
        await self._do(delete(FAVOURITES).where(*where))

    async def likes(self, member: str, job: str, picture: int) -> bool:
        columns = FAVOURITES.c
        query = select(columns.at).where(columns.member == member, columns.job == job, columns.picture == picture)
        return await self._database.view(lambda one: one.execute(query).first()) is not None

    async def favourites(self, member: str, limit: int, skip: int = 0) -> tuple[list[Favourite], int]:
        """A page of them, newest first, and how many there are."""
        columns = FAVOURITES.c
        query = select(columns.job, columns.picture, columns.at).where(columns.member == member)
        page = query.order_by(columns.at.desc(), columns.job, columns.picture).limit(limit).offset(skip)
        number = select(func.count()).select_from(FAVOURITES).where(columns.member == member)

        def work(connection: Connection) -> tuple[list[Favourite], int]:
            found = [Favourite(*row) for row in connection.execute(page)]
            return found, int(connection.execute(number).scalar_one())

        return await self._database.view(work)

    # Jobs of a member

    async def history(self, member: str, limit: int, skip: int = 0) -> tuple[list[Job], int]:
        """A page of the member's jobs with pictures, newest first, and how many there are."""
        where = (JOBS.c.member == member, JOBS.c.state.in_(WITH_PICTURES))
        page = select(JOBS).where(*where).order_by(JOBS.c.id.desc()).limit(limit).offset(skip)
        number = select(func.count()).select_from(JOBS).where(*where)

        def work(connection: Connection) -> tuple[list[Job], int]:
            found = [job_of(row) for row in connection.execute(page).mappings()]
            return found, int(connection.execute(number).scalar_one())

        return await self._database.view(work)

    async def pictures(self, member: str, limit: int, skip: int = 0) -> tuple[list[tuple[Job, int]], int]:
        """A page of the member's pictures, each with its number from 0, newest first, and how many there are."""
        # Names hold no comma, and both databases can count them where a damaged row would break a look into its JSON.
        names = JOBS.c.pictures.cast(String)
        own = func.length(names) - func.length(func.replace(names, ",", "")) + 1
        where = (JOBS.c.member == member, JOBS.c.state.in_(WITH_PICTURES), names != "[]")
        upto = func.sum(own).over(order_by=JOBS.c.id.desc())
        counted = select(JOBS.c.id, own.label("own"), upto.label("upto")).where(*where).subquery()
        on_page = (counted.c.upto > skip, counted.c.upto - counted.c.own < skip + limit)
        page = select(JOBS, counted.c.own, counted.c.upto).join(counted, counted.c.id == JOBS.c.id).where(*on_page)
        number = select(func.sum(own)).where(*where)

        def work(connection: Connection) -> tuple[list[tuple[Job, int]], int]:
            found = [
                (job_of(row), picture)
                for row in connection.execute(page.order_by(JOBS.c.id.desc())).mappings()
                for picture in range(row["own"])
                if skip <= row["upto"] - row["own"] + picture < skip + limit
            ]
            return found, int(connection.execute(number).scalar_one() or 0)

        return await self._database.view(work)

    async def waiting(self, member: str, limit: int = 20) -> list[Job]:
        """The member's jobs that are not over, oldest first."""
        states = (JobState.QUEUED, JobState.SENT, JobState.RUNNING)
        query = select(JOBS).where(JOBS.c.member == member, JOBS.c.state.in_(states)).order_by(JOBS.c.id).limit(limit)
        return await self._database.view(lambda one: [job_of(row) for row in one.execute(query).mappings()])

    async def last_requests(self, member: str) -> Sequence[Job]:
        """The member's last jobs, newest first, whatever became of them."""
        query = select(JOBS).where(JOBS.c.member == member).order_by(JOBS.c.id.desc()).limit(LOOKED_AT)
        return await self._database.view(lambda one: [job_of(row) for row in one.execute(query).mappings()])

    # Lineage

    async def link(self, origin: Origin) -> None:
        """Note where a job came from; the first note stays."""
        row = {"job": origin.job, "parent": origin.parent, "picture": origin.picture, "action": origin.action}
        await self._do(self._insert(LINEAGE).on_conflict_do_nothing(), row)

    async def origin(self, job: str) -> Origin | None:
        columns = LINEAGE.c
        query = select(columns.job, columns.parent, columns.picture, columns.action).where(columns.job == job)
        row = await self._database.view(lambda one: one.execute(query).first())
        return None if row is None else Origin(*row)

    async def children(self, job: str, limit: int = 10) -> list[Origin]:
        """Jobs that came from this one, oldest first."""
        columns = LINEAGE.c
        query = select(columns.job, columns.parent, columns.picture, columns.action).where(columns.parent == job)
        query = query.order_by(columns.job).limit(limit)
        return await self._database.view(lambda one: [Origin(*row) for row in one.execute(query)])

    # Drafts

    async def keep_draft(self, member: str, content: Mapping[str, Any]) -> str:
        """Keep a small JSON record for a week; gives its id."""
        draft, now = token_hex(8), time.time()

        def work(connection: Connection) -> None:
            connection.execute(delete(DRAFTS).where(DRAFTS.c.at < now - DRAFT_SECONDS))
            row = {"id": draft, "member": member, "content": dict(content), "at": now}
            connection.execute(DRAFTS.insert(), row)

        await self._database.change(work)
        return draft

    async def take_draft(self, draft: str, member: str) -> Mapping[str, Any] | None:
        """The member's draft, once: it is gone then. None when it is not there, or another's."""
        gone = delete(DRAFTS).where(DRAFTS.c.id == draft, DRAFTS.c.member == member).returning(DRAFTS.c.content)
        content = await self._database.change(lambda one: one.execute(gone).scalar_one_or_none())
        return cast("Mapping[str, Any]", content) if isinstance(content, dict) else None

    # All of a member

    async def export(self, member: str) -> Mapping[str, Any]:
        """Everything that is kept here about a member."""
        favourites, _ = await self.favourites(member, 10_000)
        return {
            "preferences": self.known(member).model_dump(mode="json"),
            "favourites": [{"job": one.job, "picture": one.picture, "at": one.at} for one in favourites],
        }

    async def forget(self, member: str) -> None:
        """Remove everything that is kept here about a member. Jobs are not here."""

        def work(connection: Connection) -> None:
            for table in (PREFERENCES, FAVOURITES, DRAFTS):
                connection.execute(delete(table).where(table.c.member == member))
            own = select(JOBS.c.id).where(JOBS.c.member == member)
            connection.execute(delete(LINEAGE).where(LINEAGE.c.job.in_(own)))

        await self._database.change(work)
        self._known.pop(member, None)

    async def _do(self, statement: Any, row: Mapping[str, Any] | None = None) -> None:
        def work(connection: Connection) -> None:
            connection.execute(statement, row or {})

        await self._database.change(work)


def _preferences(stored: Any) -> Preferences:
    """What was stored, field by field: one that a later version dropped falls back to its default."""
    if not isinstance(stored, dict):
        return Preferences()
    fields = cast("dict[str, Any]", stored)
    try:
        return Preferences.model_validate(fields)
    except ValidationError as problems:
        bad = {str(problem["loc"][0]) for problem in problems.errors() if problem["loc"]}
        return Preferences.model_validate({name: value for name, value in fields.items() if name not in bad})
