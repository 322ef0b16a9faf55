"""Logging: the standard library's, one line for each event, without prompts and tokens.

    2026-01-31T12:00:00Z info    daguerre.app.serve  worker started device=cpu pid=1234

Loggers write `log.info("worker started device=%s pid=%s", …)`: the event in words, then key=value.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Collection
from types import TracebackType

from .config_text import hide_secrets


class Redact(logging.Filter):
    """Takes known secrets, and whatever looks like one, out of every line: a safety net, not a licence."""

    def __init__(self, secrets: Collection[str]) -> None:
        super().__init__()
        self._secrets = tuple(secret for secret in secrets if secret)

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        for secret in self._secrets:
            text = text.replace(secret, "***")
        record.msg, record.args = hide_secrets(text), None
        return True


class OneLine(logging.Formatter):
    """Time in UTC, level, logger and message on one line; a traceback as frames behind it.

    The text of a foreign exception is left out: pydantic's, for one, quotes the input, which may be a prompt.
    """

    converter = time.gmtime

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(level)s %(name)s  %(message)s", "%Y-%m-%dT%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        record.level = f"{record.levelname.lower():<7}"
        return super().format(record).replace("\n", " | ")

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
