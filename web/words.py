"""Refusals in the reader's language, by the texts that the bot has for members. Pure."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from ..queue.asking import refused_field
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
)
from ..queue.moderation import Forbidden
from ..queue.pictures import MAX_SCALED, SHORTEST
from ..queue.prompt import MalformedPrompt, UnknownName, VocabularyReport, pointer
from ..queue.texts import Texts
from .problems import Problem, of_queue
from .reading import MAX_PICTURE

#: Most pixels of a picture that is sent here.
MAX_PIXELS = 40_000_000
#: Things that a refusal names.
EXAMPLES = 6
#: Discord's moments, and its marks around words.
_MOMENT = re.compile(r"<t:(\d+)(?::\w)?>")
_MARKS = re.compile(r"\*\*|^-# ", re.MULTILINE)


class Words:
    """Problems with the texts of one language."""

    def __init__(self, texts: Texts, locale: str) -> None:
        self.texts = texts
        self.locale = locale

    def text(self, code: str, /, **values: object) -> str:
        """As a browser shows it: without the marks that Discord would read. Raises: KeyError."""
        told = self.texts.text(code, self.locale, **values)
        return _MARKS.sub("", _MOMENT.sub(lambda found: _when(int(found[1])), told))

    def malformed(self, error: MalformedPrompt, typed: str) -> Problem:
        """What breaks the grammar, with the place (character from 0) and the two lines that point at it."""
        empty = error.code == "empty"
        values = {name: str(value) for name, value in error.values.items()}
        message = self.text("refused.prompt.empty") if empty else self.text(f"problem.{error.code}", **values)
        more = {} if empty else {"at": error.at, "pointer": pointer(typed, error.at)}
        return Problem(400, "invalid_prompt", message, "prompt", more)

    def unknown_name(self, unknown: UnknownName) -> Problem:
        code = f"refused.unknown.{unknown.kind}"
        if unknown.kind in ("lora", "control") and not unknown.known:
            message = self.text(f"{code}.none", name=unknown.name)
        else:
            message = self.text(code, name=unknown.name, known=", ".join(unknown.known[:25]))
        return Problem(400, f"unknown_{unknown.kind}", message, "prompt")

    def lacks_picture(self) -> Problem:
        """A ControlNet, and no picture for it."""
        return Problem(400, "no_source", self.text("refused.control.picture"), "prompt")

    def unknown_words(self, report: VocabularyReport, concepts: tuple[str, ...]) -> Problem:
        """Nothing of the prompt is known."""
        examples = quoted(concepts[:EXAMPLES])
        for spelt, code in ((True, "refused.words.nearest"), (False, "refused.words.meant")):
            offered = (near for found in report.unknown if found.spelt is spelt for near in found.nearest)
            if nearest := tuple(dict.fromkeys(offered))[:EXAMPLES]:
                message = self.text(code, nearest=quoted(nearest), examples=examples)
                break
        else:
            message = self.text("refused.words", examples=examples)
        return Problem(400, "unknown_words", message, "prompt", {"unknown": unknown_of(report)})

    def of(self, error: QueueError, prompt: str = "") -> Problem:
        """What a queue error is to a reader: the code and status of the API, in their language."""
        english = of_queue(error)
        found = self._told(error, prompt)
        if found is None:
            return english
        code, values = found
        return Problem(english.status, english.code, self.text(code, **values), english.field)

    def _told(self, error: QueueError, prompt: str) -> tuple[str, Mapping[str, Any]] | None:
        match error:
            case InvalidRequest():
                return refused_field(error, prompt)
            case Forbidden() if self.texts.has(error.code):
                return error.code, {name: str(v) if name == "until" else v for name, v in error.values.items()}
            case NotShown():
                return f"shown.{error.why}", {}
            case PictureGone():
                return "shown.gone", {}
            case AsLargeAsCanBe():
                return "button.largest", {"limit": error.limit}
            case QueueFull():
                code = "refused.queue_full" + ("" if error.scope == "member" else f".{error.scope}")
                return code, {"limit": f"{error.limit:g}", "resets": str(int(error.resets or 0))}
            case InvalidPicture():
                kind = "none" if error.kind == "no_picture" else error.kind
                limits = {"limit": MAX_PICTURE // 2**20, "pixels": MAX_PIXELS // 10**6, "scaled": MAX_SCALED // 10**6}
                return f"picture.{kind}", {**limits, "least": SHORTEST}
            case StorageFull():
                return "refused.storage", {}
            case QueueUnavailable():
                return "refused.queue_away", {}
            case _:
                return None


def quoted(words: tuple[str, ...]) -> str:
    return ", ".join(f"“{word}”" for word in words)


def unknown_of(report: VocabularyReport | None) -> list[dict[str, Any]]:
    """Words that the model never saw, with the nearest that it did."""
    found = report.unknown if report is not None else ()
    return [{"word": each.word, "nearest": list(each.nearest), "spelt": each.spelt} for each in found]


def _when(moment: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))
