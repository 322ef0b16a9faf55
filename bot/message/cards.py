"""What the message of one job says, from its state. Pure: no Discord, no clock.

A message is at most 2,000 characters for Discord. Prompts and words are shortened before they are escaped, so that a
long prompt can neither break the limit nor be cut inside an escape.
"""

from __future__ import annotations

from ...queue.dispatch import Ahead, Why
from ...queue.prompt import UnknownWord, VocabularyReport
from ...queue.records import ImageRequest, Job, JobState, Progress
from ..text import ENGLISH, WORD_SHOWN, reason, shown, text
from .card import Card, approximate_time, details, of_picture, short_id
from .keys import grid_rows, picture_rows, waiting_rows

WORDS_SHOWN = 5
BAR_CELLS = 12
#: A card is looked at the less often the farther its job is from the front: thousands may wait.
SECONDS_PER_PLACE = 0.1
LONGEST = 60.0


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


def restarting_card(job: Job, locale: str = ENGLISH) -> Card:
    """The bot stops while the job runs: nobody draws it until it is back."""
    content = _lines(_title(job.request, locale), text("card.restarting", locale))
    return Card(content, rows=waiting_rows(job.id), locale=locale)


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
            told = details(job.request, locale, job.metadata)
            begun = of_picture(job.request, locale, job.metadata)
            content = _lines(title, told, begun, _unknown(report, locale), smaller)
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
            eta, ahead = approximate_time(why.begins_in, locale), _ahead(why.ahead, locale)
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
        "card.ahead.lane": ahead.priority,
    }
    return ", ".join(text(code, locale, count=count) for code, count in counts.items() if count)


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
