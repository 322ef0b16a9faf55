"""What can be decided about a report, and what a decision changes in the job table. Messages are the bot's."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..records import DAY, Job
from .gate import Moderation
from .reports import Report, State

#: What can be done about an open report by its kind.
OFFERED: Mapping[str, tuple[str, ...]] = {
    "report": ("hide", "delete", "ban1", "ban7", "allow"),
    "review": ("release", "reject", "ban7"),
    "appeal": ("restore", "refuse"),
}
#: The state that each action leads to.
LEADS_TO: Mapping[str, State] = {
    "hide": "hidden", "delete": "deleted", "ban1": "banned", "ban7": "banned", "allow": "allowed",
    "release": "allowed", "reject": "rejected", "restore": "allowed", "refuse": "rejected", "undo": "open",
}  # fmt: skip
#: Days of a ban.
BAN_DAYS: Mapping[str, int] = {"ban1": 1, "ban7": 7}
#: States of reports that can be taken back.
UNDONE = ("hidden", "deleted", "banned")
#: Actions after which nobody sees the pictures any more.
REMOVING = ("delete", "reject", "ban1", "ban7")


def offered(report: Report) -> tuple[str, ...]:
    """What can be done about a report as it stands. Pure."""
    if report.state == "open":
        return OFFERED[report.kind]
    return ("undo",) if report.state in UNDONE else ()


async def settle(moderation: Moderation, report: Report, job: Job, action: str, who: str) -> Report | None:
    """Do what was chosen, once: the first one's word counts. None where somebody was first.

    Marks the job as decided: everywhere if the report is of its own server, else in the report's.
    """
    store, was = moderation.store, report.state
    decided = await moderation.reports.decide(report.number, was, LEADS_TO[action], who, action=action)
    if decided is None:
        return None
    if action in BAN_DAYS:
        until, reason = time.time() + BAN_DAYS[action] * DAY, f"report {report.number}"
        await store.ban(report.server, "member", job.member, who, until=until, reason=reason)
    if action == "restore" or (action == "undo" and was == "banned"):
        await store.lift(report.server, "member", job.member, who)
    if action in ("allow", "refuse"):
        return decided
    changes: dict[str, Any] = {"hidden": action == "hide", "deleted": action in REMOVING}
    if report.server == job.server:
        review = reviewed_after((await store.marks(job.id)).review, action)
        await store.mark(job.id, **changes, review=review)
    else:
        await store.mark_elsewhere(job.id, report.server, **changes)
    return decided


def reviewed_after(review: str, action: str) -> str:
    """The review of a picture after a decision: what nothing held needs none. Pure."""
    if not review:
        return ""
    match action:
        case "delete" | "reject" | "ban1" | "ban7":
            return "rejected"
        case "release" | "restore":
            return "released"
        case "undo" if review == "rejected":
            return "held"
        case _:
            return review
