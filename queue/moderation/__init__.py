"""The two gates: what may be asked for (rules, bans, clamps) and what may be shown of a picture to whom."""

from .decisions import BAN_DAYS, OFFERED, REMOVING, offered, settle
from .dryrun import DryRun, dry_run, last_week
from .gate import Forbidden, Moderation, highest_score
from .options import ModerationOptions
from .origin import Origin, ReadOrigin
from .permits import Asker, Permit, Showing
from .privacy import NOBODY, Privacy
from .records import Ban, BanKind, TooManyRules
from .reports import Report, State
from .rules import MAX_PATTERN, MAX_RULES, Action, BadRule, Rule, book_of, checked_rule
from .showing import Place, Use

__all__ = [
    "BAN_DAYS", "MAX_PATTERN", "MAX_RULES", "NOBODY", "OFFERED", "REMOVING", "Action", "Asker", "BadRule", "Ban",
    "BanKind", "DryRun", "Forbidden", "Moderation", "ModerationOptions", "Origin", "Permit", "Place", "Privacy",
    "ReadOrigin", "Report", "Rule", "Showing", "State", "TooManyRules", "Use", "book_of", "checked_rule", "dry_run",
    "highest_score", "last_week", "offered", "settle",
]  # fmt: skip
