"""What a change of settings or rules would have done to the last week's requests. Pure, but for reading those."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select

from ..records import DAY, ImageRequest
from ..store import JOBS, Database, ServerSettings, job_of
from .gate import look
from .rules import Action, Rule

#: Days that are looked back, requests that are looked at, and examples that are shown.
DAYS, MOST, EXAMPLES = 7, 5_000, 5


@dataclass(frozen=True, slots=True)
class DryRun:
    """How many of the requests a change would have touched."""

    requests: int
    #: Refused, warned about or held for review.
    stopped: int
    #: Clamped, replaced or put behind a spoiler.
    changed: int
    #: Prompts of the first that were touched.
    examples: tuple[str, ...]


def dry_run(requests: Iterable[ImageRequest], settings: ServerSettings, rules: tuple[Rule, ...]) -> DryRun:
    """What these settings and rules would do. Raises: BadRule."""
    every = stopped = changed = 0
    examples: list[str] = []
    for request in requests:
        every += 1
        verdict = look(rules, request)
        listed = (not request.model or not settings.models or request.model in settings.models) and (
            not request.style or not settings.styles or request.style in settings.styles
        )
        if not listed or verdict.action in (Action.REFUSE, Action.WARN, Action.HOLD):
            stopped += 1
        elif verdict.hits or settings.clamped(request) != request:
            changed += 1
        else:
            continue
        if len(examples) < EXAMPLES:
            examples.append(request.prompt)
    return DryRun(every, stopped, changed, tuple(examples))


async def last_week(database: Database, server: str, now: float | None = None) -> list[ImageRequest]:
    """The requests of a server that were queued within the last days, newest first."""
    since = (time.time() if now is None else now) - DAYS * DAY
    query = select(JOBS).where(JOBS.c.server == server, JOBS.c.created >= since).order_by(JOBS.c.id.desc()).limit(MOST)
    return await database.view(lambda connection: [job_of(row).request for row in connection.execute(query).mappings()])
