"""The log of errors: tracebacks under a number, without what members typed and without secrets."""

from __future__ import annotations

import json
import logging
import secrets
import traceback
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

log = logging.getLogger(__name__)


def log_error(what: str, error: BaseException, *, private: Iterable[str] = ()) -> str:
    """Log `error` with its traceback; gives the number under which it stands in the log."""
    number = secrets.token_hex(4)
    log.error("%s: error %s\n%s", what, number, describe(error, private))
    return number


def describe(error: BaseException, private: Iterable[str]) -> str:
    """The traceback with causes; messages of exceptions that hold a private string are withheld."""
    needles = [needle for word in private if word for needle in {word, json.dumps(word)[1:-1]}]
    parts: list[str] = []
    for one in _chain(error):
        message = str(one)
        if any(needle in message for needle in needles) or "/webhooks/" in message or "/interactions/" in message:
            message = "(message withheld: it holds what a member typed, or an interaction token)"
        parts.append("".join(traceback.format_tb(one.__traceback__)) + f"{type(one).__name__}: {message}")
    return "\nwhich came from:\n".join(parts)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def typed_texts(data: object) -> list[str]:
    """All texts that a member typed into options or modals of an interaction."""
    if isinstance(data, str):
        return [data]
    if isinstance(data, Mapping):
        fields = cast("Mapping[str, object]", data)
        return [found for key in ("options", "value", "components") for found in typed_texts(fields.get(key))]
    if isinstance(data, list):
        return [found for item in cast("list[object]", data) for found in typed_texts(item)]
    return []
