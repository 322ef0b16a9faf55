"""What moderators decided, asked at the right moment: before a request is queued, and before a picture is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import discord

from ..queue.jobs import Job
from ..queue.server_settings import ServerSettings
from ..queue.service import Queue
from .cards import Card
from .checks import channel_list
from .delivery import Attached
from .errors import Refused
from .texts import text


def behind_spoilers(files: tuple[Attached, ...]) -> tuple[Attached, ...]:
    """The same files, blurred until somebody clicks: Discord goes by their names."""
    return tuple(Attached(f"SPOILER_{file.name}", file.data, file.description) for file in files)


@dataclass(frozen=True, slots=True)
class Look:
    """How the pictures of a job may be shown."""

    held: bool
    spoiler: bool

    def files(self, files: tuple[Attached, ...]) -> tuple[Attached, ...]:
        return behind_spoilers(files) if self.spoiler else files


async def look_at(queue: Queue, job: Job) -> Look:
    """Whether a rendered job waits for review, and whether it is shown behind a spoiler; opens the review."""
    marks = await queue.moderation.store.marks(job.id)
    held = await queue.moderation.held(job.id, job.server, job.metadata, marks)
    if held:
        await queue.moderation.reports.file(job.server, job.id, "review", "daguerre")
    return Look(held, marks.spoiler)


async def may_preview(queue: Queue, job: Job, *, taught: bool = False) -> bool:
    """Whether a picture may be seen before it is done: not where it is reviewed or blurred, or still may be held.

    The output check looks at finished pictures alone, so a preview would show what it then holds. `taught`: the model
    is one whose whole vocabulary is known here. It draws nothing that the check has ever held (docs/safety.md), as
    long as the member brings neither a picture nor another model nor an adapter.
    """
    # Read, not remembered: after a restart nothing is, and a job goes on with its own server's settings.
    settings = await queue.server_settings.get(job.server)
    marks = await queue.moderation.store.marks(job.id)
    if not settings.previews or marks.review or marks.spoiler:
        return False
    asked = job.request
    if taught and asked.source is None and not asked.model and not asked.adapters:
        return True
    return not queue.moderation.may_hold(settings, marks)


def held_card(locale: str) -> Card:
    """What the member sees meanwhile."""
    return Card(text("report.held", locale), locale=locale)


def check_place(settings: ServerSettings, interaction: discord.Interaction[Any]) -> None:
    """Whether pictures may be asked for in this channel; a thread goes by the channel that it hangs in.

    Raises:
        Refused: not here; says where.
    """
    channel: Any = interaction.channel
    parent: Any = getattr(channel, "parent", None) if isinstance(channel, discord.Thread) else None
    ids = [str(number) for number in (interaction.channel_id, getattr(channel, "parent_id", None)) if number]
    if not isinstance(channel, discord.Thread):
        ids = ids[:1]
    category = str(getattr(parent or channel, "category_id", None) or "")
    denied = any(number in settings.denied_channels for number in ids)
    if denied or not any(settings.allows(number, category) for number in ids):
        raise Refused("refused.channel", channels=channel_list(settings) or "–")
    if settings.age_restricted == "only" and not is_age_restricted(interaction):
        raise Refused("refused.age")


def is_age_restricted(interaction: discord.Interaction[Any]) -> bool:
    """Whether Discord lets only adults into this channel."""
    channel: Any = interaction.channel
    if isinstance(channel, discord.Thread):
        channel = channel.parent
    return bool(getattr(channel, "nsfw", False))


def is_relaxed(settings: ServerSettings, interaction: discord.Interaction[Any]) -> bool:
    """Whether the shipped list and the output check do not hold in this channel."""
    return settings.age_restricted == "relaxed" and is_age_restricted(interaction)


def check_amount(settings: ServerSettings, count: int, options: Mapping[str, Any]) -> None:
    """Requests that one prompt becomes, by permutations and by repeating. Raises: Refused."""
    repeat = int(options.get("repeat") or 1)
    if repeat > settings.most_repeat:
        raise Refused("refused.amount", count=repeat, limit=settings.most_repeat)
    if count > settings.most_permutations * repeat:
        raise Refused("refused.amount", count=count, limit=settings.most_permutations)
