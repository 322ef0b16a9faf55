"""Logging: the standard library's, one line for each event, without prompts and tokens.

    2026-01-31T12:00:00Z info    daguerre.app.serve  worker started device=cpu pid=1234

Loggers write `log.info("worker started device=%s pid=%s", …)`: the event in words, then key=value.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable, Collection
from types import TracebackType

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
        for secret in self._secrets:
            text = text.replace(secret, "***")
        record.msg, record.args = hide_secrets(text), None
        return True


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


class OneLine(logging.Formatter):
    """Time in UTC, level, logger and message on one line; a traceback as frames behind it. Control characters appear as
    `\\x1b`: a line may quote what a stranger sent.

    The text of a foreign exception is left out: pydantic's, for one, quotes the input, which may be a prompt.
    """

    converter = time.gmtime

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(level)s %(name)s  %(message)s", "%Y-%m-%dT%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        record.level = f"{record.levelname.lower():<7}"
        return escape_controls(super().format(record).replace("\n", " | "))

    def formatException(  # noqa: N802 - the standard library's name
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        kind, error, trace = ei
        if kind is None or error is None:
            return ""
        ours = kind.__module__.startswith("daguerre.") or issubclass(kind, OSError | ImportError)
        frames = " < ".join(
            f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}"
            for frame in reversed(traceback.extract_tb(trace))
        )
        return f"{kind.__name__}{f': {error}' if ours else ''} at {frames}"


def configure(level: str, secrets: Collection[str] = ()) -> None:
    """Send every logger's lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
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
