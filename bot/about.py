"""What there is to know: about a job (/show and the Info button), one's own jobs (/queue mine), the bot (/info)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from ..queue.dispatch import Why
from ..queue.prompt import say
from ..queue.records import LIVE, Job, day_ends
from .ask import PRIVATE_SERVER, role_ids
from .buttons import jobs_view
from .cancel import may_touch
from .cards import details, plain, roughly, short_id, shorten, shown
from .errors import Refused
from .forms import settings_here
from .guard import guarded
from .language import speaks
from .texts import text
from .wishes import said_again

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

#: Jobs that one answer lists; each has a button, and there are five in a row.
LISTED = 10
PROMPT = 80
JobNumber = app_commands.Range[str, 4, 32]


def add_about(tree: app_commands.CommandTree[DaguerreClient]) -> None:
    """/info and /show as Discord shows them."""

    @tree.command(name="info", description=text("command.info"))
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def info(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: tell_info(interaction))

    @tree.command(name="show", description=text("command.show"))
    @app_commands.describe(job=text("command.show.job"))
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def show(interaction: discord.Interaction[DaguerreClient], job: JobNumber) -> None:
        await guarded(interaction, lambda: show_job(interaction, job))


async def information(interaction: Asked, job: Job, picture: int | None = None) -> str:
    """A job in words: what repeats it, how it stands, where it came from and what came of it."""
    locale, queue = speaks(interaction), interaction.client.services.queue
    request = job.request
    if picture is not None and request.count > 1:
        request = request.model_copy(update={"count": 1, "seed": request.seeds[picture % request.count]})
    wish = said_again(request, await settings_here(interaction), seed=True, relaxed=job.lane == "relax")
    lines = [
        text("about.title", locale, job=job.id[:16]),
        f"```\n{shorten(plain(say(wish)), 900).replace('`', 'ˋ')}\n```",
        details(request, locale, job.metadata),
        await _standing(interaction, job, locale),
    ]
    if job.metadata.get("model"):
        lines.append(text("about.model", locale, model=shown(str(job.metadata["model"]), 60)))
    origin = await queue.members.origin(job.id)
    if origin is not None:
        action = text(f"button.{origin.action}", locale, number=str(origin.picture + 1))
        lines.append(text("about.parent", locale, parent=origin.parent[:16], picture=origin.picture + 1, action=action))
    children = await queue.members.children(job.id)
    if children:
        lines.append(text("about.children", locale, jobs=", ".join(f"`{child.job[:16]}`" for child in children)))
    return "\n".join(line for line in lines if line)


async def _standing(interaction: Asked, job: Job, locale: str) -> str:
    state = text(f"state.{job.state.value}", locale)
    when = text("about.when", locale, state=state, created=int(job.created))
    if job.state not in LIVE:
        return when
    return f"{when}\n{reasons(await interaction.client.services.queue.why(job.id), locale)}"


def reasons(why: Why, locale: str) -> str:
    """Why a job waits, and for how long. Pure."""
    known = {
        "paused": "about.why.paused",
        "server_paused": "about.why.paused",
        "no_worker": "about.why.no_worker",
        "no_fitting_worker": "about.why.no_fit",
        "line": "about.why.line",
        "next": "about.why.next",
    }
    said = text(known.get(why.reason, "about.why.running"), locale, place=why.place + 1)
    if why.done_in is not None:
        said += " " + text("about.why.done", locale, eta=roughly(why.done_in, locale))
    return said


async def show_job(interaction: Asked, number: str) -> None:
    """A job by its number, for those who may see it. Raises: Refused."""
    job = await interaction.client.services.queue.look_up(number.strip().strip("`").lower())
    if job is None or not may_touch(interaction, job):
        raise Refused("about.unknown_job")
    locale = speaks(interaction)
    await interaction.response.send_message(
        await information(interaction, job),
        view=jobs_view([job], locale),
        ephemeral=True,
        allowed_mentions=discord.AllowedMentions.none(),
    )


async def list_mine(interaction: Asked) -> None:
    """The member's own jobs that are not over: place, why, and a button to cancel each."""
    locale, queue = speaks(interaction), interaction.client.services.queue
    jobs = await queue.members.waiting(str(interaction.user.id), LISTED)
    lines = [text("mine.title", locale, count=len(jobs))] if jobs else [text("mine.none", locale)]
    for job in jobs:
        why = reasons(await queue.why(job.id), locale)
        prompt = shown(job.request.prompt, PROMPT)
        lines.append(text("mine.line", locale, job=short_id(job), prompt=prompt, why=why))
    await interaction.response.send_message(
        "\n".join(lines)[:2000],
        view=jobs_view(jobs, locale) if jobs else discord.utils.MISSING,
        ephemeral=True,
        allowed_mentions=discord.AllowedMentions.none(),
    )


async def tell_info(interaction: Asked) -> None:
    """What the member may still ask for, their share, and who draws."""
    locale, queue = speaks(interaction), interaction.client.services.queue
    server, member = str(interaction.guild_id or PRIVATE_SERVER), str(interaction.user.id)
    limits, standing = queue.standing(server, member, [str(role) for role in role_ids(interaction)])
    workers = await queue.workers()
    waiting, running = queue.server_counts(server)
    models = sorted({model for worker in workers for model in worker.models})
    _, pictures = await queue.members.history(member, 1)
    lines = [
        text("info.title", locale),
        text("info.waiting", locale, waiting=standing.member, limit=limits.queued_per_member)
        if limits.queued_per_member
        else text("info.waiting.unlimited", locale, waiting=standing.member),
        text("info.time", locale, used=round(standing.seconds, 1), limit=f"{limits.daily_seconds:g}",
             resets=int(day_ends(interaction.created_at.timestamp())))
        if limits.daily_seconds
        else text("info.time.unlimited", locale, used=round(standing.seconds, 1)),
        text("info.share", locale, weight=f"{limits.weight:g}", waiting=waiting, running=running),
        text("info.jobs", locale, count=pictures),
        text("info.workers", locale, count=len(workers), slots=sum(worker.slots for worker in workers)),
        text("info.models", locale, models=", ".join(shown(model, 60) for model in models[:20])) if models else "",
    ]  # fmt: skip
    await interaction.response.send_message(
        "\n".join(line for line in lines if line), ephemeral=True, allowed_mentions=discord.AllowedMentions.none()
    )
