"""/queue …: everybody's own jobs, and what a server's moderators may do about the jobs of their own server.

Other servers' jobs are not theirs, nor are workers that other servers use: those are steered by `daguerre queue` on
the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from ..queue.errors import UnknownJob
from ..queue.records import BROKEN, Job
from .about import list_mine
from .cancel import may_moderate
from .cards import short_id
from .errors import Refused
from .guard import guarded
from .language import speaks
from .texts import text

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

#: Dead jobs that one answer lists.
LISTED = 15
JobNumber = app_commands.Range[str, 4, 32]
WorkerName = app_commands.Range[str, 1, 100]


def add_queue(tree: app_commands.CommandTree[DaguerreClient]) -> None:
    """The command group as Discord shows it."""
    group = app_commands.Group(
        name="queue",
        description=text("command.queue"),
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=True),
        allowed_installs=app_commands.AppInstallationType(guild=True, user=True),
    )

    @group.command(name="mine", description=text("command.queue.mine"))
    async def mine(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: list_mine(interaction))

    @group.command(name="status", description=text("command.queue.status"))
    async def status(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: show(interaction))

    @group.command(name="pause", description=text("command.queue.pause"))
    async def pause(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: hold(interaction, True))

    @group.command(name="resume", description=text("command.queue.resume"))
    async def resume(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: hold(interaction, False))

    @group.command(name="dead", description=text("command.queue.dead"))
    async def dead(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: list_dead(interaction))

    @group.command(name="retry", description=text("command.queue.retry"))
    @app_commands.describe(job=text("command.queue.job"))
    async def retry(interaction: discord.Interaction[DaguerreClient], job: JobNumber) -> None:
        await guarded(interaction, lambda: try_again(interaction, job))

    @group.command(name="cancel", description=text("command.queue.cancel"))
    @app_commands.describe(job=text("command.queue.job"))
    async def cancel(interaction: discord.Interaction[DaguerreClient], job: JobNumber) -> None:
        await guarded(interaction, lambda: cancel_job(interaction, job))

    @group.command(name="drain", description=text("command.queue.drain"))
    @app_commands.describe(worker=text("command.queue.worker"))
    async def drain(interaction: discord.Interaction[DaguerreClient], worker: WorkerName | None = None) -> None:
        await guarded(interaction, lambda: send_home(interaction, worker))

    tree.add_command(group)


async def show(interaction: Asked) -> None:
    """How many jobs of this server wait and run, and who is there to render them."""
    server, queue = _server(interaction), interaction.client.services.queue
    waiting, running = queue.server_counts(server)
    state = "queue.paused" if queue.paused or server in queue.paused_servers else "queue.open"
    workers = len(await queue.workers())
    locale = speaks(interaction)
    words = text("queue.status", locale, waiting=waiting, running=running, workers=workers, state=text(state, locale))
    await _reply(interaction, words)


async def hold(interaction: Asked, paused: bool) -> None:
    """Let this server's jobs wait, or go on."""
    server, queue = _server(interaction), interaction.client.services.queue
    await (queue.pause(server) if paused else queue.resume(server))
    await _reply(interaction, text("queue.paused.now" if paused else "queue.resumed", speaks(interaction)))


async def list_dead(interaction: Asked) -> None:
    """This server's jobs that ended without pictures."""
    server, queue = _server(interaction), interaction.client.services.queue
    jobs = await queue.dead(LISTED, server=server)
    locale = speaks(interaction)
    if not jobs:
        await _reply(interaction, text("queue.dead.none", locale))
        return
    lines = [
        text(
            "queue.dead.line",
            locale,
            job=job.id[:16],
            when=int(job.changed),
            state=text(f"state.{job.state.value}", locale),
            attempts=job.attempts,
        )
        for job in jobs
    ]
    await _reply(interaction, "\n".join([text("queue.dead.title", locale), *lines]))


async def try_again(interaction: Asked, number: str) -> None:
    """Give a dead job all its attempts again; its message follows it as before."""
    job = await _job(interaction, number)
    if job.state not in BROKEN or not await interaction.client.services.queue.retry(job.id):
        raise Refused("queue.not_dead", job=short_id(job))
    await _reply(interaction, text("queue.retried", speaks(interaction), job=short_id(job)))


async def cancel_job(interaction: Asked, number: str) -> None:
    """Like the Cancel button, when its message is gone."""
    job = await _job(interaction, number)
    if await interaction.client.services.queue.cancel(job.id) == "gone":
        raise Refused("cancel.gone")
    await _reply(interaction, text("queue.cancelled", speaks(interaction), job=short_id(job)))


async def send_home(interaction: Asked, worker: str | None) -> None:
    """Have workers finish what runs and end, where this server is the only one that they work for."""
    _server(interaction)
    if len(interaction.client.guilds) > 1:
        raise Refused("queue.drain.shared")
    try:
        told = await interaction.client.services.queue.drain(worker)
    except UnknownJob:
        raise Refused("queue.drain.unknown", worker=worker or "") from None
    await _reply(interaction, text("queue.draining", speaks(interaction), count=len(told)))


async def _job(interaction: Asked, number: str) -> Job:
    """The job of this server whose number begins so."""
    server = _server(interaction)
    job = await interaction.client.services.queue.look_up(number.strip().lower())
    if job is None or job.server != server:
        raise Refused("queue.unknown_job")
    return job


def _server(interaction: discord.Interaction[Any]) -> str:
    """The server's id, once it is certain that this member moderates it."""
    if interaction.guild_id is None:
        raise Refused("settings.server_only")
    if not may_moderate(interaction):
        raise Refused("queue.not_allowed")
    return str(interaction.guild_id)


async def _reply(interaction: Asked, words: str) -> None:
    await interaction.response.send_message(words, ephemeral=True, allowed_mentions=discord.AllowedMentions.none())
