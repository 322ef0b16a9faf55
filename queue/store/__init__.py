"""The database: the job table, members, settings, the audit log. SQLite or PostgreSQL."""

from . import prepared, snapshot
from .audit import Audit, append, export, first_break
from .batcher import Answer, Batcher
from .database import Database, database_url, make_private
from .folder_lock import folder_lock
from .gallery import Filters, GalleryStore
from .lease import Lease
from .members import WITH_PICTURES, MemberStore, Origin, Preferences
from .migrate import migrate, newest_revision
from .rows import OTHER_VERSION, UNREADABLE, entry_of, job_of
from .schema import JOBS, SERVER_SETTINGS, USAGE
from .schema_moderation import BANS, COPIES, GRANTS, JOB_MARKS, JOB_PLACES, REPORTS, RULES, WARNINGS
from .server_settings import ServerSettings, ServerSettingsStore
from .statistics import Span, Statistics
from .table import Carried, JobTable, Ticket
from .ttl_cache import TtlCache
from .upgrade import COPIES_BEFORE, COPY_DAYS, drop_copies, upgrade

__all__ = [
    "BANS", "COPIES", "COPIES_BEFORE", "COPY_DAYS", "GRANTS", "JOBS", "JOB_MARKS", "JOB_PLACES", "OTHER_VERSION",
    "REPORTS", "RULES", "SERVER_SETTINGS", "UNREADABLE", "USAGE", "WARNINGS", "WITH_PICTURES", "Answer", "Audit",
    "Batcher", "Carried", "Database", "Filters", "GalleryStore", "JobTable", "Lease", "MemberStore", "Origin",
    "Preferences", "ServerSettings", "ServerSettingsStore", "Span", "Statistics", "Ticket", "TtlCache", "append",
    "database_url", "drop_copies", "entry_of", "export", "first_break", "folder_lock", "job_of", "make_private",
    "migrate", "newest_revision", "prepared", "snapshot", "upgrade",
]  # fmt: skip
