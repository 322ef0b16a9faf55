"""Reports, reviews and appeals: what waits for a moderator, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, and_, insert, select, update

from ..store import REPORTS, Database, append

Kind = Literal["report", "review", "appeal"]
State = Literal["open", "hidden", "deleted", "banned", "allowed", "rejected"]
#: Reports of one job that may be open at a time; more say nothing new.
MOST_OPEN = 1


@dataclass(frozen=True, slots=True)
class Report:
    """One card of the moderators."""

    number: int
    server: str
    job: str
    kind: Kind
    #: Who reported or appealed; `daguerre` for reviews.
    who: str
    reason: str
    state: State
    #: Unix times.
    at: float
    changed: float
    #: Where the card is: ids of channel and message, once it is posted.
    channel: str | None = None
    message: str | None = None


class Reports:
    """Methods raise StorageFull or QueueUnavailable when the database fails, and have then changed nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: Called when a report was opened: there is a card to be posted.
        self.on_opened: list[Callable[[], None]] = []
        #: Called with what was decided outside Discord, its action and who did it: messages have to follow.
        self.on_settled: list[Callable[[Report, str, str], None]] = []

    async def file(self, server: str, job: str, kind: Kind, who: str, reason: str = "") -> tuple[Report, bool]:
        """Open a report; gives the one that is open for this job already, and whether a new one was made."""

        def work(connection: Connection) -> tuple[Report, bool]:
            where = and_(
                REPORTS.c.job == job, REPORTS.c.kind == kind, REPORTS.c.state == "open", REPORTS.c.server == server
            )
            row = connection.execute(select(REPORTS).where(where).limit(1)).first()
            if row is not None:
                return Report(*row), False
            now = time.time()
            values = {
                "server": server, "job": job, "kind": kind, "who": who, "reason": reason[:1000], "state": "open",
                "at": now, "changed": now,
            }  # fmt: skip
            made = connection.execute(insert(REPORTS).values(values).returning(REPORTS)).one()
            append(connection, server, who, f"{kind}.open", {"report": made[0], "job": job})
            return Report(*made), True

        report, made = await self._database.change(work)
        for opened in self.on_opened if made else ():
            opened()
        return report, made

    async def find(self, number: int) -> Report | None:
        query = select(REPORTS).where(REPORTS.c.number == number)
        row = await self._database.view(lambda connection: connection.execute(query).first())
        return None if row is None else Report(*row)

    async def open_about(self, job: str) -> bool:
        """Whether somebody's report about this job waits for a decision."""
        where = (REPORTS.c.job == job, REPORTS.c.kind == "report", REPORTS.c.state == "open")
        query = select(REPORTS.c.number).where(*where).limit(1)
        return await self._database.view(lambda connection: connection.execute(query).first()) is not None

    async def latest(self, limit: int) -> list[Report]:
        """Those that wait for a decision, oldest first, and then the last decided ones that can be taken back."""
        waiting = select(REPORTS).where(REPORTS.c.state == "open").order_by(REPORTS.c.number).limit(limit)
        decided = select(REPORTS).where(REPORTS.c.state.in_(("hidden", "deleted", "banned")))
        decided = decided.order_by(REPORTS.c.changed.desc()).limit(limit)

        def work(connection: Connection) -> list[Report]:
            return [Report(*row) for query in (waiting, decided) for row in connection.execute(query)]

        return await self._database.view(work)

    async def posted(self, number: int, channel: int, message: int) -> None:
        """The card is there."""
        change = update(REPORTS).where(REPORTS.c.number == number).values(channel=str(channel), message=str(message))
        await self._database.change(lambda connection: connection.execute(change).rowcount)

    async def unposted(self) -> list[Report]:
        """Open ones whose card was never posted: after a crash, or while there was no log channel."""
        query = select(REPORTS).where(REPORTS.c.state == "open", REPORTS.c.message.is_(None)).order_by(REPORTS.c.number)
        rows = await self._database.view(lambda connection: connection.execute(query.limit(100)).all())
        return [Report(*row) for row in rows]

    async def decide(self, number: int, was: State, state: State, who: str, **details: Any) -> Report | None:
        """Go from one state to another, once. None if it was not in that state any more."""

        def work(connection: Connection) -> Report | None:
            where = and_(REPORTS.c.number == number, REPORTS.c.state == was)
            change = update(REPORTS).where(where).values(state=state, changed=time.time()).returning(REPORTS)
            row = connection.execute(change).first()
            if row is None:
                return None
            report = Report(*row)
            append(connection, report.server, who, f"{report.kind}.{state}",
                   {"report": number, "job": report.job, "was": was, **details})  # fmt: skip
            return report

        return await self._database.change(work)
