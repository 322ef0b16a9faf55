"""Tables of the moderators: rules, bans, reports, audit, grants."""

from __future__ import annotations

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Nothing yet."""
