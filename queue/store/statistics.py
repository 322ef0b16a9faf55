"""How the queue did lately, for the operator's charts: ends of jobs, waiting time and device time by spans of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from ..records import BROKEN, JobState
from .database import Database
from .schema import JOBS, TRANSITIONS

#: Rows that one look reads at most.
MOST_ROWS = 200_000


@dataclass(frozen=True, slots=True)
class Span:
    """What happened from `start` (Unix time) on, for as long as each span is."""

    start: float
    asked: int = 0
    drawn: int = 0
    #: Ended without pictures, cancelled ones apart.
    broken: int = 0
    cancelled: int = 0
    #: Mean seconds from asking to the first step, of those that began; None: none did.
    waited: float | None = None
    #: Device time in seconds.
    seconds: float = 0.0


class Statistics:
    """Methods raise QueueUnavailable when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def spans(self, now: float, seconds: float, number: int) -> Sequence[Span]:
        """The last `number` spans of so many seconds, oldest first; the last one holds `now`."""
        first = (math.floor(now / seconds) - number + 1) * seconds
        moves = select(TRANSITIONS.c.became, TRANSITIONS.c.at, JOBS.c.created, JOBS.c.seconds)
        moves = moves.join(JOBS, JOBS.c.id == TRANSITIONS.c.job).where(TRANSITIONS.c.at >= first).limit(MOST_ROWS)
        asked = select(JOBS.c.created).where(JOBS.c.created >= first, JOBS.c.id >= f"{int(first * 1e9):016x}")
        spans = [Span(first + place * seconds) for place in range(number)]
        waits: list[list[float]] = [[] for _ in spans]

        def work(connection: Connection) -> None:
            for (created,) in connection.execute(asked.limit(MOST_ROWS)):
                if (place := int((created - first) // seconds)) < number:
                    spans[place] = replace(spans[place], asked=spans[place].asked + 1)
            for became, at, created, used in connection.execute(moves):
                place = int((at - first) // seconds)
                if not 0 <= place < number:
                    continue
                span = spans[place]
                match became:
                    case JobState.RENDERED:
                        spans[place] = replace(span, drawn=span.drawn + 1, seconds=span.seconds + float(used or 0))
                    case JobState.CANCELLED:
                        spans[place] = replace(span, cancelled=span.cancelled + 1)
                    case JobState.RUNNING:
                        waits[place].append(max(0.0, at - created))
                    case _ if became in BROKEN:
                        spans[place] = replace(span, broken=span.broken + 1)
                    case _:
                        pass

        await self._database.view(work)
        return [
            replace(span, waited=sum(waited) / len(waited)) if waited else span
            for span, waited in zip(spans, waits, strict=True)
        ]
