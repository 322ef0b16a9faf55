"""/moderate …: bans, bonus device time and the audit log; and /queue purge and skip."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import discord
from discord import app_commands

from ..queue.moderation import Ban, BanKind
from ..queue.store import export, first_break
from .cards import shown
from .errors import Refused
from .faults import FAILURES
from .guard import guarded
from .language import speaks
from .moderators import BY_SERVERS, IN_SERVERS, answer, manager, moderator
from .texts import text

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

log = logging.getLogger(__name__)

#: Longest ban with an end, in minutes: a year.
LONGEST_BAN = 525_600
#: Jobs of one member that are cancelled at once, and bans that are listed.
MOST_PURGED, LISTED = 1_000, 20
Minutes = app_commands.Range[int, 1, LONGEST_BAN]
Seconds = app_commands.Range[int, 1, 86_400]
Reason = app_commands.Range[str, 1, 200]


def add_moderate(tree: app_commands.CommandTree[DaguerreClient]) -> None:
    """The command group as Discord shows it."""
    group = app_commands.Group(
        name="moderate",
        description=text("command.moderate"),
        default_permissions=discord.Permissions(manage_messages=True),
        allowed_contexts=IN_SERVERS,
        allowed_installs=BY_SERVERS,
    )

    @group.command(name="ban", description=text("command.moderate.ban"))
    @app_commands.describe(
        member=text("command.moderate.member"),
        role=text("command.moderate.role"),
        minutes=text("command.moderate.minutes"),
        reason=text("command.moderate.reason"),
    )
    async def ban(
        interaction: discord.Interaction[DaguerreClient],
        member: discord.User | None = None,
        role: discord.Role | None = None,
        minutes: Minutes | None = None,
        reason: Reason | None = None,
    ) -> None:
        await guarded(interaction, lambda: shut_out(interaction, member, role, minutes, reason or ""))

    @group.command(name="unban", description=text("command.moderate.unban"))
    @app_commands.describe(member=text("command.moderate.member"), role=text("command.moderate.role"))
    async def unban(
        interaction: discord.Interaction[DaguerreClient],
        member: discord.User | None = None,
        role: discord.Role | None = None,
    ) -> None:
        await guarded(interaction, lambda: let_in(interaction, member, role))

    @group.command(name="bans", description=text("command.moderate.bans"))
    async def bans(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: list_bans(interaction))

    @group.command(name="grant", description=text("command.moderate.grant"))
    @app_commands.describe(member=text("command.moderate.member"), seconds=text("command.moderate.seconds"))
    async def grant(interaction: discord.Interaction[DaguerreClient], member: discord.User, seconds: Seconds) -> None:
        await guarded(interaction, lambda: give_time(interaction, member, seconds))

    @group.command(name="audit", description=text("command.moderate.audit"))
    async def audit(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: send_audit(interaction))

    queue = tree.get_command("queue")
    assert isinstance(queue, app_commands.Group)

    @queue.command(name="purge", description=text("command.moderate.purge"))
    @app_commands.describe(member=text("command.moderate.member"))
    async def purge(interaction: discord.Interaction[DaguerreClient], member: discord.User) -> None:
        await guarded(interaction, lambda: cancel_all(interaction, member))

    @queue.command(name="skip", description=text("command.moderate.skip"))
    async def skip(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: cancel_running(interaction))

    tree.add_command(group)


async def leave_stranger(client: DaguerreClient, guild: discord.Guild) -> None:
    """Go out of a server that the operator does not serve, where he wants that."""
    moderation = client.services.queue.moderation
    if not moderation.options.leave_unknown_servers or moderation.serves(str(guild.id)):
        return
    try:
        await guild.leave()
    except FAILURES as error:
        log.warning("server %d could not be left (%s)", guild.id, type(error).__name__)
        return
    log.info("left server %d, which is not among [moderation] allowed_servers", guild.id)
    await moderation.audit.note(str(guild.id), "daguerre", "left")


async def shut_out(
    interaction: Asked, member: discord.abc.User | None, role: discord.Role | None, minutes: int | None, reason: str
) -> None:
    """No more pictures for a member or a role of this server; a member's waiting jobs are cancelled."""
    server = moderator(interaction)
    kind, subject, mention = _subject(member, role)
    until = None if minutes is None else time.time() + minutes * 60
    await interaction.response.defer(ephemeral=True, thinking=True)
    moderation = interaction.client.services.queue.moderation
    await moderation.store.ban(server, kind, subject, str(interaction.user.id), until=until, reason=reason)
    if kind == "member":
        await _cancel_of(interaction, server, subject)
    locale = speaks(interaction)
    end = text("moderate.for_ever", locale) if until is None else f"<t:{int(until)}:f>"
    await answer(interaction, text("moderate.banned", locale, who=mention, until=end))


