"""What the message of one job says, from its state. Pure: no Discord, no clock.

A message is at most 2,000 characters for Discord. Prompts and words are shortened before they are escaped, so that a
long prompt can neither break the limit nor be cut inside an escape.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..queue.dispatch import Ahead, Why
from ..queue.prompt import CUSTOM, UnknownWord, VocabularyReport
from ..queue.records import MAX_SEED, ImageRequest, Job, JobState, Progress
from .keys import Rows, grid_rows, picture_rows, waiting_rows
from .texts import ENGLISH, reason, text

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


def plain(words: str) -> str:
    """One line without control and direction-changing characters (joiners inside emoji stay)."""
    line = _SPACE.sub(" ", words)
    return "".join(c for c in line if c == "\u200d" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co")).strip()


def shorten(words: str, limit: int) -> str:
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def shown(words: str, limit: int = PROMPT_SHOWN) -> str:
    """What somebody typed, made harmless: one line, at most `limit` characters, markdown and mentions escaped."""
    return _MARKUP.sub(r"\\\1", shorten(plain(_spoken(words)), limit))


def _spoken(words: str) -> str:
    """Custom emoji as they are typed, without their ids."""
    return CUSTOM.sub(r":\g<name>:", words)


def alt_text(request: ImageRequest, locale: str = ENGLISH, *, grid: bool = False) -> str:
    """The description that screen readers read: what was asked for, in words of the member's language."""
    if grid:
        whole = text("alt.grid", locale, count=request.count, prompt=plain(_spoken(request.prompt)))
    else:
        whole = text("alt.picture", locale, prompt=plain(_spoken(request.prompt)))
    return shorten(whole, ALT_TEXT)


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
    locale: str = ENGLISH,
) -> Card:
    """The card of a job that is not finished. `place` counts from 1 (None: unknown); `workers` are connected now;
    `why` it waits, where that is known."""
    status = _status(job, place, workers, progress, why, locale)
    return Card(
        _lines(_title(job.request, locale), status, _unknown(report, locale)),
        rows=waiting_rows(job.id),
        lasts=min((place or 0) * SECONDS_PER_PLACE, LONGEST),
        preview=progress.preview if progress is not None else None,
        locale=locale,
    )


def finished_card(
    job: Job, *, report: VocabularyReport | None = None, sent_as: str = "PNG", locale: str = ENGLISH
) -> Card:
    """The card of a job that has ended, however it ended. `sent_as` is the format that Discord took."""
    title = _title(job.request, locale)
    match job.state:
        case JobState.RENDERED | JobState.DELIVERED:
            smaller = text("end.smaller", locale, format=sent_as) if sent_as != "PNG" else ""
            several = job.request.count > 1
            rows = grid_rows(job.id, job.request.count) if several else picture_rows(job.id, 0)
            content = _lines(title, details(job.request, locale, job.metadata), _unknown(report, locale), smaller)
            return Card(content, rows=rows, locale=locale)
        case JobState.CANCELLED:
            ended = text("end.cancelled", locale)
        case JobState.DEAD:
            ended = text("end.dead", locale, attempts=job.attempts, job=short_id(job))
        case _:
            ended = text("end.failed", locale, reason=reason(job.error, locale))
    return Card(_lines(title, ended), locale=locale)


def lost_card(job: Job, locale: str = ENGLISH) -> Card:
    """Rendered, but its picture files are gone."""
    return Card(_lines(_title(job.request, locale), text("end.lost", locale, job=short_id(job))), locale=locale)


def kept_card(job: Job, why: str, locale: str = ENGLISH) -> Card:
    """Rendered, but it may not be shown: `why` as the gate says it (queue/moderation/showing.py)."""
    if why == "gone":
        return lost_card(job, locale)
    return Card(text("report.held", locale) if why == "held" else text(f"shown.{why}", locale), locale=locale)


def too_large_card(job: Job, locale: str = ENGLISH) -> Card:
    """Rendered, but no size of it is small enough for Discord here."""
    return Card(_lines(_title(job.request, locale), text("end.too_large", locale)), locale=locale)


def broken_card(job: Job, error: str, locale: str = ENGLISH) -> Card:
    """A bug of ours stands between the job and its answer; `error` is the number in the log."""
    return Card(_lines(_title(job.request, locale), text("end.broken", locale, error=error)), locale=locale)


