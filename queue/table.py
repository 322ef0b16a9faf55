"""The job table: the truth about every job.

Every change of state is guarded by the states it may come from (`UPDATE … WHERE state IN (…)`), so that a late or
doubled message changes nothing. One control process writes it; the fair-share clocks beside it are rebuilt at start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from sqlalchemy import RowMapping, and_, bindparam, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import Database
from .errors import QueueFull, UnknownJob
from .fair import FairShare, Line, Place, Waiting, cost
from .jobs import FINISHED, LIVE, Job, JobState
from .requests import ImageRequest
from .schema import JOBS

#: With a worker, as far as the table knows.
OUT = frozenset({JobState.SENT, JobState.RUNNING})


@dataclass(frozen=True, slots=True)
class Ticket:
    """What `submit` gives back."""

    job: Job
    #: False when this key had been submitted before: the job is the earlier one.
    created: bool


class JobTable:
    """All methods raise StorageFull or QueueUnavailable when the database fails, and have then changed nothing."""

    def __init__(self, database: Database, *, max_queued_per_member: int) -> None:
        self._database = database
        self._max_queued = max_queued_per_member
        self._fair = FairShare()

    async def restore_clocks(self) -> None:
        """Rebuild the fair-share clocks from all jobs that ever went to a worker."""
        jobs = JOBS.c
        latest = (func.max(jobs.turn), func.max(jobs.tag))
        ends = (func.max(jobs.turn + jobs.cost), func.max(jobs.tag + jobs.cost))
        query = select(jobs.server, jobs.member, *latest, *ends).where(jobs.generation > 0)
        async with self._database.read() as connection:
            for row in await connection.execute(query.group_by(jobs.server, jobs.member)):
                server, member, turn, tag, turn_end, tag_end = row
                self._fair.restore(server, member, Place(turn=turn, tag=tag), Place(turn=turn_end, tag=tag_end))

    # Adding and reading

    async def add(
        self, request: ImageRequest, *, key: str, member: str, server: str, reply: Mapping[str, Any]
    ) -> Ticket:
        """Put a job into the queue; with a key that is there already, give that job back.

        Raises:
            QueueFull: the member has as many jobs waiting as are allowed.
        """
        async with self._database.write() as connection:
            earlier = (await connection.execute(select(JOBS).where(JOBS.c.key == key))).mappings().first()
            if earlier is not None:
                return Ticket(_job(earlier), created=False)
            queued, line = await _line(connection, server, member)
            if queued >= self._max_queued:
                raise QueueFull(self._max_queued)
            job_cost = cost(request)
            place = await self._place(connection, server, member, line, job_cost)
            now = time.time()
            values: dict[str, Any] = {
                # Time first: ids grow, so that equal tags are served in the order of arrival.
                "id": f"{time.time_ns():016x}{token_hex(8)}",
                "key": key,
                "member": member,
                "server": server,
                "turn": place.turn,
                "tag": place.tag,
                "cost": job_cost,
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
            row = (await connection.execute(insert(JOBS).returning(JOBS), values)).mappings().one()
            return Ticket(_job(row), created=True)

    async def find(self, job_id: str) -> Job | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(JOBS).where(JOBS.c.id == job_id))).mappings().first()
        return None if row is None else _job(row)

    async def job(self, job_id: str) -> Job:
        """Raises: UnknownJob."""
        job = await self.find(job_id)
        if job is None:
            raise UnknownJob(f"no job {job_id}")
        return job

    async def position(self, job_id: str) -> int:
        """Number of jobs that will be sent before this one; 0 when it is next, or no longer waits.

        Raises: UnknownJob.
        """
        job = await self.job(job_id)
        if job.state is not JobState.QUEUED:
            return 0
        sooner = or_(JOBS.c.tag < job.tag, and_(JOBS.c.tag == job.tag, JOBS.c.id < job.id))
        async with self._database.read() as connection:
            return await _count(connection, and_(JOBS.c.state == JobState.QUEUED, sooner))

    async def counts(self) -> dict[JobState, int]:
        query = select(JOBS.c.state, func.count()).group_by(JOBS.c.state)
        async with self._database.read() as connection:
            found = {JobState(state): int(number) for state, number in await connection.execute(query)}
        return {state: found.get(state, 0) for state in JobState}

    async def untold(self) -> list[Job]:
        """Jobs whose asker has not been told the end, oldest first; live ones too."""
        return await self._jobs(select(JOBS).where(JOBS.c.told.is_(False)).order_by(JOBS.c.id))

    async def out(self) -> list[Job]:
        """Jobs that are with a worker."""
        return await self._jobs(select(JOBS).where(JOBS.c.state.in_(OUT)))

    # What the dispatcher does

    async def claim(self, room: int, *, apart: Collection[str] = ()) -> list[Job]:
        """Take the next jobs by (tag, id) out of the queue, so that at most `room` are out; `apart` are not counted."""
        async with self._database.write() as connection:
            free = room - await _count(connection, and_(JOBS.c.state.in_(OUT), JOBS.c.id.not_in(apart)))
            if free <= 0:
                return []
            query = select(JOBS).where(JOBS.c.state == JobState.QUEUED).order_by(JOBS.c.tag, JOBS.c.id).limit(free)
            rows = (await connection.execute(query)).mappings().all()
            claimed: list[Job] = []
            for row in rows:
                change = {"state": JobState.SENT, "generation": row["generation"] + 1, "sequence": None}
                job = await _move(connection, row["id"], {JobState.QUEUED}, change)
                if job is not None:
                    claimed.append(job)
        for row in rows:
            self._fair.started(row["server"], row["member"], Place(turn=row["turn"], tag=row["tag"]), row["cost"])
        return claimed

    async def carried(self, job_id: str, *, generation: int, sequence: int) -> Job | None:
        """Note which message carries the job; takes it out of the queue if need be."""
        return await self._move(
            job_id,
            {JobState.QUEUED, *OUT},
            lambda job: {
                "state": JobState.SENT if job.state is JobState.QUEUED else job.state,
                "generation": generation,
                "sequence": sequence,
            },
        )

    async def requeue(self, job_id: str, *, generation: int, attempts: int | None = None) -> Job | None:
        """The message of this generation is gone without a result: the job waits again, at its old place."""
        change: dict[str, Any] = {"state": JobState.QUEUED, "sequence": None}
        if attempts is not None:
            change["attempts"] = attempts
        return await self._move(job_id, OUT, lambda job: change if job.generation == generation else None)

    # What workers report

    async def running(self, job_id: str, *, attempt: int) -> Job | None:
        """A worker begins an attempt. None if the job is not with a worker, or this was known."""

        def change(job: Job) -> dict[str, Any] | None:
            if job.state is JobState.RUNNING and job.attempts >= attempt:
                return None
            return {"state": JobState.RUNNING, "attempts": max(attempt, job.attempts)}

        return await self._move(job_id, OUT, change)

    async def rendered(
        self, job_id: str, *, pictures: Collection[str], metadata: Mapping[str, Any], seconds: float, attempts: int
    ) -> Job | None:
        """The pictures are stored. None if the job was over before; the pictures are then superfluous."""
        return await self._move(
            job_id,
            LIVE,
            lambda job: {
                "state": JobState.RENDERED,
                "pictures": list(pictures),
                "metadata": dict(metadata),
                "seconds": seconds,
                "attempts": max(attempts, job.attempts),
            },
        )

    async def broken(self, job_id: str, *, state: JobState, error: str, attempts: int) -> Job | None:
        """The job is over without pictures: `failed` or `dead`. None if it was over before."""
        return await self._move(
            job_id,
            LIVE,
            lambda job: {"state": state, "error": error, "attempts": max(attempts, job.attempts)},
        )

    # What the one who asked does

    async def cancel(self, job_id: str) -> tuple[Job, JobState] | None:
        """Cancel; gives the job and the state that it was in. None if it was over before, or never was."""
        async with self._database.write() as connection:
            row = (await connection.execute(select(JOBS).where(JOBS.c.id == job_id))).mappings().first()
            if row is None or JobState(row["state"]) in FINISHED:
                return None
            before = JobState(row["state"])
            if before is JobState.QUEUED:
                await self._close_gap(connection, row)
            job = await _move(connection, job_id, LIVE, {"state": JobState.CANCELLED})
            return None if job is None else (job, before)

    async def mark_told(self, job_id: str) -> bool:
        """Raises: UnknownJob."""
        job = await self.job(job_id)
        if job.state not in FINISHED:
            return False
        change: dict[str, Any] = {"told": True, "changed": time.time()}
        if job.state is JobState.RENDERED:
            change["state"] = JobState.DELIVERED
        async with self._database.write() as connection:
            first = and_(JOBS.c.id == job_id, JOBS.c.told.is_(False), JOBS.c.state == job.state)
            return (await connection.execute(update(JOBS).where(first).values(change))).rowcount == 1

    async def update_reply(self, job_id: str, reply: Mapping[str, Any]) -> None:
        """Raises: UnknownJob."""
        async with self._database.write() as connection:
            change = update(JOBS).where(JOBS.c.id == job_id).values(reply=dict(reply))
            if (await connection.execute(change)).rowcount == 0:
                raise UnknownJob(f"no job {job_id}")

    # Inside

    async def _jobs(self, query: Any) -> list[Job]:
        async with self._database.read() as connection:
            return [_job(row) for row in (await connection.execute(query)).mappings()]

    async def _move(
        self, job_id: str, allowed: Collection[JobState], change: Callable[[Job], Mapping[str, Any] | None]
    ) -> Job | None:
        """Guarded change; `change` sees the job and gives the new values, or None to leave it."""
        async with self._database.write() as connection:
            row = (await connection.execute(select(JOBS).where(JOBS.c.id == job_id))).mappings().first()
            if row is None or (values := change(_job(row))) is None:
                return None
            return await _move(connection, job_id, allowed, values)

    async def _place(self, connection: AsyncConnection, server: str, member: str, line: Line, job_cost: float) -> Place:
        """Find the newcomer's place and move back those whom it displaces."""
        turn = self._fair.turn(server, member, line)
        later = and_(JOBS.c.state == JobState.QUEUED, JOBS.c.server == server, JOBS.c.turn > turn)
        displaced = (await connection.execute(select(func.min(JOBS.c.tag)).where(later))).scalar()
        if displaced is not None:
            await connection.execute(update(JOBS).where(later).values(tag=JOBS.c.tag + job_cost))
        return Place(turn=turn, tag=self._fair.tag(server, line, displaced))

    async def _close_gap(self, connection: AsyncConnection, gone: RowMapping) -> None:
        line = and_(JOBS.c.state == JobState.QUEUED, JOBS.c.server == gone["server"])
        columns = (JOBS.c.id, JOBS.c.member, JOBS.c.turn, JOBS.c.tag, JOBS.c.cost)
        rows = (await connection.execute(select(*columns).where(line))).mappings()
        moved = self._fair.close_gap([_waiting(row) for row in rows], _waiting(gone))
        if moved:
            place = update(JOBS).where(JOBS.c.id == bindparam("job"))
            await connection.execute(
                place.values(turn=bindparam("new_turn"), tag=bindparam("new_tag")),
                [{"job": job.id, "new_turn": job.place.turn, "new_tag": job.place.tag} for job in moved],
            )


