"""Tables of the members: preferences, favourites, which picture came from which, and what awaits a yes."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, Integer, String, Table

from .schema import JOBS, METADATA, Record

#: A member's own history, newest first.
JOBS_BY_MEMBER = Index("jobs_by_member", JOBS.c.member, JOBS.c.id)

PREFERENCES = Table(
    "preferences",
    METADATA,
    Column("member", String(200), primary_key=True),
    Column("value", Record, nullable=False),
    Column("changed", Double, nullable=False),
)

FAVOURITES = Table(
    "favourites",
    METADATA,
    Column("member", String(200), primary_key=True),
    Column("job", String(32), primary_key=True),
    #: Counts from 0 within its job.
    Column("picture", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Index("favourites_by_time", "member", "at"),
)

#: One row for each job that came from another.
LINEAGE = Table(
    "lineage",
    METADATA,
    Column("job", String(32), primary_key=True),
    Column("parent", String(32), nullable=False),
    Column("picture", Integer, nullable=False),
    Column("action", String(20), nullable=False),
    Index("lineage_by_parent", "parent", "job"),
)

#: What was asked for and waits for a yes, such as a prompt that stands for many requests.
DRAFTS = Table(
    "drafts",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("member", String(200), nullable=False),
    Column("content", Record, nullable=False),
    Column("at", Double, nullable=False),
    Index("drafts_by_time", "at"),
)
