"""The job table: the truth about every job.

Every change of state is one guarded statement (`UPDATE … WHERE state IN (…)`, by `life`), so that a late or doubled
message changes nothing; the database records each one (`transitions`). One control process writes it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from sqlalchemy import Connection, Update, bindparam, delete, insert, or_, select

from ..errors import UnknownJob
from ..records import BROKEN, FINISHED, Entry, ImageRequest, Job, JobState, Lane, Transition, day
from . import prepared, statements
from .database import Database
from .rows import entry_of_row, job_of
from .schema import JOBS, MEMORY, SOURCE_USES, TRANSITIONS, USAGE
from .schema_moderation import JOB_MARKS
from .source_uses import SourceUses


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


_NOTHING: Mapping[str, Any] = {}


class JobTable(SourceUses):
    """All methods raise StorageFull or QueueUnavailable when the database fails, and have then changed nothing."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        columns: dict[str, Any] = {name: bindparam(f"new_{name}") for name in statements.GIVEN}
        store = self._insert(JOBS).values(**columns)
        self._add = store.on_conflict_do_nothing(index_elements=["key"]).returning(JOBS)
        store = self._insert(USAGE).values(day=bindparam("on"), member=bindparam("of"), seconds=bindparam("more"))
        more = USAGE.c.seconds + store.excluded["seconds"]
        self._use = store.on_conflict_do_update(index_elements=["day", "member"], set_={"seconds": more})
        self._remember = self._replacing(MEMORY, "value", "name")

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
        marks: Mapping[str, Any] | None = None,
    ) -> Ticket:
        """Put a job into the queue; with a key that is there already, give that job back.

        `marks` (schema_moderation.py) enter with it or not at all: a picture to be reviewed must never get out.
        """
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
        given = {f"new_{name}": value for name, value in values.items()}
        begins_from = request.source_names

        def work(connection: Connection) -> Ticket:
            row = prepared.first(connection, self._add, given)
            if row is not None:
                if begins_from:
                    connection.execute(insert(SOURCE_USES), [{"job": row["id"], "name": name} for name in begins_from])
                if marks is not None:
                    connection.execute(insert(JOB_MARKS), {"job": row["id"], **marks})
                return Ticket(job_of(row), created=True)
            (earlier,) = prepared.rows(connection, statements.FIND_KEY, {"key": key})
            return Ticket(job_of(earlier), created=False)

        return await self._database.change(work)

    async def find(self, job_id: str) -> Job | None:
        return await self._first(statements.FIND, {"job": job_id})

    async def find_key(self, key: str) -> Job | None:
        """The job that was submitted with this key."""
        return await self._first(statements.FIND_KEY, {"key": key})

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
        return await self._database.view(
            lambda connection: [entry_of_row(tuple(row)) for row in connection.execute(statements.WAITING)]
        )

    async def counts(self) -> dict[JobState, int]:
        rows = await self._database.view(lambda connection: connection.execute(statements.COUNTS).all())
        found = {str(state): int(number) for state, number in rows}
        return {state: found.get(state.value, 0) for state in JobState}

    async def pending_notifications(self) -> list[Job]:
        """Jobs whose asker has not been told the end, oldest first; live ones too."""
        return await self._jobs(statements.UNTOLD)

    async def out(self) -> list[Job]:
        """Jobs that are with a worker."""
        return await self._jobs(statements.WITH_WORKERS)

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
            return [_change(connection, statements.SENT, one.job, _of(one)) for one in carried]

        return await self._database.change(work)

    async def carried(self, one: Carried) -> Job | None:
        """Correct which message carries a job that is out. None if it is not, or this was known."""
        return await self._one(statements.CARRIED, one.job, _of(one))

    async def requeue(
        self, job_id: str, *, generation: int, attempts: int | None = None, detail: str | None = None
    ) -> Job | None:
        """The message of this generation is gone without a result: the job waits again, at its old place."""
        said = {"attempts": attempts, "detail": detail}
        values = {f"new_{name}": value for name, value in said.items() if value is not None}
        statement = statements.REQUEUED[tuple(name for name, value in said.items() if value is not None)]
        return await self._one(statement, job_id, {"its_generation": generation, **values})

    async def retry(self, job_id: str) -> Job | None:
        """A job that ended without pictures waits again, with all its attempts. None if it did not end so."""
        return await self._one(statements.RETRIED, job_id)

    # What workers report

    async def running(self, job_id: str, *, attempt: int, worker: str | None = None) -> Job | None:
        """A worker begins an attempt. None if the job is not with a worker, or this was known."""
        return await self._one(statements.RUNNING, job_id, {"attempt": attempt, "new_worker": worker})

    async def rendered(
        self,
        job_id: str,
        *,
        pictures: Collection[str],
        metadata: Mapping[str, Any],
        seconds: float,
        attempts: int,
        worker: str | None = None,
    ) -> Job | None:
        """The pictures are stored. None if the job was over before; the pictures are then superfluous.

        Without a `worker`, the one that was heard to begin is kept.
        """
        values = {
            "new_pictures": list(pictures),
            "new_metadata": dict(metadata),
            "new_seconds": seconds,
            "attempt": attempts,
            "by": worker,
        }

        def work(connection: Connection) -> Job | None:
            job = _change(connection, statements.RENDERED, job_id, values)
            if job is not None and seconds > 0:
                row = {"on": day(job.changed), "of": job.member, "more": seconds}
                prepared.rows(connection, self._use, row)
            return job

        return await self._database.change(work)

    async def broken(
        self, job_id: str, *, state: JobState, error: str, attempts: int, detail: str | None = None
    ) -> Job | None:
        """The job is over without pictures: `failed` or `dead`. None if it was over before."""
        values = {"new_error": error, "new_detail": detail and detail[:500], "attempt": attempts}
        return await self._one(statements.ENDED[state], job_id, values)

    # What the one who asked does

    async def cancel(self, job_id: str) -> Job | None:
        """None if it was over before, or never was."""
        return await self._one(statements.CANCELLED, job_id)

    async def mark_notified(self, job_id: str) -> Job | None:
        """The asker knows the end. None if that was known, or the job is not over. Raises: UnknownJob."""
        job = await self._one(statements.TOLD, job_id)
        if job is None:
            await self.job(job_id)
        return job

    async def update_reply(self, job_id: str, reply: Mapping[str, Any]) -> None:
        """Raises: UnknownJob."""

        def work(connection: Connection) -> None:
            if not prepared.rows(connection, statements.REPLY, {"job": job_id, "new_reply": dict(reply)}):
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
        await self._run(self._remember, {"name": name, "value": value})

    # Inside

    async def _first(self, query: Any, values: Mapping[str, Any]) -> Job | None:
        row = await self._database.view(lambda connection: prepared.first(connection, query, values))
        return None if row is None else job_of(row)

    async def _one(self, statement: Update, job_id: str, values: Mapping[str, Any] = _NOTHING) -> Job | None:
        return await self._database.change(lambda connection: _change(connection, statement, job_id, values))

    async def _jobs(self, query: Any) -> list[Job]:
        return await self._database.view(
            lambda connection: [job_of(row) for row in connection.execute(query).mappings()]
        )


def _of(one: Carried) -> dict[str, Any]:
    return {"new_generation": one.generation, "new_sequence": one.sequence, "new_group": one.group}


def _change(connection: Connection, statement: Update, job_id: str, values: Mapping[str, Any]) -> Job | None:
    """The one place where a job changes. None if it was in no state for it."""
    row = prepared.first(connection, statement, {"job": job_id, "now": time.time(), **values})
    return None if row is None else job_of(row)
