"""/queue …: everybody's own jobs, and what a server's moderators may do about the jobs of their own server.

Other servers' jobs are not theirs, nor are workers that other servers use: those are steered by `daguerre queue` on
the machine.
"""

from __future__ import annotations

from discord import app_commands

from ...queue.errors import UnknownJob
from ...queue.records import BROKEN, Job
from ..errors import Refused
from ..interaction import CommandTree, Interaction, answer, command, locale_of, moderator, open_group, queue_of
from ..message import short_id
from ..text import text
from .about import JobNumber, list_mine

#: Dead jobs that one answer lists.
LISTED = 15
WorkerName = app_commands.Range[str, 1, 100]


def add_queue(tree: CommandTree) -> None:
    """The group /queue."""
    group = open_group(tree, "queue")
    job, worker = "command.queue.job", "command.queue.worker"
    command(group, "mine", list_mine, "command.queue.mine")
    command(group, "status", show_status, "command.queue.status")
    command(group, "pause", pause, "command.queue.pause")
    command(group, "resume", resume, "command.queue.resume")
    command(group, "dead", list_dead, "command.queue.dead")
    command(group, "retry", retry, "command.queue.retry", job=job)
    command(group, "cancel", cancel, "command.queue.cancel", job=job)
    command(group, "drain", drain, "command.queue.drain", worker=worker)


async def show_status(interaction: Interaction) -> None:
    """How many jobs of this server wait and run, and who is there to render them."""
    server, queue = moderator(interaction), queue_of(interaction)
    waiting, running = queue.server_counts(server)
    state = "queue.paused" if queue.paused or server in queue.paused_servers else "queue.open"
    workers = len(await queue.workers())
    locale = locale_of(interaction)
    words = text("queue.status", locale, waiting=waiting, running=running, workers=workers, state=text(state, locale))
    await answer(interaction, words)


async def pause(interaction: Interaction) -> None:
    """Let this server's jobs wait."""
    await queue_of(interaction).pause(moderator(interaction))
    await answer(interaction, text("queue.paused.now", locale_of(interaction)))


async def resume(interaction: Interaction) -> None:
    """Let them go on."""
    await queue_of(interaction).resume(moderator(interaction))
    await answer(interaction, text("queue.resumed", locale_of(interaction)))


async def list_dead(interaction: Interaction) -> None:
    """This server's jobs that ended without pictures."""
    server, queue = moderator(interaction), queue_of(interaction)
    jobs = await queue.dead(LISTED, server=server)
    locale = locale_of(interaction)
    if not jobs:
        await answer(interaction, text("queue.dead.none", locale))
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
    await answer(interaction, "\n".join([text("queue.dead.title", locale), *lines]))


async def retry(interaction: Interaction, job: JobNumber) -> None:
    """Give a dead job all its attempts again; its message follows it as before."""
    found = await _job(interaction, job)
    if found.state not in BROKEN or not await queue_of(interaction).retry(found.id):
        raise Refused("queue.not_dead", job=short_id(found))
    await answer(interaction, text("queue.retried", locale_of(interaction), job=short_id(found)))


async def cancel(interaction: Interaction, job: JobNumber) -> None:
    """Like the Cancel button, when its message is gone."""
    found = await _job(interaction, job)
    if await queue_of(interaction).cancel(found.id) == "gone":
        raise Refused("cancel.gone")
    await answer(interaction, text("queue.cancelled", locale_of(interaction), job=short_id(found)))


async def drain(interaction: Interaction, worker: WorkerName | None = None) -> None:
    """Have workers finish what runs and end, where this server is the only one that they work for."""
    moderator(interaction)
    if len(interaction.client.guilds) > 1:
        raise Refused("queue.drain.shared")
    try:
        draining = await queue_of(interaction).drain(worker)
    except UnknownJob:
        raise Refused("queue.drain.unknown", worker=worker or "") from None
    await answer(interaction, text("queue.draining", locale_of(interaction), count=len(draining)))


async def _job(interaction: Interaction, number: str) -> Job:
    """The job of this server whose number begins so."""
    server = moderator(interaction)
    job = await queue_of(interaction).look_up(number.strip().lower())
    if job is None or job.server != server:
        raise Refused("queue.unknown_job")
    return job
