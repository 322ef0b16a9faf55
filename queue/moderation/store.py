"""Rules, bans, warnings, grants and marks of jobs in the database. Every change also stands in the audit log.

What the gate asks with every request (rules, bans, grants of today) is kept in memory and follows each change made
here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from sqlalchemy import Connection, Double, String, and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ..records import day
from ..store import BANS, COPIES, GRANTS, JOB_MARKS, JOB_PLACES, RULES, WARNINGS, Database, TtlCache, append, prepared
from .records import Ban, BanKind, Held, Marks, Review, TooManyRules
from .rules import MAX_RULES, Rule

#: Seconds for which a warning counts.
WARNING_SECONDS = 30 * 86_400.0
#: Who did what happens by itself.
SELF = "daguerre"

Result = TypeVar("Result")


class ModerationStore:
    """Methods raise StorageFull or QueueUnavailable when the database fails, and have then changed nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held = TtlCache(self._read)
        self._insert: Any = postgresql.insert if database.url.get_backend_name() == "postgresql" else sqlite.insert

    # Rules

    async def rules(self, server: str) -> tuple[Rule, ...]:
        """Those that hold, oldest first."""
        return (await self._held.get(server)).rules

    async def add_rule(self, server: str, rule: Rule, who: str) -> Rule:
        """Keep a rule; gives it with its number. Raises: TooManyRules."""

        def work(connection: Connection) -> Rule:
            here = RULES.c.server == server
            count = connection.execute(select(func.count()).where(here, RULES.c.removed.is_(None))).scalar_one()
            if count >= MAX_RULES:
                raise TooManyRules(f"at most {MAX_RULES} rules")
            last = connection.execute(select(func.max(RULES.c.number)).where(here)).scalar_one() or 0
            kept = rule.model_copy(update={"number": last + 1})
            values = {"server": server, "who": who, "at": time.time(), "removed": None, **kept.model_dump(mode="json")}
            connection.execute(insert(RULES), values)
            append(connection, server, who, "rule.add", kept.model_dump(mode="json"))
            return kept

        return await self._change(server, work)

    async def remove_rule(self, server: str, number: int, who: str) -> bool:
        """Whether there was such a rule."""

        def work(connection: Connection) -> bool:
            where = and_(RULES.c.server == server, RULES.c.number == number, RULES.c.removed.is_(None))
            changed = connection.execute(update(RULES).where(where).values(removed=time.time()))
            if changed.rowcount:
                append(connection, server, who, "rule.remove", {"number": number})
            return bool(changed.rowcount)

        return await self._change(server, work)

    # Bans and warnings

    async def ban(
        self, server: str, kind: BanKind, subject: str, who: str, *, until: float | None, reason: str = ""
    ) -> None:
        """Shut somebody out; a ban that was there is replaced."""

        def work(connection: Connection) -> None:
            _ban(connection, server, kind, subject, who, until, reason)

        await self._change(server, work)

    async def lift(self, server: str, kind: BanKind, subject: str, who: str) -> bool:
        """Whether there was a ban to be lifted."""

        def work(connection: Connection) -> bool:
            lifted = _lift(connection, server, kind, subject)
            if lifted:
                append(connection, server, who, "ban.lift", {"kind": kind, "subject": subject})
            return lifted

        return await self._change(server, work)

    async def bans(self, server: str) -> list[Ban]:
        """Those of a server that hold now, oldest first."""
        query = _bans().where(BANS.c.server == server, *_hold(time.time())).order_by(BANS.c.number)
        rows = await self._database.view(lambda connection: connection.execute(query).all())
        return [Ban(*row) for row in rows]

    async def ban_of(self, server: str, member: str, roles: Collection[str]) -> Ban | None:
        """The ban that keeps this member out here; the longest where there are several."""
        now = time.time()
        subjects = [("member", member), ("server", server), *(("role", role) for role in roles)]
        found = [
            ban
            for held in [await self._held.get(server), await self._held.get("")]
            for subject in subjects
            if (ban := held.bans.get(subject)) is not None and (ban.until is None or ban.until > now)
        ]
        return max(found, key=_end, default=None)

    async def warn(self, server: str, member: str, *, limit: int, minutes: int) -> tuple[int, float | None]:
        """Count a warning. Gives how many count now, and until when the member is shut out, if it was the last."""

        def work(connection: Connection) -> tuple[int, float | None]:
            now = time.time()
            connection.execute(insert(WARNINGS), {"server": server, "member": member, "at": now})
            where = (WARNINGS.c.server == server, WARNINGS.c.member == member, WARNINGS.c.at > now - WARNING_SECONDS)
            count = connection.execute(select(func.count()).where(*where)).scalar_one()
            append(connection, server, SELF, "warn", {"member": member, "count": count})
            if count % limit:
                return count, None
            until = now + minutes * 60
            _ban(connection, server, "member", member, SELF, until, "warnings")
            return count, until

        return await self._change(server, work)

    # Bonus device time

    async def grant(self, server: str, member: str, seconds: float, who: str) -> None:
        """More device time for the rest of this UTC day."""

        def work(connection: Connection) -> None:
            now = time.time()
            values = {"server": server, "member": member, "seconds": seconds, "who": who, "at": now, "day": day(now)}
            connection.execute(insert(GRANTS), values)
            append(connection, server, who, "grant", {"member": member, "seconds": seconds})

        await self._change(server, work)

    async def granted(self, server: str, member: str) -> float:
        """Seconds beyond the quota that the member has here today."""
        today = day(time.time())
        if (held := await self._held.get(server)).day != today:
            self._held.drop(server)
            held = await self._held.get(server)
        return held.granted.get(member, 0.0) if held.day == today else 0.0

    # Marks of jobs

    async def marks(self, job: str) -> Marks:
        query = _marks().where(JOB_MARKS.c.job == job)
        row = await self._database.view(lambda one: one.execute(query).first())
        return Marks() if row is None else Marks(*row)

    async def mark(self, job: str, **changes: Any) -> Marks:
        """Change marks of a job; gives all of them."""
        blank = {"job": job, **asdict(Marks())}
        store = self._insert(JOB_MARKS).values({**blank, **changes})
        store = store.on_conflict_do_update(index_elements=["job"], set_=dict(changes))

        def work(connection: Connection) -> Marks:
            connection.execute(store)
            return Marks(*connection.execute(_marks().where(JOB_MARKS.c.job == job)).one())

        return await self._database.change(work)

    async def reviewed(self, job: str, review: Review) -> bool:
        """Decide about a held job, once. Whether it was still held."""

        def work(connection: Connection) -> bool:
            where = and_(JOB_MARKS.c.job == job, JOB_MARKS.c.review == "held")
            return bool(connection.execute(update(JOB_MARKS).where(where).values(review=review)).rowcount)

        return await self._database.change(work)

    # Pictures of elsewhere, and copies

    async def marks_elsewhere(self, job: str, server: str) -> tuple[bool, bool]:
        """Whether a server that is not the job's own hid its pictures, and whether it took them away."""
        columns = JOB_PLACES.c
        query = select(columns.hidden, columns.deleted).where(columns.job == job, columns.server == server)
        row = await self._database.view(lambda one: one.execute(query).first())
        return (False, False) if row is None else (bool(row[0]), bool(row[1]))

    async def mark_elsewhere(self, job: str, server: str, *, hidden: bool = False, deleted: bool = False) -> None:
        """What a server that is not the job's own decided about its pictures."""
        values = {"hidden": hidden, "deleted": deleted}
        store = self._insert(JOB_PLACES).values({"job": job, "server": server, **values})
        store = store.on_conflict_do_update(index_elements=["job", "server"], set_=values)

        def work(connection: Connection) -> None:
            connection.execute(store)

        await self._database.change(work)

    async def copied(self, job: str, server: str, channel: int, message: int) -> None:
        """A message shows a picture once more."""
        row = {"message": str(message), "job": job, "server": server, "channel": str(channel)}
        store = self._insert(COPIES).values(row).on_conflict_do_nothing()

        def work(connection: Connection) -> None:
            connection.execute(store)

        await self._database.change(work)

    async def copied_to(self, job: str, server: str) -> bool:
        """Whether a message of this server showed a picture of the job once more."""
        query = select(COPIES.c.message).where(COPIES.c.job == job, COPIES.c.server == server).limit(1)
        return await self._database.view(lambda one: one.execute(query).first()) is not None

    async def take_copies(self, job: str, server: str | None = None) -> list[tuple[int, int]]:
        """Channel and message of every copy (of one server), to be deleted now: they are forgotten here."""
        where = (COPIES.c.job == job, *(() if server is None else (COPIES.c.server == server,)))
        gone = delete(COPIES).where(*where).returning(COPIES.c.channel, COPIES.c.message)

        def work(connection: Connection) -> list[tuple[int, int]]:
            return [(int(channel), int(message)) for channel, message in connection.execute(gone).all()]

        return await self._database.change(work)

    # Memory

    async def _read(self, server: str) -> Held:
        """All that holds in a server, in one transaction."""
        now = time.time()
        today = day(now)
        asked = {"of": server, "now": now, "today": today}

        def work(connection: Connection) -> Held:
            with connection.begin():
                rules = prepared.rows(connection, _RULES_OF, asked)
                held = [Ban(**row) for row in prepared.rows(connection, _BANS_OF, asked)]
                granted = prepared.rows(connection, _GRANTS_OF, asked)
            return Held(
                rules=tuple(Rule.model_validate(dict(row)) for row in rules),
                bans={(ban.kind, ban.subject): ban for ban in sorted(held, key=_end)},
                day=today,
                granted={row["member"]: float(row["seconds"]) for row in granted},
            )

        return await self._database.view(work)

    async def _change(self, server: str, work: Callable[[Connection], Result]) -> Result:
        """Change what holds in a server; whoever asks after this has returned is told so."""
        try:
            return await self._database.change(work)
        finally:
            self._held.drop(server)


