"""What the message of one job says, from its state. Pure: no Discord, no clock.

A message is at most 2,000 characters for Discord. Prompts and words are shortened before they are escaped, so that a
long prompt can neither break the limit nor be cut inside an escape.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from ..queue.explain import Why
from ..queue.fair import Ahead
from ..queue.jobs import Job, JobState, Progress
from ..queue.requests import MAX_SEED, ImageRequest
from ..queue.vocabulary import VocabularyReport
from .texts import reason, text

#: Characters of a prompt that a card shows; the whole prompt is the picture's alt text.
PROMPT_SHOWN = 300
#: Discord's limit for alt texts.
ALT_TEXT = 1024
WORDS_SHOWN = 5
WORD_SHOWN = 40
BAR_CELLS = 12
#: A card is looked at the less often the farther its job is from the front: thousands may wait.
SECONDS_PER_PLACE = 0.1
LONGEST = 60.0

_SPACE = re.compile(r"\s+")
#: What Discord's markdown, mentions and links are made of; a backslash before any of them shows it as it is.
_MARKUP = re.compile(r"([\\*_~`|<>\[\]()#@:])")


@dataclass(frozen=True, slots=True)
class Card:
    """What a message says, and whether it carries the Cancel button."""

    content: str
    cancellable: bool = False
    #: Seconds in which it is not worth looking whether it has changed.
    lasts: float = field(default=0.0, compare=False)


def plain(words: str) -> str:
    """One line without control and direction-changing characters (joiners inside emoji stay)."""
    line = _SPACE.sub(" ", words)
    return "".join(c for c in line if c == "\u200d" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co")).strip()


def shorten(words: str, limit: int) -> str:
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def shown(words: str, limit: int = PROMPT_SHOWN) -> str:
    """What somebody typed, made harmless: one line, at most `limit` characters, markdown and mentions escaped."""
    return _MARKUP.sub(r"\\\1", shorten(plain(words), limit))


def alt_text(request: ImageRequest) -> str:
    """The description that screen readers read: the prompt itself."""
    return shorten(plain(request.prompt), ALT_TEXT)


def bar(step: int, steps: int) -> str:
    """Step k of n as a small bar: `▰▰▰▱▱▱▱▱▱▱▱▱`."""
    share = min(max(step / steps, 0.0), 1.0) if steps > 0 else 0.0
    full = int(share * BAR_CELLS)
    return "▰" * full + "▱" * (BAR_CELLS - full)


def live_card(
    job: Job,
    *,
    place: int | None,
    workers: int,
    progress: Progress | None = None,
    report: VocabularyReport | None = None,
    why: Why | None = None,
) -> Card:
    """The card of a job that is not finished. `place` counts from 1 (None: unknown); `workers` are connected now;
    `why` it waits, where that is known."""
    content = _lines(_title(job.request), _status(job, place, workers, progress, why), _unknown(report))
    return Card(content, cancellable=True, lasts=min((place or 0) * SECONDS_PER_PLACE, LONGEST))


def finished_card(job: Job, *, report: VocabularyReport | None = None, sent_as: str = "PNG") -> Card:
    """The card of a job that has ended, however it ended. `sent_as` is the format that Discord took."""
    match job.state:
        case JobState.RENDERED | JobState.DELIVERED:
            smaller = text("end.smaller", format=sent_as) if sent_as != "PNG" else ""
            return Card(_lines(_title(job.request), _details(job.request), _unknown(report), smaller))
        case JobState.CANCELLED:
            ended = text("end.cancelled")
        case JobState.DEAD:
            ended = text("end.dead", attempts=job.attempts, job=short_id(job))
        case _:
            ended = text("end.failed", reason=reason(job.error))
    return Card(_lines(_title(job.request), ended))


def lost_card(job: Job) -> Card:
    """Rendered, but its picture files are gone."""
    return Card(_lines(_title(job.request), text("end.lost", job=short_id(job))))


def too_large_card(job: Job) -> Card:
    """Rendered, but no size of it is small enough for Discord here."""
    return Card(_lines(_title(job.request), text("end.too_large")))


def broken_card(job: Job, error: str) -> Card:
    """A bug of ours stands between the job and its answer; `error` is the number in the log."""
    return Card(_lines(_title(job.request), text("end.broken", error=error)))


def file_name(request: ImageRequest, index: int, suffix: str) -> str:
    """`daguerre-<seed>.png` of picture `index`, counted from 0."""
    return f"daguerre-{request.seeds[index % len(request.seeds)]}{suffix}"


def short_id(job: Job) -> str:
    """Enough of the id to find the job in the log."""
    return job.id[:8]


def word_list(words: tuple[str, ...]) -> str:
    """`“dog”, “cat”, “fox”`: words that we know ourselves, as in a refusal."""
    return ", ".join(text("card.unknown.word", word=shown(word, WORD_SHOWN)) for word in words)


def _lines(*lines: str) -> str:
    return "\n".join(line for line in lines if line)


def _title(request: ImageRequest) -> str:
    if request.count == 1:
        return text("card.title", prompt=shown(request.prompt))
    return text("card.title.several", prompt=shown(request.prompt), count=request.count)


def _status(job: Job, place: int | None, workers: int, progress: Progress | None, why: Why | None) -> str:
    if job.state is JobState.QUEUED and place is None:
        return text("card.queued")
    if job.state is JobState.QUEUED and why is not None and why.reason in ("paused", "server_paused"):
        return text("card.paused", place=place)
    if job.state is JobState.QUEUED and why is not None and why.reason == "no_fitting_worker":
        return text("card.no_fit", place=place)
    if job.state is JobState.QUEUED and workers > 0:
        if place == 1:
            return text("card.next")
        if why is not None and why.begins_in is not None and why.ahead.jobs:
            return text("card.place.eta", place=place, eta=_time(why.begins_in), ahead=_ahead(why.ahead))
        return text("card.place", place=place)
    if workers == 0 and job.state is not JobState.RUNNING:
        return text("card.no_worker", place=place)
    if progress is not None:
        step = min(progress.step, progress.steps)
        return text("card.step", bar=bar(step, progress.steps), step=step, steps=progress.steps)
    if job.state is JobState.RUNNING:
        return text("card.running")
    return text("card.sent")


def _ahead(ahead: Ahead) -> str:
    """Whose jobs go before, by class; never a name."""
    counts = {
        "card.ahead.own": ahead.own,
        "card.ahead.server": ahead.server,
        "card.ahead.others": ahead.others,
        "card.ahead.lane": ahead.lane,
    }
    return ", ".join(text(code, count=count) for code, count in counts.items() if count)


def _time(seconds: float) -> str:
    """Roughly: it is a guess, and a card that changes every second would be edited every second."""
    if seconds < 90:
        return text("card.seconds", count=max(5, round(seconds / 5) * 5))
    if seconds < 5400:
        return text("card.minutes", count=round(seconds / 60))
    return text("card.hours", count=round(seconds / 3600))


def _details(request: ImageRequest) -> str:
    values: dict[str, Any] = {
        "seed": request.seed,
        "width": request.width,
        "height": request.height,
        "steps": request.steps,
        "guidance": f"{request.guidance:g}",
    }
    if request.count == 1:
        return text("end.details", **values)
    return text("end.details.several", last=(request.seed + request.count - 1) % (MAX_SEED + 1), **values)


def _unknown(report: VocabularyReport | None) -> str:
    if report is None or not report.unknown:
        return ""
    named = [_unknown_word(found.word, found.nearest) for found in report.unknown[:WORDS_SHOWN]]
    if len(report.unknown) > WORDS_SHOWN:
        named.append(text("card.unknown.more", count=len(report.unknown) - WORDS_SHOWN))
    return text("card.unknown", words=", ".join(named))


def _unknown_word(word: str, nearest: tuple[str, ...]) -> str:
    if not nearest:
        return text("card.unknown.word", word=shown(word, WORD_SHOWN))
    return text("card.unknown.nearest", word=shown(word, WORD_SHOWN), nearest=shown(nearest[0], WORD_SHOWN))
