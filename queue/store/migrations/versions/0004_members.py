"""Tables of the members: preferences, favourites, lineage, drafts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index("jobs_by_member", "jobs", ["member", "id"])
    op.create_table(
        "preferences",
        sa.Column("member", sa.String(200), primary_key=True),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("changed", sa.Double, nullable=False),
    )
    op.create_table(
        "favourites",
        sa.Column("member", sa.String(200), primary_key=True),
        sa.Column("job", sa.String(32), primary_key=True),
        sa.Column("picture", sa.Integer(), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_index("favourites_by_time", "favourites", ["member", "at"])
    op.create_table(
        "lineage",
        sa.Column("job", sa.String(32), primary_key=True),
        sa.Column("parent", sa.String(32), nullable=False),
        sa.Column("picture", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
    )
    op.create_index("lineage_by_parent", "lineage", ["parent", "job"])
    op.create_table(
        "drafts",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("member", sa.String(200), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_index("drafts_by_time", "drafts", ["at"])
