"""The job table: the truth about every job.

Every change of state is one guarded statement (`UPDATE … WHERE state IN (…)`, by life.py), so that a late or doubled
message changes nothing; the database records each one (`transitions`). One control process writes it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, delete, exists, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from .database import Database
from .errors import UnknownJob
from .fair import Entry, Lane
from .jobs import Job, Transition
from .life import BROKEN, COMES_FROM, FINISHED, OUT, JobState
from .limits import day
from .requests import ImageRequest
from .rows import entry_of_row, job_of
from .schema import JOBS, MEMORY, SOURCE_USES, SOURCES, TRANSITIONS, USAGE

#: Asked several times for each job, so it is built once.
_FIND = select(JOBS).where(JOBS.c.id == bindparam("job"))
#: Whether a job uses a picture of SOURCES.
_USED = exists().where(SOURCE_USES.c.name == SOURCES.c.name)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What `submit` gives back."""

    job: Job
    #: False when this key had been submitted before: the job is the earlier one.
    created: bool


@dataclass(frozen=True, slots=True)
class Carried:
    """A job message that NATS has stored."""

    job: str
    generation: int
    sequence: int
    group: str


class JobTable:
    """All methods raise StorageFull or QueueUnavailable when the database fails, and have then changed nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert: Any = postgresql.insert if database.url.get_backend_name() == "postgresql" else sqlite.insert

    # Adding and reading

    async def add(
        self,
        request: ImageRequest,
        *,
        key: str,
        member: str,
        server: str,
        reply: Mapping[str, Any],
        lane: Lane = "fast",
        weight: float = 1.0,
        cost: float = 1.0,
        pool: str = "",
    ) -> Ticket:
        """Put a job into the queue; with a key that is there already, give that job back."""
        now = time.time()
        values: dict[str, Any] = {
            # Time first: ids grow, so that equals are served in the order of arrival.
            "id": f"{time.time_ns():016x}{token_hex(8)}",
            "key": key,
            "member": member,
            "server": server,
            "lane": lane,
            "weight": weight,
            "cost": cost,
            "model": request.model,
            "side": max(request.width, request.height),
            "pool": pool,
            "state": JobState.QUEUED,
            "generation": 0,
            "attempts": 0,
            "request": request.model_dump(mode="json"),
            "reply": dict(reply),
            "told": False,
            "pictures": [],
            "metadata": {},
            "seconds": 0.0,
            "created": now,
            "changed": now,
        }
        begins_from = request.source_names
        statement = self._insert(JOBS).on_conflict_do_nothing(index_elements=["key"]).returning(JOBS)

        def work(connection: Connection) -> Ticket:
            row = connection.execute(statement, values).mappings().first()
            if row is not None:
                if begins_from:
                    connection.execute(insert(SOURCE_USES), [{"job": row["id"], "name": name} for name in begins_from])
                return Ticket(job_of(row), created=True)
            earlier = connection.execute(select(JOBS).where(JOBS.c.key == key)).mappings().one()
            return Ticket(job_of(earlier), created=False)

        return await self._database.change(work)

    async def find(self, job_id: str) -> Job | None:
        return await self._first(_FIND, {"job": job_id})

    async def find_key(self, key: str) -> Job | None:
        """The job that was submitted with this key."""
        return await self._first(select(JOBS).where(JOBS.c.key == key))

    async def job(self, job_id: str) -> Job:
        """Raises: UnknownJob."""
        job = await self.find(job_id)
        if job is None:
            raise UnknownJob(f"no job {job_id}")
        return job

    async def jobs(self, job_ids: Collection[str]) -> list[Job]:
        """Those of these that there are."""
        return await self._jobs(select(JOBS).where(JOBS.c.id.in_(job_ids)))

    async def waiting(self) -> list[Entry]:
        """What the fair queue needs of each job that waits, in the order of arrival."""
        columns = JOBS.c
        query = select(
            columns.id,
            columns.server,
            columns.member,
            columns.cost,
            columns.lane,
            columns.weight,
            columns.model,
            columns.side,
            columns.pool,
        ).where(columns.state == JobState.QUEUED)
        return await self._database.view(
            lambda connection: [entry_of_row(tuple(row)) for row in connection.execute(query.order_by(columns.id))]
        )

    async def counts(self) -> dict[JobState, int]:
        query = select(JOBS.c.state, func.count()).group_by(JOBS.c.state)
        rows = await self._database.view(lambda connection: connection.execute(query).all())
        found = {str(state): int(number) for state, number in rows}
        return {state: found.get(state.value, 0) for state in JobState}

    async def untold(self) -> list[Job]:
        """Jobs whose asker has not been told the end, oldest first; live ones too."""
        return await self._jobs(select(JOBS).where(JOBS.c.told.is_(False)).order_by(JOBS.c.id))

    async def out(self) -> list[Job]:
        """Jobs that are with a worker."""
        return await self._jobs(select(JOBS).where(JOBS.c.state.in_(OUT)).order_by(JOBS.c.id))

    async def broken_jobs(self, limit: int = 50, server: str | None = None) -> list[Job]:
        """Jobs that ended without pictures, newest first; of one server if given."""
        query = select(JOBS).where(JOBS.c.state.in_(BROKEN)).order_by(JOBS.c.id.desc()).limit(limit)
        return await self._jobs(query if server is None else query.where(JOBS.c.server == server))

    async def beginning_with(self, start: str) -> list[Job]:
        """At most two jobs whose id begins so: to look one up by a part of its number."""
        query = select(JOBS).where(JOBS.c.id >= start, JOBS.c.id < start + "g").order_by(JOBS.c.id).limit(2)
        return await self._jobs(query)

    async def history(self, job_id: str) -> tuple[Transition, ...]:
        """Every state that the job has been in, oldest first."""
        columns = TRANSITIONS.c
        query = select(columns.was, columns.became, columns.at, columns.generation, columns.attempts)
        query = query.where(columns.job == job_id).order_by(columns.number)
        rows = await self._database.view(lambda connection: connection.execute(query).all())
        return tuple(
            Transition(JobState(was) if was else None, JobState(became), at, generation, attempts)
            for was, became, at, generation, attempts in rows
        )

    async def prune_transitions(self, before: float, at_most: int) -> int:
        """Forget the oldest changes before this Unix time, of jobs that are over; gives how many; 0: none is left."""
        moves, over = TRANSITIONS.c, JOBS.c.state.in_(FINISHED)
        old = select(moves.number).join(JOBS, JOBS.c.id == moves.job, isouter=True)
        old = old.where(moves.at < before, or_(over, JOBS.c.id.is_(None))).order_by(moves.at).limit(at_most)
        gone = delete(TRANSITIONS).where(moves.number.in_(old))
        return await self._database.change(lambda connection: connection.execute(gone).rowcount)

    # What the dispatcher does

    async def sent(self, carried: Sequence[Carried]) -> list[Job | None]:
        """NATS has stored these queued jobs. None for one that did not wait any more."""

        def work(connection: Connection) -> list[Job | None]:
            return [
                _move(
                    connection,
                    one.job,
                    JobState.SENT,
                    {"generation": one.generation, "sequence": one.sequence, "group": one.group},
                )
                for one in carried
            ]

        return await self._database.change(work)

    async def carried(self, one: Carried) -> Job | None:
        """Correct which message carries a job that is out. None if it is not, or this was known."""
        values = {"generation": one.generation, "sequence": one.sequence, "group": one.group}
        known = and_(JOBS.c.sequence.is_not_distinct_from(one.sequence), JOBS.c.group.is_not_distinct_from(one.group))
        where = and_(JOBS.c.id == one.job, JOBS.c.state.in_(OUT), ~known)
        return await self._database.change(lambda connection: _set(connection, where, values))

    async def requeue(
        self, job_id: str, *, generation: int, attempts: int | None = None, detail: str | None = None
    ) -> Job | None:
        """The message of this generation is gone without a result: the job waits again, at its old place."""
        values: dict[str, Any] = {"sequence": None, "group": None}
        values |= {} if attempts is None else {"attempts": attempts}
        values |= {} if detail is None else {"detail": detail}
        where = and_(JOBS.c.generation == generation, JOBS.c.state.in_(OUT))
        return await self._database.change(lambda connection: _move(connection, job_id, JobState.QUEUED, values, where))

    async def retry(self, job_id: str) -> Job | None:
        """A job that ended without pictures waits again, with all its attempts. None if it did not end so."""
        values = {"sequence": None, "group": None, "attempts": 0, "error": None, "told": False}
        where = JOBS.c.state.in_(BROKEN)
        return await self._database.change(lambda connection: _move(connection, job_id, JobState.QUEUED, values, where))

    # What workers report

    async def running(self, job_id: str, *, attempt: int, worker: str | None = None) -> Job | None:
        """A worker begins an attempt. None if the job is not with a worker, or this was known."""
        attempts = case((JOBS.c.attempts < attempt, attempt), else_=JOBS.c.attempts)
        where = and_(JOBS.c.state.in_(OUT), or_(JOBS.c.state == JobState.SENT, JOBS.c.attempts < attempt))
        values = {"attempts": attempts, "worker": worker}
        return await self._database.change(
            lambda connection: _move(connection, job_id, JobState.RUNNING, values, where)
        )

    async def rendered(
        self, job_id: str, *, pictures: Collection[str], metadata: Mapping[str, Any], seconds: float, attempts: int
    ) -> Job | None:
        """The pictures are stored. None if the job was over before; the pictures are then superfluous."""
        values = {
            "pictures": list(pictures),
            "metadata": dict(metadata),
            "seconds": seconds,
            "attempts": case((JOBS.c.attempts < attempts, attempts), else_=JOBS.c.attempts),
        }

        def work(connection: Connection) -> Job | None:
            job = _move(connection, job_id, JobState.RENDERED, values)
            if job is not None and seconds > 0:
                used = self._insert(USAGE)
                used = used.on_conflict_do_update(
                    index_elements=["day", "member"], set_={"seconds": USAGE.c.seconds + used.excluded.seconds}
                )
                row = {"day": day(job.changed), "member": job.member, "seconds": seconds}
                connection.execute(used, row)
            return job

        return await self._database.change(work)

    async def broken(
        self, job_id: str, *, state: JobState, error: str, attempts: int, detail: str | None = None
    ) -> Job | None:
        """The job is over without pictures: `failed` or `dead`. None if it was over before."""
        values = {
            "error": error,
            "detail": detail and detail[:500],
            "attempts": case((JOBS.c.attempts < attempts, attempts), else_=JOBS.c.attempts),
        }
        return await self._database.change(lambda connection: _move(connection, job_id, state, values))

    # What the one who asked does

    async def cancel(self, job_id: str) -> Job | None:
        """None if it was over before, or never was."""
        return await self._database.change(lambda connection: _move(connection, job_id, JobState.CANCELLED, {}))

    async def mark_told(self, job_id: str) -> Job | None:
        """The asker knows the end. None if that was known, or the job is not over. Raises: UnknownJob."""
        delivered = case((JOBS.c.state == JobState.RENDERED, JobState.DELIVERED), else_=JOBS.c.state)
        where = and_(JOBS.c.id == job_id, JOBS.c.told.is_(False), JOBS.c.state.in_(FINISHED))
        values = {"told": True, "state": delivered}
        job = await self._database.change(lambda connection: _set(connection, where, values))
        if job is None:
            await self.job(job_id)
        return job

    async def update_reply(self, job_id: str, reply: Mapping[str, Any]) -> None:
        """Raises: UnknownJob."""

        def work(connection: Connection) -> None:
            change = update(JOBS).where(JOBS.c.id == job_id).values(reply=dict(reply))
            if connection.execute(change).rowcount == 0:
                raise UnknownJob(f"no job {job_id}")

        await self._database.change(work)

    # Beside the jobs

    async def used(self, today: str) -> dict[str, float]:
        """Device time in seconds of each member who used any on this day."""
        query = select(USAGE.c.member, USAGE.c.seconds).where(USAGE.c.day == today)
        return {row[0]: row[1] for row in await self._database.view(lambda one: one.execute(query).all())}

    async def recall(self, name: str) -> Any:
        """What was remembered under this name; None for nothing."""
        query = select(MEMORY.c.value).where(MEMORY.c.name == name)
        return await self._database.view(lambda connection: connection.execute(query).scalar_one_or_none())

    async def remember(self, name: str, value: Any) -> None:
        """Keep a small JSON value."""
        store = self._insert(MEMORY)
        store = store.on_conflict_do_update(index_elements=["name"], set_={"value": store.excluded.value})

        def work(connection: Connection) -> None:
            connection.execute(store, {"name": name, "value": value})

        await self._database.change(work)

    async def source_kept(self, name: str, now: float) -> None:
        """A picture of this name was sent at Unix time `now`."""
        store = self._insert(SOURCES)
        store = store.on_conflict_do_update(index_elements=["name"], set_={"kept": store.excluded.kept})

        def work(connection: Connection) -> None:
            connection.execute(store, {"name": name, "kept": now})

        await self._database.change(work)

    async def unused_sources(self, before: float) -> list[str]:
        """Names of pictures sent before this Unix time that no job uses."""
        query = select(SOURCES.c.name).where(SOURCES.c.kept < before, ~_USED)
        return await self._database.view(lambda connection: list(connection.execute(query).scalars()))

    async def sources_removed(self, names: Collection[str]) -> None:
        """Their files are gone."""
        gone = delete(SOURCES).where(SOURCES.c.name.in_(names), ~_USED)

        def work(connection: Connection) -> None:
            connection.execute(gone)

        await self._database.change(work)

    # Inside

    async def _first(self, query: Any, values: Mapping[str, Any] | None = None) -> Job | None:
        row = await self._database.view(lambda connection: connection.execute(query, values or {}).mappings().first())
        return None if row is None else job_of(row)

    async def _jobs(self, query: Any) -> list[Job]:
        return await self._database.view(
            lambda connection: [job_of(row) for row in connection.execute(query).mappings()]
        )


def _move(
    connection: Connection, job_id: str, to: JobState, values: Mapping[str, Any], where: Any = None
) -> Job | None:
    """The one place where a job changes its state: only along the ways of life.py. None if it was elsewhere."""
    guard = and_(JOBS.c.id == job_id, JOBS.c.state.in_(COMES_FROM[to]))
    return _set(connection, guard if where is None else and_(guard, where), {"state": to, **values})


def _set(connection: Connection, where: Any, values: Mapping[str, Any]) -> Job | None:
    now = time.time()
    # Growing, though the clock be put back: followers tell by it what is news.
    changed = case((JOBS.c.changed < now, now), else_=JOBS.c.changed + 1e-6)
    change = update(JOBS).where(where).values(**values, changed=changed).returning(JOBS)
    row = connection.execute(change).mappings().first()
    return None if row is None else job_of(row)