async def _count(connection: AsyncConnection, where: Any) -> int:
    return int((await connection.execute(select(func.count()).select_from(JOBS).where(where))).scalar_one())


async def _line(connection: AsyncConnection, server: str, member: str) -> tuple[int, Line]:
    """Number of the member's queued jobs, anywhere, and the queue of its server as a newcomer meets it."""
    queued = JOBS.c.state == JobState.QUEUED
    mine, here = JOBS.c.member == member, JOBS.c.server == server
    counted = select(func.count()).where(queued, mine)
    member_end = select(func.max(JOBS.c.turn + JOBS.c.cost)).where(queued, here, mine)
    server_end = select(func.max(JOBS.c.tag + JOBS.c.cost)).where(queued, here)
    query = select(*(part.scalar_subquery() for part in (counted, member_end, server_end)))
    row: Any = (await connection.execute(query)).one()
    return row[0], Line(member_end=row[1], server_end=row[2])


async def _move(
    connection: AsyncConnection, job_id: str, allowed: Collection[JobState], values: Mapping[str, Any]
) -> Job | None:
    guard = and_(JOBS.c.id == job_id, JOBS.c.state.in_(allowed))
    change = update(JOBS).where(guard).values(**values, changed=time.time()).returning(JOBS)
    row = (await connection.execute(change)).mappings().first()
    return None if row is None else _job(row)


def _waiting(row: RowMapping) -> Waiting:
    place = Place(turn=row["turn"], tag=row["tag"])
    return Waiting(id=row["id"], member=row["member"], cost=row["cost"], place=place)


def _job(row: RowMapping) -> Job:
    return Job(
        id=row["id"],
        key=row["key"],
        member=row["member"],
        server=row["server"],
        tag=row["tag"],
        state=JobState(row["state"]),
        generation=row["generation"],
        sequence=row["sequence"],
        attempts=row["attempts"],
        request=ImageRequest.model_validate(row["request"]),
        reply=row["reply"],
        told=row["told"],
        error=row["error"],
        pictures=tuple(row["pictures"]),
        metadata=row["metadata"],
        seconds=row["seconds"],
        created=row["created"],
        changed=row["changed"],
    )
