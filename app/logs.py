"""Logging: the standard library's loggers, written by structlog: one line for each event, without prompts and tokens.

    2026-01-31T12:00:00Z info    daguerre.app.serve  worker started device=cpu pid=1234

Loggers write `log.info("worker started device=%s pid=%s", …)`: the event in words, then key=value. A line about a job
(queue/observe/about_job.py) ends with job=<id>; as JSON it has a field for it.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Any

from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict

from ..queue.observe import JOB
from .hiding import escape_controls, hide_secrets


class Redact(logging.Filter):
    """Takes known secrets, and whatever looks like one, out of every line: a safety net, not a licence."""

    def __init__(self, secrets: Collection[str]) -> None:
        super().__init__()
        self._secrets = tuple(secret for secret in secrets if secret)

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # a library's own mistake in its arguments
            text = str(record.msg)
        record.msg, record.args = self.hidden(text), None
        if record.exc_info:
            # Our own errors keep their text, which may name an address with a password in it.
            record.exc_text, record.exc_info = self.hidden(error_text(*record.exc_info)), None
        return True

    def hidden(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return hide_secrets(text)


class Sparing(logging.Filter):
    """Lets few warnings and errors of one kind through in a while, and then says how many were left out.

    A kind is a logger's text before its values: whoever can cause a line must not be able to fill the disk with it.
    """

    def __init__(
        self, most: int = 20, seconds: float = 10.0, now: Callable[[], float] = time.monotonic, kinds: int = 500
    ) -> None:
        super().__init__()
        self._most = most
        self._seconds = seconds
        self._now = now
        self._kinds = kinds
        #: Of each kind: when its while began, and how many came in it.
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        kind, now = (record.name, record.levelno, str(record.msg).partition("\n")[0][:200]), self._now()
        began, count = self._seen.get(kind, (now, 0))
        if now - began >= self._seconds:
            if count > self._most:
                record.msg = f"{record.getMessage()} ({count - self._most} lines like this were left out before)"
                record.args = None
            began, count = now, 0
        if len(self._seen) >= self._kinds and kind not in self._seen:
            self._seen.clear()
        self._seen[kind] = began, count + 1
        return count < self._most


class Lines(ProcessorFormatter):
    """What every line of the log holds, whichever way it is written: time in UTC, level, logger, event, perhaps a job
    and an error. Control characters appear as `\\x1b`: a line may quote what a stranger sent."""

    def __init__(self, write: Callable[[Any, str, EventDict], str]) -> None:
        super().__init__(foreign_pre_chain=[_named, _printable], processors=[_without_record, write])

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info:
            record.exc_text = error_text(*record.exc_info)
        return super().format(record)


class OneLine(Lines):
    """For people: a traceback as frames behind the event."""

    def __init__(self) -> None:
        super().__init__(_one_line)


class JsonLine(Lines):
    """For programs: one JSON object a line."""

    def __init__(self) -> None:
        super().__init__(_json)


def error_text(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> str:
    """Kind and places of an error. The text of a foreign exception is left out: pydantic's, for one, quotes the input,
    which may be a prompt."""
    if kind is None or error is None:
        return ""
    ours = kind.__module__.startswith("daguerre.") or issubclass(kind, OSError | ImportError)
    frames = " < ".join(
        f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}"
        for frame in reversed(traceback.extract_tb(trace))
    )
    return f"{kind.__name__}{f': {error}' if ours else ''} at {frames}"


def _named(_: Any, __: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    event.pop("exc_info", None)
    told: EventDict = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
        "level": record.levelname.lower(),
        "logger": record.name,
    }
    job = JOB.get()
    return {**told, **event, **({"job": job} if job else {}), **({"error": record.exc_text} if record.exc_text else {})}


def _printable(_: Any, __: str, event: EventDict) -> EventDict:
    return {
        key: escape_controls(value.replace("\n", " | ")) if isinstance(value, str) else value
        for key, value in event.items()
    }


def _without_record(_: Any, __: str, event: EventDict) -> EventDict:
    return {key: value for key, value in event.items() if key not in ("_record", "_from_structlog")}


def _one_line(_: Any, __: str, event: EventDict) -> str:
    words = str(event.pop("event"))
    head = f"{event.pop('time')} {event.pop('level'):<7} {event.pop('logger')}  "
    error = f" | {event.pop('error')}" if "error" in event else ""
    more = "".join(f" {key}={value}" for key, value in event.items() if str(value) not in words)
    return f"{head}{words}{more}{error}"


def _json(_: Any, __: str, event: EventDict) -> str:
    return json.dumps(event, ensure_ascii=False, default=str)


def is_json(form: str) -> bool:
    """Whether `[log] format` means JSON here: "auto" does wherever nobody watches a terminal."""
    return form == "json" or (form == "auto" and not sys.stderr.isatty())


def configure(level: str, secrets: Collection[str] = (), form: str = "text") -> None:
    """Send every logger's lines to standard error, in `form` of `[log] format`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine() if is_json(form) else OneLine())
    handler.addFilter(Sparing())
    handler.addFilter(Redact(secrets))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # Their "info" is our "debug"; discord.py's debug lines would quote what members wrote.
    for noisy in ("aiohttp.access", "nats", "PIL", "asyncio", "aiosqlite", "alembic", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("discord").setLevel(max(logging.INFO, root.level))
