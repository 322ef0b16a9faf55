"""Tables of the moderators; migrations/versions/0003 makes them."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, Index, Integer, String, Table

from .schema import METADATA, Record

RULES = Table(
    "rules",
    METADATA,
    Column("server", String(200), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("pattern", String(200), nullable=False),
    Column("action", String(10), nullable=False),
    Column("replacement", String(200), nullable=False),
    Column("who", String(200), nullable=False),
    Column("at", Double, nullable=False),
    #: Unix time at which it was taken off; numbers are never used again.
    Column("removed", Double),
)

BANS = Table(
    "bans",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    #: Empty: everywhere (the operator's).
    Column("server", String(200), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("who", String(200), nullable=False),
    Column("at", Double, nullable=False),
    #: Unix times; None: for ever, and not lifted.
    Column("until", Double),
    Column("lifted", Double),
    Index("bans_by_subject", "subject", "server"),
)

WARNINGS = Table(
    "warnings",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("server", String(200), nullable=False),
    Column("member", String(200), nullable=False),
    Column("at", Double, nullable=False),
    Index("warnings_by_member", "server", "member", "at"),
)

#: What moderation says about single jobs.
JOB_MARKS = Table(
    "job_marks",
    METADATA,
    Column("job", String(32), primary_key=True),
    Column("spoiler", Boolean, nullable=False),
    #: Empty, `held` (for review), `released` or `rejected`.
    Column("review", String(10), nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("deleted", Boolean, nullable=False),
    #: Asked in an age-restricted channel of a server that allows more there.
    Column("relaxed", Boolean, nullable=False),
)

#: What moderators of a server decided about a picture of elsewhere that was shown there.
JOB_PLACES = Table(
    "job_places",
    METADATA,
    Column("job", String(32), primary_key=True),
    Column("server", String(200), primary_key=True),
    Column("hidden", Boolean, nullable=False),
    Column("deleted", Boolean, nullable=False),
)

#: Messages that show a picture once more, besides the answer to its request: they go when it is taken away.
COPIES = Table(
    "copies",
    METADATA,
    Column("message", String(200), primary_key=True),
    Column("job", String(32), nullable=False),
    Column("server", String(200), nullable=False),
    Column("channel", String(200), nullable=False),
    Index("copies_by_job", "job"),
)

REPORTS = Table(
    "reports",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("server", String(200), nullable=False),
    Column("job", String(32), nullable=False),
    #: `report`, `review` (held by a rule or the output check) or `appeal`.
    Column("kind", String(10), nullable=False),
    Column("who", String(200), nullable=False),
    Column("reason", String(1000), nullable=False),
    Column("state", String(10), nullable=False),
    Column("at", Double, nullable=False),
    Column("changed", Double, nullable=False),
    #: The card: where it was posted.
    Column("channel", String(200)),
    Column("message", String(200)),
    Index("reports_by_job", "job", "state"),
)

GRANTS = Table(
    "grants",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("server", String(200), nullable=False),
    Column("member", String(200), nullable=False),
    #: The UTC day for which it holds.
    Column("day", String(10), nullable=False),
    Column("seconds", Double, nullable=False),
    Column("who", String(200), nullable=False),
    Column("at", Double, nullable=False),
    Index("grants_by_member", "member", "day"),
)

#: Triggers forbid changing and deleting rows.
AUDIT = Table(
    "audit",
    METADATA,
    Column("server", String(200), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("who", String(200), nullable=False),
    Column("action", String(40), nullable=False),
    Column("details", Record, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
)