def one_picture_card(job: Job, picture: int, locale: str = ENGLISH, *, alone: bool = False) -> Card:
    """One picture of several by itself; `picture` counts from 0. `alone`: nobody else may see it here."""
    request = job.request.model_copy(update={"count": 1, "seed": job.request.seeds[picture]})
    only = text("shown.alone", locale) if alone else ""
    content = _lines(_title(request, locale), details(request, locale, job.metadata), only)
    return Card(content, rows=picture_rows(job.id, picture), locale=locale)


def file_name(request: ImageRequest, index: int, suffix: str) -> str:
    """`daguerre-<seed>.png` of picture `index`, counted from 0."""
    return f"daguerre-{request.seeds[index % len(request.seeds)]}{suffix}"


def short_id(job: Job) -> str:
    """Enough of the id to find the job in the log."""
    return job.id[:8]


def word_list(words: tuple[str, ...]) -> str:
    """`“dog”, “cat”, “fox”`: words that we know ourselves, as in a refusal."""
    return ", ".join(f"“{shown(word, WORD_SHOWN)}”" for word in words)


def _lines(*lines: str) -> str:
    return "\n".join(line for line in lines if line)


def _title(request: ImageRequest, locale: str) -> str:
    if request.count == 1:
        return text("card.title", locale, prompt=shown(request.prompt))
    return text("card.title.several", locale, prompt=shown(request.prompt), count=request.count)


def _status(job: Job, place: int | None, workers: int, progress: Progress | None, why: Why | None, locale: str) -> str:
    if job.state is JobState.QUEUED and place is None:
        return text("card.queued", locale)
    if job.state is JobState.QUEUED and why is not None and why.reason in ("paused", "server_paused"):
        return text("card.paused", locale, place=place)
    if job.state is JobState.QUEUED and why is not None and why.reason == "no_fitting_worker":
        return text("card.no_fit", locale, place=place)
    if job.state is JobState.QUEUED and workers > 0:
        if place == 1:
            return text("card.next", locale)
        if why is not None and why.begins_in is not None and why.ahead.jobs:
            eta, ahead = roughly(why.begins_in, locale), _ahead(why.ahead, locale)
            return text("card.place.eta", locale, place=place, eta=eta, ahead=ahead)
        return text("card.place", locale, place=place)
    if workers == 0 and job.state is not JobState.RUNNING:
        return text("card.no_worker", locale, place=place)
    if progress is not None:
        step = min(progress.step, progress.steps)
        return text("card.step", locale, bar=bar(step, progress.steps), step=step, steps=progress.steps)
    if job.state is JobState.RUNNING:
        return text("card.running", locale)
    return text("card.sent", locale)


def _ahead(ahead: Ahead, locale: str) -> str:
    """Whose jobs go before, by class; never a name."""
    counts = {
        "card.ahead.own": ahead.own,
        "card.ahead.server": ahead.server,
        "card.ahead.others": ahead.others,
        "card.ahead.lane": ahead.lane,
    }
    return ", ".join(text(code, locale, count=count) for code, count in counts.items() if count)


def roughly(seconds: float, locale: str) -> str:
    """A guess: a card that changes every second would be edited every second."""
    if seconds < 90:
        return text("card.seconds", locale, count=max(5, round(seconds / 5) * 5))
    if seconds < 5400:
        return text("card.minutes", locale, count=round(seconds / 60))
    return text("card.hours", locale, count=round(seconds / 3600))


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


def _unknown(report: VocabularyReport | None, locale: str) -> str:
    if report is None or not report.unknown:
        return ""
    named = [_unknown_word(found, locale) for found in report.unknown[:WORDS_SHOWN]]
    if len(report.unknown) > WORDS_SHOWN:
        named.append(text("card.unknown.more", locale, count=len(report.unknown) - WORDS_SHOWN))
    return text("card.unknown", locale, words=", ".join(named))


def _unknown_word(found: UnknownWord, locale: str) -> str:
    word = shown(found.word, WORD_SHOWN)
    if not found.nearest:
        return text("card.unknown.word", locale, word=word)
    code = "card.unknown.nearest" if found.spelt else "card.unknown.meant"
    return text(code, locale, word=word, nearest=shown(found.nearest[0], WORD_SHOWN))