def _end(ban: Ban) -> float:
    return float("inf") if ban.until is None else ban.until


def _marks() -> Any:
    columns = JOB_MARKS.c
    return select(columns.spoiler, columns.review, columns.hidden, columns.deleted, columns.relaxed)


def _bans() -> Any:
    columns = BANS.c
    return select(
        columns.number, columns.server, columns.kind, columns.subject, columns.reason, columns.who, columns.at,
        columns.until,
    )  # fmt: skip


def _hold(now: Any) -> tuple[Any, ...]:
    """Conditions of a ban that holds now."""
    return BANS.c.lifted.is_(None), or_(BANS.c.until.is_(None), BANS.c.until > now)


#: Built once: putting a statement together costs more than running it.
_OF: Any = bindparam("of", type_=String)
_RULES_OF = (
    select(RULES.c.number, RULES.c.kind, RULES.c.pattern, RULES.c.action, RULES.c.replacement)
    .where(RULES.c.server == _OF, RULES.c.removed.is_(None))
    .order_by(RULES.c.number)
)
_BANS_OF = _bans().where(BANS.c.server == _OF, *_hold(bindparam("now", type_=Double)))
_GRANTS_OF = (
    select(GRANTS.c.member, func.sum(GRANTS.c.seconds).label("seconds"))
    .where(GRANTS.c.server == _OF, GRANTS.c.day == bindparam("today", type_=String))
    .group_by(GRANTS.c.member)
)


def _lift(connection: Connection, server: str, kind: str, subject: str) -> bool:
    now = time.time()
    where = and_(BANS.c.server == server, BANS.c.kind == kind, BANS.c.subject == subject, *_hold(now))
    return bool(connection.execute(update(BANS).where(where).values(lifted=now)).rowcount)


def _ban(
    connection: Connection, server: str, kind: str, subject: str, who: str, until: float | None, reason: str
) -> None:
    _lift(connection, server, kind, subject)
    values: Mapping[str, Any] = {
        "server": server,
        "kind": kind,
        "subject": subject,
        "reason": reason[:500],
        "who": who,
        "at": time.time(),
        "until": until,
        "lifted": None,
    }
    connection.execute(insert(BANS), values)
    append(connection, server, who, "ban", {"kind": kind, "subject": subject, "until": until, "reason": reason[:500]})
