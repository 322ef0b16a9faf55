"""/moderate …: bans, bonus device time and the audit log; and /queue purge and skip."""

from __future__ import annotations

import time

import discord
from discord import app_commands

from ...queue.moderation import Ban, BanKind
from ...queue.store import export, first_break
from ..errors import Refused
from ..interaction import (
    CommandTree,
    Interaction,
    answer,
    command,
    locale_of,
    manager,
    moderator,
    queue_of,
    server_group,
)
from ..text import shown, text

#: Longest ban with an end, in minutes: a year.
LONGEST_BAN = 525_600
#: Jobs of one member that are cancelled at once, and bans that are listed.
MOST_PURGED, LISTED = 1_000, 20
Minutes = app_commands.Range[int, 1, LONGEST_BAN]
Seconds = app_commands.Range[int, 1, 86_400]
Reason = app_commands.Range[str, 1, 200]


def add_moderate(tree: CommandTree) -> None:
    """The group /moderate, and what it adds to /queue."""
    group = server_group(tree, "moderate", discord.Permissions(manage_messages=True))
    member, role = "command.moderate.member", "command.moderate.role"
    minutes, reason = "command.moderate.minutes", "command.moderate.reason"
    command(group, "ban", ban, "command.moderate.ban", member=member, role=role, minutes=minutes, reason=reason)
    command(group, "unban", unban, "command.moderate.unban", member=member, role=role)
    command(group, "bans", list_bans, "command.moderate.bans")
    command(group, "grant", grant_time, "command.moderate.grant", member=member, seconds="command.moderate.seconds")
    command(group, "audit", send_audit, "command.moderate.audit")
    queue = tree.get_command("queue")
    assert isinstance(queue, app_commands.Group)
    command(queue, "purge", cancel_all, "command.moderate.purge", member=member)
    command(queue, "skip", cancel_running, "command.moderate.skip")


async def ban(
    interaction: Interaction,
    member: discord.User | None = None,
    role: discord.Role | None = None,
    minutes: Minutes | None = None,
    reason: Reason = "",
) -> None:
    """No more pictures for a member or a role of this server; a member's waiting jobs are cancelled."""
    server = moderator(interaction)
    kind, subject, mention = _subject(member, role)
    until = None if minutes is None else time.time() + minutes * 60
    await interaction.response.defer(ephemeral=True, thinking=True)
    moderation = queue_of(interaction).moderation
    await moderation.store.ban(server, kind, subject, str(interaction.user.id), until=until, reason=reason)
    if kind == "member":
        await _cancel_of(interaction, server, subject)
    locale = locale_of(interaction)
    end = text("moderate.for_ever", locale) if until is None else f"<t:{int(until)}:f>"
    await answer(interaction, text("moderate.banned", locale, who=mention, until=end))


async def unban(interaction: Interaction, member: discord.User | None = None, role: discord.Role | None = None) -> None:
    """Lift a ban."""
    server = moderator(interaction)
    kind, subject, mention = _subject(member, role)
    store = queue_of(interaction).moderation.store
    if not await store.lift(server, kind, subject, str(interaction.user.id)):
        raise Refused("moderate.no_ban")
    await answer(interaction, text("moderate.unbanned", locale_of(interaction), who=mention))


def _subject(member: discord.abc.User | None, role: discord.Role | None) -> tuple[BanKind, str, str]:
    """Whom it is about: exactly one. Raises: Refused."""
    if member is not None and role is None:
        return "member", str(member.id), f"<@{member.id}>"
    if role is not None and member is None:
        return "role", str(role.id), f"<@&{role.id}>"
    raise Refused("moderate.one")


async def list_bans(interaction: Interaction) -> None:
    """Those that hold now."""
    server, locale = moderator(interaction), locale_of(interaction)
    bans = await queue_of(interaction).moderation.store.bans(server)
    lines = [_line(ban, locale) for ban in bans[-LISTED:]]
    await answer(interaction, "\n".join(lines) or text("moderate.bans.none", locale))


def _line(ban: Ban, locale: str) -> str:
    who = f"<@{ban.subject}>" if ban.kind == "member" else f"<@&{ban.subject}>"
    end = text("moderate.for_ever", locale) if ban.until is None else f"<t:{int(ban.until)}:R>"
    by = f"<@{ban.who}>" if ban.who.isdigit() else ban.who
    return text("moderate.bans.line", locale, who=who, until=end, by=by) + (
        f" {shown(ban.reason, 60)}" if ban.reason else ""
    )


async def grant_time(interaction: Interaction, member: discord.User, seconds: Seconds) -> None:
    """More device time for a member, for the rest of this UTC day: for who manages the server."""
    server = manager(interaction)
    store = queue_of(interaction).moderation.store
    await store.grant(server, str(member.id), seconds, str(interaction.user.id))
    await answer(
        interaction, text("moderate.granted", locale_of(interaction), who=f"<@{member.id}>", seconds=str(seconds))
    )


async def send_audit(interaction: Interaction) -> None:
    """The whole log as a file, and whether its chain is whole."""
    server, locale = manager(interaction), locale_of(interaction)
    await interaction.response.defer(ephemeral=True, thinking=True)
    entries = await queue_of(interaction).moderation.audit.entries(server)
    broken = first_break(entries)
    if broken is not None:
        words = text("moderate.audit.broken", locale, number=str(broken))
    else:
        digest = entries[-1].digest if entries else "–"
        words = text("moderate.audit.whole", locale, count=len(entries), digest=digest)
    await answer(interaction, words, file=(f"audit-{server}.jsonl", export(entries).encode()))


async def cancel_all(interaction: Interaction, member: discord.User) -> None:
    """Every waiting and running job of a member in this server."""
    server = moderator(interaction)
    await interaction.response.defer(ephemeral=True, thinking=True)
    count = await _cancel_of(interaction, server, str(member.id))
    audit = queue_of(interaction).moderation.audit
    await audit.note(server, str(interaction.user.id), "purge", member=str(member.id), count=count)
    await answer(interaction, text("moderate.purged", locale_of(interaction), who=f"<@{member.id}>", count=count))


async def _cancel_of(interaction: Interaction, server: str, member: str) -> int:
    queue = queue_of(interaction)
    jobs = [job for job in await queue.members.waiting(member, MOST_PURGED) if job.server == server]
    return sum([await queue.cancel(job.id) != "gone" for job in jobs])


async def cancel_running(interaction: Interaction) -> None:
    """The job of this server that is rendered now, so that the next one begins."""
    server, queue = moderator(interaction), queue_of(interaction)
    job = await queue.moderation.with_workers(server)
    if job is None or await queue.cancel(job) == "gone":
        raise Refused("moderate.nothing_runs")
    await queue.moderation.audit.note(server, str(interaction.user.id), "skip", job=job)
    await answer(interaction, text("moderate.skipped", locale_of(interaction), job=job[:8]))