async def let_in(interaction: Asked, member: discord.abc.User | None, role: discord.Role | None) -> None:
    """Lift a ban."""
    server = moderator(interaction)
    kind, subject, mention = _subject(member, role)
    store = interaction.client.services.queue.moderation.store
    if not await store.lift(server, kind, subject, str(interaction.user.id)):
        raise Refused("moderate.no_ban")
    await answer(interaction, text("moderate.unbanned", speaks(interaction), who=mention))


def _subject(member: discord.abc.User | None, role: discord.Role | None) -> tuple[BanKind, str, str]:
    """Whom it is about: exactly one. Raises: Refused."""
    if member is not None and role is None:
        return "member", str(member.id), f"<@{member.id}>"
    if role is not None and member is None:
        return "role", str(role.id), f"<@&{role.id}>"
    raise Refused("moderate.one")


async def list_bans(interaction: Asked) -> None:
    """Those that hold now."""
    server, locale = moderator(interaction), speaks(interaction)
    bans = await interaction.client.services.queue.moderation.store.bans(server)
    lines = [_line(ban, locale) for ban in bans[-LISTED:]]
    await answer(interaction, "\n".join(lines) or text("moderate.bans.none", locale))


def _line(ban: Ban, locale: str) -> str:
    who = f"<@{ban.subject}>" if ban.kind == "member" else f"<@&{ban.subject}>"
    end = text("moderate.for_ever", locale) if ban.until is None else f"<t:{int(ban.until)}:R>"
    by = f"<@{ban.who}>" if ban.who.isdigit() else ban.who
    return text("moderate.bans.line", locale, who=who, until=end, by=by) + (
        f" {shown(ban.reason, 60)}" if ban.reason else ""
    )


async def give_time(interaction: Asked, member: discord.abc.User, seconds: int) -> None:
    """More device time for a member, for the rest of this UTC day: for who manages the server."""
    server = manager(interaction)
    store = interaction.client.services.queue.moderation.store
    await store.grant(server, str(member.id), seconds, str(interaction.user.id))
    await answer(
        interaction, text("moderate.granted", speaks(interaction), who=f"<@{member.id}>", seconds=str(seconds))
    )


async def send_audit(interaction: Asked) -> None:
    """The whole log as a file, and whether its chain is whole."""
    server, locale = manager(interaction), speaks(interaction)
    await interaction.response.defer(ephemeral=True, thinking=True)
    entries = await interaction.client.services.queue.moderation.audit.entries(server)
    broken = first_break(entries)
    if broken is not None:
        told = text("moderate.audit.broken", locale, number=str(broken))
    else:
        digest = entries[-1].digest if entries else "–"
        told = text("moderate.audit.whole", locale, count=len(entries), digest=digest)
    await answer(interaction, told, file=(f"audit-{server}.jsonl", export(entries).encode()))


async def cancel_all(interaction: Asked, member: discord.abc.User) -> None:
    """Every waiting and running job of a member in this server."""
    server = moderator(interaction)
    await interaction.response.defer(ephemeral=True, thinking=True)
    count = await _cancel_of(interaction, server, str(member.id))
    audit = interaction.client.services.queue.moderation.audit
    await audit.note(server, str(interaction.user.id), "purge", member=str(member.id), count=count)
    await answer(interaction, text("moderate.purged", speaks(interaction), who=f"<@{member.id}>", count=count))


async def _cancel_of(interaction: Asked, server: str, member: str) -> int:
    queue = interaction.client.services.queue
    jobs = [job for job in await queue.members.waiting(member, MOST_PURGED) if job.server == server]
    return sum([await queue.cancel(job.id) != "gone" for job in jobs])


async def cancel_running(interaction: Asked) -> None:
    """The job of this server that is rendered now, so that the next one begins."""
    server, queue = moderator(interaction), interaction.client.services.queue
    job = await queue.moderation.with_workers(server)
    if job is None or await queue.cancel(job) == "gone":
        raise Refused("moderate.nothing_runs")
    await queue.moderation.audit.note(server, str(interaction.user.id), "skip", job=job)
    await answer(interaction, text("moderate.skipped", speaks(interaction), job=job[:8]))
