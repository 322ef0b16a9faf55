"""What there is to know: about a job (/show), one's own jobs (/queue mine), one's limits and the bot (/info)."""

from __future__ import annotations

from collections.abc import Collection

from discord import app_commands

from ...queue.records import WorkerInfo, day_ends
from ..errors import Refused
from ..interaction import (
    CommandTree,
    Interaction,
    answer,
    command,
    everywhere,
    locale_of,
    may_touch,
    queue_of,
    role_ids,
)
from ..message import PRIVATE_SERVER, jobs_view, short_id
from ..picture import information, reasons
from ..text import shown, text

#: Jobs that one answer lists; each has a button, and there are five in a row.
LISTED = 10
PROMPT = 80
#: Fine-tunes and embeddings that /info names, and characters of each.
NAMES, NAME = 15, 60
JobNumber = app_commands.Range[str, 4, 32]


def add_about(tree: CommandTree) -> None:
    """/info and /show."""
    everywhere(command(tree, "info", show_info, "command.info"))
    everywhere(command(tree, "show", show_job, "command.show", job="command.show.job"))


async def show_job(interaction: Interaction, job: JobNumber) -> None:
    """A job by its number, for those who may see it. Raises: Refused."""
    found = await queue_of(interaction).look_up(job.strip().strip("`").lower())
    if found is None or not may_touch(interaction, found):
        raise Refused("about.unknown_job")
    view = jobs_view([found], locale_of(interaction))
    await answer(interaction, await information(interaction, found), view=view)


async def list_mine(interaction: Interaction) -> None:
    """The member's own jobs that are not over: place, why, and a button to cancel each."""
    locale, queue = locale_of(interaction), queue_of(interaction)
    jobs = await queue.members.waiting(str(interaction.user.id), LISTED)
    lines = [text("mine.title", locale, count=len(jobs))] if jobs else [text("mine.none", locale)]
    for job in jobs:
        why = reasons(await queue.why(job.id), locale)
        prompt = shown(job.request.prompt, PROMPT)
        lines.append(text("mine.line", locale, job=short_id(job), prompt=prompt, why=why))
    await answer(interaction, "\n".join(lines)[:2000], view=jobs_view(jobs, locale) if jobs else None)


async def show_info(interaction: Interaction) -> None:
    """What the member may still ask for, their share, and who draws."""
    locale, queue = locale_of(interaction), queue_of(interaction)
    server, member = str(interaction.guild_id or PRIVATE_SERVER), str(interaction.user.id)
    limits, standing = queue.standing(server, member, role_ids(interaction))
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
        _adapters(workers, locale),
        _embeddings(workers, locale),
        _controls(workers, locale),
    ]  # fmt: skip
    await answer(interaction, "\n".join(line for line in lines if line)[:2000])


def _adapters(workers: Collection[WorkerInfo], locale: str) -> str:
    """The fine-tunes that may be asked for, each with the words that it listens to."""
    names = sorted({name for worker in workers for name in worker.adapters or ()})
    words = {name: told for worker in workers for name, told in worker.triggers.items()}
    told = [
        text("info.adapter.words", locale, name=shown(name, NAME), words=shown(words[name], NAME))
        if words.get(name)
        else shown(name, NAME)
        for name in names[:NAMES]
    ]
    return text("info.adapters", locale, names=_listed(told, len(names))) if names else ""


def _embeddings(workers: Collection[WorkerInfo], locale: str) -> str:
    """The names that prompts may hold for vectors of the operator's."""
    names = sorted({name for worker in workers for name in worker.embeddings})
    told = [shown(name, NAME) for name in names[:NAMES]]
    return text("info.embeddings", locale, names=_listed(told, len(names))) if names else ""


def _controls(workers: Collection[WorkerInfo], locale: str) -> str:
    """The ControlNets that may be asked for."""
    names = sorted({name for worker in workers for name in worker.controls or ()})
    told = [shown(name, NAME) for name in names[:NAMES]]
    return text("info.controls", locale, names=_listed(told, len(names))) if names else ""


def _listed(told: list[str], number: int) -> str:
    return ", ".join(told) + (", …" if number > len(told) else "")
