"""Lanes, weights and needs of jobs; every change of state recorded; usage, memory and leases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_COLUMNS = "job, was, became, at, generation, attempts"
_BEGUN = "NEW.id, NULL, NEW.state, NEW.created, NEW.generation, NEW.attempts"
_MOVED = "NEW.id, OLD.state, NEW.state, NEW.changed, NEW.generation, NEW.attempts"


def upgrade() -> None:
    # 1. The order of waiting jobs now comes from sums in memory (dispatch/fair.py), so places are no longer stored.
    for index in ("jobs_by_tag", "jobs_by_server", "jobs_by_member", "jobs_untold"):
        op.drop_index(index, "jobs")
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("turn")
        jobs.drop_column("tag")
        jobs.add_column(sa.Column("lane", sa.String(8), nullable=False, server_default="fast"))
        jobs.add_column(sa.Column("weight", sa.Double, nullable=False, server_default="1"))
        jobs.add_column(sa.Column("model", sa.String(100), nullable=False, server_default=""))
        jobs.add_column(sa.Column("side", sa.Integer(), nullable=False, server_default="0"))
        jobs.add_column(sa.Column("pool", sa.String(100), nullable=False, server_default=""))
        jobs.add_column(sa.Column("group", sa.String(40)))
        jobs.add_column(sa.Column("worker", sa.String(200)))
        jobs.add_column(sa.Column("detail", sa.String(500)))
    # The defaults were for the rows that are there; new ones say everything themselves.
    with op.batch_alter_table("jobs") as jobs:
        jobs.alter_column("lane", existing_type=sa.String(8), existing_nullable=False, server_default=None)
        jobs.alter_column("weight", existing_type=sa.Double(), existing_nullable=False, server_default=None)
        jobs.alter_column("model", existing_type=sa.String(100), existing_nullable=False, server_default=None)
        jobs.alter_column("side", existing_type=sa.Integer(), existing_nullable=False, server_default=None)
        jobs.alter_column("pool", existing_type=sa.String(100), existing_nullable=False, server_default=None)
    op.create_index("jobs_by_state", "jobs", ["state", "id"])
    op.create_index("jobs_untold", "jobs", ["told", "id"])

    # 2. What is kept beside the jobs.
    op.create_table(
        "transitions",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("job", sa.String(32), nullable=False),
        sa.Column("was", sa.String(16)),
        sa.Column("became", sa.String(16), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
    )
    op.create_index("transitions_by_job", "transitions", ["job", "number"])
    op.create_table(
        "usage",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("member", sa.String(200), primary_key=True),
        sa.Column("seconds", sa.Double, nullable=False),
    )
    op.create_table(
        "memory",
        sa.Column("name", sa.String(50), primary_key=True),
        sa.Column("value", sa.JSON(), nullable=False),
    )
    # The lease is made before any migration where several hosts share a database (lease.py).
    if not sa.inspect(op.get_bind()).has_table("leases"):
        op.create_table(
            "leases",
            sa.Column("name", sa.String(50), primary_key=True),
            sa.Column("holder", sa.String(200), nullable=False),
            sa.Column("epoch", sa.BigInteger(), nullable=False),
            sa.Column("expires", sa.Double, nullable=False),
        )

    # 3. The record of states is written by the database itself. A later migration that copies `jobs` (SQLite's batch
    #    mode) has to make these triggers again.
    insert = f"INSERT INTO transitions ({_COLUMNS}) VALUES"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"CREATE TRIGGER jobs_begun AFTER INSERT ON jobs BEGIN {insert} ({_BEGUN}); END")
        op.execute(
            "CREATE TRIGGER jobs_moved AFTER UPDATE OF state ON jobs WHEN OLD.state <> NEW.state "
            f"BEGIN {insert} ({_MOVED}); END"
        )
        return
    for name, values in (("begun", _BEGUN), ("moved", _MOVED)):
        op.execute(
            f"CREATE FUNCTION jobs_{name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {insert} ({values}); RETURN NULL; END $$"
        )
    op.execute("CREATE TRIGGER jobs_begun AFTER INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION jobs_begun()")
    op.execute(
        "CREATE TRIGGER jobs_moved AFTER UPDATE OF state ON jobs FOR EACH ROW "
        "WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION jobs_moved()"
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup of the data folder instead: the places of jobs are not kept any more")
