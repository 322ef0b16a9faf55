"""What the API says when it cannot do something: one place for codes, statuses and English texts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from ..queue.errors import (
    AsLargeAsCanBe,
    InvalidPicture,
    InvalidRequest,
    NotShown,
    PictureGone,
    QueueError,
    QueueFull,
    QueueUnavailable,
    StorageFull,
    UnknownJob,
)
from ..queue.moderation import Forbidden
from ..queue.prompt import MalformedPrompt, UnknownName, VocabularyReport, Wish, pointer
from ..queue.records import FLAGS, ImageRequest


class Problem(Exception):
    """Answered as {"error": code, "message": …, "field": …} with this HTTP status; `more` stands beside them."""

    def __init__(
        self, status: int, code: str, message: str, field: str | None = None, more: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.more = more or {}

    def body(self) -> dict[str, Any]:
        body = {"error": self.code, "message": self.message, **self.more}
        return body if self.field is None else {**body, "field": self.field}


#: Why a picture is not given out, by `NotShown.why`; the rest is Discord's.
NOT_SHOWN: Mapping[str, str] = {
    "gone": "the picture is not there any more",
    "held": "a rule or the output check holds this picture back until somebody has looked at it",
    "deleted": "moderators have taken this picture away",
}


def of_queue(error: QueueError) -> Problem:
    """The problem that a queue error is to a client."""
    match error:
        case InvalidRequest():
            return Problem(400, "invalid_request", explain(error), error.field)
        case NotShown():
            return Problem(403, "not_shown", NOT_SHOWN.get(error.why, "this picture may not be shown here"))
        case UnknownJob():
            return Problem(404, "unknown_job", "no job has this id")
        case Forbidden():
            return Problem(403, "forbidden", f"this may not be asked for: {error}")
        case InvalidPicture():
            return Problem(400, f"picture_{error.kind}", str(error))
        case AsLargeAsCanBe():
            return Problem(400, "largest", str(error))
        case PictureGone():
            return Problem(404, "picture_gone", str(error))
        case QueueFull():
            return Problem(429, "queue_full", str(error))
        case StorageFull():
            return Problem(507, "storage_full", "the disk of the data folder is full or read-only; make room, retry")
        case QueueUnavailable():
            return Problem(503, "queue_unavailable", "the queue is out of reach just now; nothing was lost, retry soon")
        case _:
            return Problem(500, "internal", "something went wrong; the log of `daguerre serve` says what")


def explain(error: InvalidRequest) -> str:
    """What is wrong with a field of a request, and what is allowed."""
    field, limits = error.field, error.limits
    number: Callable[[], str] = lambda: f"{field} must be {_range(field)}"  # noqa: E731 - read as a table below
    texts: Mapping[str, Callable[[], str]] = {
        "missing": lambda: f"{field} is missing",
        "string_too_short": lambda: f"{field} is empty; say what the picture should show",
        "string_too_long": lambda: f"{field} is too long: at most {limits.get('max_length')} characters",
        "string_type": lambda: f"{field} must be a text",
        "string_unicode": lambda: f"{field} is not valid Unicode text",
        "pixels": lambda: (
            f"{field} is too large: the models here draw sides of up to {limits.get('side')} pixels, and longer ones "
            f"in pictures of up to {limits.get('pixels', 0) / 1e6:.2g} million pixels ([render] megapixels allows more)"
        ),
        "source_name": lambda: "source names no picture of this queue's picture store",
        "source_gone": lambda: "a picture that source names is not in the picture store any more; send it again",
        "extra_forbidden": lambda: f"a request has no field {field}; there are: {', '.join(FIELDS)}",
    }
    return texts.get(error.kind, number)()


def unknown(name: UnknownName) -> Problem:
    """A style, a model or a fine-tune that nobody here has."""
    field = "adapters" if name.kind == "lora" else name.kind
    known = ", ".join(name.known) or "none"
    return Problem(400, f"unknown_{field}", f"there is no {name.kind} {name.name!r} here; there are: {known}", field)


def malformed(prompt: str, error: MalformedPrompt) -> str:
    """What breaks the grammar, and where; the same on the command line."""
    several = "; one request is one job here: send each by itself" if error.code.startswith("brace.") else ""
    return f"{error}{several}\n{pointer(prompt, error.at)}"


def beyond_one_job(wish: Wish) -> str | None:
    """What only Discord can do of what was typed; None when it is one job. The same on the command line."""
    if wish.link:
        return "a link to a picture works on Discord only"
    once = wish.repeat == 1  # Which is no more than asked.
    said = [
        flag for flag in FLAGS if flag.elsewhere and flag.field in wish.said and not (flag.field == "repeat" and once)
    ]
    return said[0].elsewhere if said else None


def unknown_words(report: VocabularyReport) -> Problem:
    """The model knows nothing of what was asked for, so the picture would show anything."""
    words = "; ".join(
        f"{unknown.word} (perhaps {', '.join(unknown.nearest)})" if unknown.nearest else unknown.word
        for unknown in report.unknown
    )
    return Problem(400, "unknown_words", f"the model knows none of these words: {words}", "prompt")


def failure(code: str | None) -> str | None:
    """In words, why a job ended without pictures (`Job.error`)."""
    texts = {
        None: None,
        "broken": "rendering broke several times; the worker's log says why. Ask again, or change the prompt",
        "unrenderable": "this model cannot render such a request; change size or prompt",
        "source_gone": "the picture that it begins from is gone; send it again",
        "unfit": "the source picture or its mask does not fit; choose another one",
        "unfit_adapter": "an adapter is not on the worker, is damaged, or was made for another model",
        "unfit_embedding": "a word of the prompt names an embedding that is damaged or was made for another model",
        "unfit_control": "a ControlNet is not on the worker, is damaged, was made for another model, or has no picture",
        "unsupported_control": "this model takes no ControlNet",
        "no_picture": "the model computed no picture, only black; try another seed",
        "unsupported_parts": "this model takes no weighted parts",
        "unsupported_tile": "this model draws no seamless tiles",
        "unsupported_draft": "this model knows no drafts",
        "unsupported_chaos": "this model knows no chaos",
        "unsupported_sampler": "this model cannot be drawn with that sampler; name another one",
        "unsupported_stop": "this model cannot stop early",
        "unsupported_negative": "this model takes no negative prompt",
        "unsupported_source": "this model cannot begin from a picture",
        "unsupported_inpaint": "this model cannot draw a part of a picture again",
        "too_late": "drawing took longer than this server allows; ask for less, or later",
    }
    return texts.get(code, f"the worker refused it: {code}")


#: What a client may send. `size` sets width and height at once; `version` is ours alone.
FIELDS = (*(name for name in ImageRequest.model_fields if name != "version"), "size")


def _range(field: str) -> str:
    name = "width" if field == "size" else field
    schema = cast("dict[str, Any]", ImageRequest.model_json_schema()["properties"].get(name, {}))
    kind = {"integer": "a whole number", "number": "a number"}.get(schema.get("type", ""), "something else")
    bounds = f" from {schema['minimum']} to {schema['maximum']}" if {"minimum", "maximum"} <= schema.keys() else ""
    step = f", a multiple of {schema['multipleOf']}" if "multipleOf" in schema else ""
    return kind + bounds + step
