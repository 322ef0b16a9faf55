"""Pictures that requests begin from, and who uses them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "sources",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("kept", sa.Double, nullable=False),
    )
    op.create_table(
        "source_uses",
        sa.Column("job", sa.String(32), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.String(200), primary_key=True),
    )
    op.create_index("source_uses_by_name", "source_uses", ["name"])
    op.create_index("transitions_by_time", "transitions", ["at"])

    # A request never changes but when it is erased: then its pictures may go too. A later migration that copies `jobs`
    # (SQLite's batch mode) has to make this trigger again, like those of 0002.
    forget = "DELETE FROM source_uses WHERE job = NEW.id"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER jobs_erased AFTER UPDATE OF request ON jobs WHEN OLD.request <> NEW.request "
            f"BEGIN {forget}; END"
        )
        return
    op.execute(
        f"CREATE FUNCTION jobs_erased() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {forget}; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER jobs_erased AFTER UPDATE OF request ON jobs FOR EACH ROW "
        "WHEN (OLD.request::text <> NEW.request::text) EXECUTE FUNCTION jobs_erased()"
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup of the data folder instead")
