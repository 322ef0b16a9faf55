"""What a message says and carries, and the words about a request that several kinds of message share."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import discord

from ...queue.records import MAX_SEED, ImageRequest, Job
from ..text import ENGLISH, plain, shorten, text, without_emoji_ids
from .keys import Rows

#: Discord's limit for alt texts.
ALT_TEXT = 1024


@dataclass(frozen=True, slots=True)
class Card:
    """What a message says and carries."""

    content: str
    #: The buttons below it.
    rows: Rows = ()
    #: Seconds in which it is not worth looking whether it has changed.
    lasts: float = field(default=0.0, compare=False)
    #: The picture as it stands: a small JPEG or WebP.
    preview: bytes | None = field(default=None, repr=False)
    locale: str = ENGLISH

    @property
    def cancellable(self) -> bool:
        return any(key.action == "cancel" for row in self.rows for key in row)


@dataclass(frozen=True, slots=True)
class Attached:
    """One picture of a message."""

    name: str
    data: bytes
    #: What screen readers read.
    description: str

    def file(self) -> discord.File:
        """A fresh file for one attempt: discord.py closes it afterwards."""
        return discord.File(io.BytesIO(self.data), filename=self.name, description=self.description)


def alt_text(request: ImageRequest, locale: str = ENGLISH, *, grid: bool = False) -> str:
    """The description that screen readers read: what was asked for, in words of the member's language."""
    prompt = plain(without_emoji_ids(request.prompt))
    whole = text("alt.grid" if grid else "alt.picture", locale, count=request.count, prompt=prompt)
    return shorten(whole, ALT_TEXT)


def file_name(request: ImageRequest, index: int, suffix: str) -> str:
    """`daguerre-<seed>.png` of picture `index`, counted from 0."""
    return f"daguerre-{request.seeds[index % len(request.seeds)]}{suffix}"


def short_id(job: Job) -> str:
    """Enough of the id to find the job in the log."""
    return job.id[:8]


def approximate_time(seconds: float, locale: str) -> str:
    """A guess: a card that changes every second would be edited every second."""
    if seconds < 90:
        return text("card.seconds", locale, count=max(5, round(seconds / 5) * 5))
    if seconds < 5400:
        return text("card.minutes", locale, count=round(seconds / 60))
    return text("card.hours", locale, count=round(seconds / 3600))


def of_picture(request: ImageRequest, locale: str, metadata: Mapping[str, Any]) -> str:
    """What became of a picture that was sent as a prompt, where the model could not read it as one."""
    source = request.source
    sent = source is not None and source.use == "vary" and source.picture.startswith("sources/")
    if not sent or metadata.get("image_prompt") != "begun from":
        return ""
    return text("end.begun_from", locale)


def details(request: ImageRequest, locale: str, metadata: Mapping[str, Any] | None = None) -> str:
    """What repeats the pictures: seeds, size, steps, guidance. A draft's as they were, which its worker has said."""
    steps, guidance = request.steps, request.guidance
    if request.draft and metadata:
        steps, guidance = int(metadata.get("steps", steps)), float(metadata.get("guidance", guidance))
    values: dict[str, Any] = {
        "seed": request.seed,
        "width": request.width,
        "height": request.height,
        "steps": steps,
        "guidance": f"{guidance:g}",
    }
    if request.count == 1:
        return text("end.details", locale, **values)
    last = (request.seed + request.count - 1) % (MAX_SEED + 1)
    return text("end.details.several", locale, last=last, **values)
