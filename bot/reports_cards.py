"""What the moderators' cards say and offer, by kind and state of a report. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..queue.moderation import Report, highest_score
from ..queue.records import Job
from .address import Address
from .cards import short_id, shown
from .texts import text

#: Buttons of an open card by its kind; `LABELS` says what stands on them.
OFFERED: Mapping[str, tuple[str, ...]] = {
    "report": ("hide", "delete", "ban1", "ban7", "allow"),
    "review": ("release", "reject", "ban7"),
    "appeal": ("restore", "refuse"),
}
#: What stands on the buttons.
LABELS: Mapping[str, str] = {
    "hide": "report.button.hide",
    "delete": "report.button.delete",
    "ban1": "report.button.ban1",
    "ban7": "report.button.ban7",
    "allow": "report.button.allow",
    "release": "report.button.release",
    "reject": "report.button.reject",
    "restore": "report.button.restore",
    "refuse": "report.button.refuse",
    "undo": "report.button.undo",
    "appeal": "report.button.appeal",
}
#: The state that each action leads to.
LEADS_TO: Mapping[str, str] = {
    "hide": "hidden", "delete": "deleted", "ban1": "banned", "ban7": "banned", "allow": "allowed",
    "release": "allowed", "reject": "rejected", "restore": "allowed", "refuse": "rejected",
}  # fmt: skip
#: Days of a ban.
BAN_DAYS: Mapping[str, int] = {"ban1": 1, "ban7": 7}
#: States of reports that can be taken back.
UNDONE = ("hidden", "deleted", "banned")
#: Characters of each prompt on a card, before escapes double them: with a reason of 300 it stays below Discord's 2,000.
PROMPT = 240


def offered(report: Report) -> tuple[str, ...]:
    """The actions of a card's buttons."""
    if report.state == "open":
        return OFFERED[report.kind]
    return ("undo",) if report.state in UNDONE else ()


def card_words(report: Report, job: Job, locale: str, *, parent: str = "", decided_by: str = "") -> str:
    """The card: what it is about, the prompt, who asked, where from, and what was decided."""
    heads = {
        "report": lambda: text("report.card.report", locale, who=f"<@{report.who}>"),
        "review": lambda: text("report.card.review", locale),
        "appeal": lambda: text("report.card.appeal", locale, who=f"<@{report.who}>"),
    }
    lines = [heads[report.kind](), text("report.card.prompt", locale, prompt=shown(job.request.prompt, PROMPT))]
    if job.request.negative:
        lines.append(text("report.card.negative", locale, prompt=shown(job.request.negative, PROMPT)))
    lines.append(text("report.card.job", locale, who=f"<@{job.member}>", job=short_id(job), when=str(int(job.created))))
    if parent:
        lines.append(text("report.card.parent", locale, job=parent[:8]))
    if score := highest_score(job.metadata):
        lines.append(text("report.card.score", locale, score=str(round(100 * score))))
    address = Address.of(job.reply)
    if address is not None and address.guild and address.message and not address.private:
        lines.append(f"https://discord.com/channels/{address.guild}/{address.channel}/{address.message}")
    if report.reason:
        lines.append(f"> {shown(report.reason)}")
    if report.state != "open":
        lines.append(text("report.decided.by", locale, state=state_words(report, locale), who=f"<@{decided_by}>"))
    return "\n".join(lines)


def state_words(report: Report, locale: str) -> str:
    """What became of it."""
    match report.state:
        case "hidden":
            return text("report.state.hidden", locale)
        case "deleted":
            return text("report.state.deleted", locale)
        case "banned":
            return text("report.state.banned", locale)
        case "rejected":
            return text("report.state.rejected", locale)
        case _:
            return text("report.state.allowed", locale)
