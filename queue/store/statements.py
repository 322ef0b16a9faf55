"""The job table's frequent statements, each built once: putting one together costs ten times what running it does.

Parameters that set a column are called `new_` and its name. All updates give the whole row back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import (
    Double,
    Integer,
    String,
    Update,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from ..records import BROKEN, COMES_FROM, FINISHED, OUT, JobState
from .schema import JOBS, SOURCE_USES, SOURCES

_OF = JOBS.c
#: The job that a statement is about.
_ONE = _OF.id == bindparam("job", type_=String)
#: Growing, though the clock be put back: followers tell by it what is news.
_CHANGED = case(
    (_OF.changed < bindparam("now", type_=Double), bindparam("now", type_=Double)), else_=_OF.changed + 1e-6
)
#: Attempts never grow fewer by what a worker reports.
_MORE_ATTEMPTS = case(
    (_OF.attempts < bindparam("attempt", type_=Integer), bindparam("attempt", type_=Integer)), else_=_OF.attempts
)


#: What a new job is given; the rest is empty. In the order of `JobTable.add`.
GIVEN = (
    "id", "key", "member", "server", "lane", "weight", "cost", "model", "side", "pool", "state", "generation",
    "attempts", "request", "reply", "told", "pictures", "metadata", "seconds", "created", "changed",
)  # fmt: skip


def _is(state: JobState) -> ColumnElement[str]:
    # Written out: SQLAlchemy expands lists of parameters anew each time.
    return literal_column(f"'{state.value}'", String)


def among(states: Collection[JobState]) -> ColumnElement[bool]:
    """The job is in one of the states."""
    return _OF.state.in_([_is(state) for state in sorted(states)])


def _set(where: ColumnElement[bool], names: Iterable[str] = (), **values: Any) -> Update:
    parameters: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
    return update(JOBS).where(where).values(**parameters, **values, changed=_CHANGED).returning(JOBS)


def _move(to: JobState, names: Iterable[str] = (), where: ColumnElement[bool] | None = None, **values: Any) -> Update:
    """A change of state, only along the ways of records/life.py."""
    guard = and_(_ONE, among(COMES_FROM[to]))
    return _set(guard if where is None else and_(guard, where), names, state=_is(to), **values)


# Reading

FIND = select(JOBS).where(_ONE)
FIND_KEY = select(JOBS).where(_OF.key == bindparam("key", type_=String))
WITH_WORKERS = select(JOBS).where(among(OUT)).order_by(_OF.id)
#: In the order of `rows.entry_of_row`.
WAITING = (
    select(_OF.id, _OF.server, _OF.member, _OF.cost, _OF.lane, _OF.weight, _OF.model, _OF.side, _OF.pool)
    .where(_OF.state == _is(JobState.QUEUED))
    .order_by(_OF.id)
)
COUNTS = select(_OF.state, func.count()).group_by(_OF.state)
UNTOLD = select(JOBS).where(_OF.told.is_(False)).order_by(_OF.id)
#: Whether a job uses a picture of SOURCES.
USED = exists().where(SOURCE_USES.c.name == SOURCES.c.name)

# Changing

SENT = _move(JobState.SENT, ("generation", "sequence", "group"))
RUNNING = _move(
    JobState.RUNNING,
    ("worker",),
    and_(among(OUT), or_(_OF.state == _is(JobState.SENT), _OF.attempts < bindparam("attempt", type_=Integer))),
    attempts=_MORE_ATTEMPTS,
)
#: Starts are announced lossily, and a quick job's may be heard after its end: who drew it is told with its pictures.
_BY = func.coalesce(bindparam("by", type_=String), _OF.worker)
RENDERED = _move(JobState.RENDERED, ("pictures", "metadata", "seconds"), attempts=_MORE_ATTEMPTS, worker=_BY)
ENDED = {
    state: _move(state, ("error", "detail"), attempts=_MORE_ATTEMPTS) for state in (JobState.FAILED, JobState.DEAD)
}
CANCELLED = _move(JobState.CANCELLED)
#: The one who asked knows the end.
TOLD = _set(
    and_(_ONE, _OF.told.is_(False), among(FINISHED)),
    told=True,
    state=case((_OF.state == _is(JobState.RENDERED), _is(JobState.DELIVERED)), else_=_OF.state),
)
#: Another message carries a job that is out, unless this was known.
CARRIED = _set(
    and_(
        _ONE,
        among(OUT),
        ~and_(
            _OF.sequence.is_not_distinct_from(bindparam("new_sequence")),
            _OF.group.is_not_distinct_from(bindparam("new_group")),
        ),
    ),
    ("generation", "sequence", "group"),
)
_AGAIN = and_(_OF.generation == bindparam("its_generation", type_=Integer), among(OUT))
#: By what is told besides.
REQUEUED: Mapping[tuple[str, ...], Update] = {
    names: _move(JobState.QUEUED, names, _AGAIN, sequence=None, group=None)
    for names in ((), ("attempts",), ("detail",), ("attempts", "detail"))
}
RETRIED = _move(JobState.QUEUED, (), among(BROKEN), sequence=None, group=None, attempts=0, error=None, told=False)
REPLY = update(JOBS).where(_ONE).values(reply=bindparam("new_reply")).returning(_OF.id)
