"""What the moderators' cards say and offer, by kind and state of a report. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import discord

from ...queue.moderation import Report, highest_score, offered
from ...queue.records import Job
from ..message import Address, short_id, view_with
from ..text import shown, text

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
#: Actions whose end is a loss.
_RED = ("delete", "ban1", "ban7", "reject")
#: What a card is about.
HEADS: Mapping[str, str] = {
    "report": "report.card.report",
    "review": "report.card.review",
    "appeal": "report.card.appeal",
}
#: What became of it.
STATES: Mapping[str, str] = {
    "hidden": "report.state.hidden",
    "deleted": "report.state.deleted",
    "banned": "report.state.banned",
    "rejected": "report.state.rejected",
    "allowed": "report.state.allowed",
}
#: Characters of each prompt on a card, before escapes double them: with a reason of 300 it stays below Discord's 2,000.
PROMPT = 240


def report_button(action: str, report: int, locale: str) -> discord.ui.Button[Any]:
    """One action on one report; decisions.py knows it by its custom id."""
    style = discord.ButtonStyle.danger if action in _RED else discord.ButtonStyle.secondary
    return discord.ui.Button(
        label=text(LABELS[action], locale), style=style, custom_id=f"daguerre-card:{action}:{report}"
    )


def card_view(report: Report, locale: str) -> discord.ui.View:
    return view_with(report_button(action, report.number, locale) for action in offered(report))


def card_words(report: Report, job: Job, locale: str, *, parent: str = "", decided_by: str = "") -> str:
    """The card: what it is about, the prompt, who asked, where from, and what was decided."""
    lines = [text(HEADS[report.kind], locale, who=f"<@{report.who}>")]
    lines.append(text("report.card.prompt", locale, prompt=shown(job.request.prompt, PROMPT)))
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
        who = f"<@{decided_by}>" if decided_by.isdigit() else decided_by
        lines.append(text("report.decided.by", locale, state=text(STATES[report.state], locale), who=who))
    return "\n".join(lines)
