"""The job table and the settings of servers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("key", sa.String(200), nullable=False, unique=True),
        sa.Column("member", sa.String(200), nullable=False),
        sa.Column("server", sa.String(200), nullable=False),
        sa.Column("turn", sa.Double, nullable=False),
        sa.Column("tag", sa.Double, nullable=False),
        sa.Column("cost", sa.Double, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.BigInteger()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("reply", sa.JSON(), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String(200)),
        sa.Column("pictures", sa.JSON(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("changed", sa.Double, nullable=False),
    )
    op.create_index("jobs_by_tag", "jobs", ["state", "tag", "id"])
    op.create_index("jobs_by_server", "jobs", ["state", "server", "turn"])
    op.create_index("jobs_by_member", "jobs", ["state", "member"])
    op.create_index("jobs_untold", "jobs", ["told", "state"])
    op.create_table(
        "server_settings",
        sa.Column("server", sa.String(200), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("changed", sa.Double, nullable=False),
        sa.Column("old", sa.JSON(), nullable=False),
        sa.Column("new", sa.JSON(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("server_settings")
    op.drop_table("jobs")
