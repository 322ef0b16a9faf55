"""What servers decided about pictures of elsewhere, and the messages that show a picture once more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "job_places",
        sa.Column("job", sa.String(32), primary_key=True),
        sa.Column("server", sa.String(200), primary_key=True),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "copies",
        sa.Column("message", sa.String(200), primary_key=True),
        sa.Column("job", sa.String(32), nullable=False),
        sa.Column("server", sa.String(200), nullable=False),
        sa.Column("channel", sa.String(200), nullable=False),
    )
    op.create_index("copies_by_job", "copies", ["job"])


def downgrade() -> None:
    raise NotImplementedError("restore a backup of the data folder instead")
