"""The log: one line for each event, and nothing private in it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from daguerre.app.errors import PortTaken
from daguerre.app.logs import OneLine, Redact, configure
from daguerre.queue.errors import RenderRefused

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4OQ.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789ab"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def line(message: str, *arguments: object, error: BaseException | None = None) -> str:
    """What the handler writes for one event."""
    trouble = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("daguerre.x", logging.INFO, "x.py", 1, message, arguments, trouble)
    Redact(["nats-secret"]).filter(record)
    return OneLine().format(record)


def test_secrets_never_reach_the_log() -> None:
    """Known secrets, anything shaped like a bot token and passwords in addresses become stars."""
    text = line("login token=%s nats=%s url=%s", TOKEN, "nats-secret", "postgresql://me:word@host/db")
    assert TOKEN not in text
    assert "nats-secret" not in text
    assert "word" not in text
    assert text.endswith("login token=*** nats=*** url=postgresql://***@host/db")


def test_a_traceback_is_one_line_without_the_text_of_foreign_errors() -> None:
    """pydantic quotes its input, which may be a prompt: only kind and places are kept."""

    class Model(BaseModel):
        number: int

    try:
        Model.model_validate({"number": "a private prompt"})
    except ValueError as error:
        text = line("broke", error=error)
    assert "private" not in text
    assert "ValidationError at" in text
    assert "test_app_logs.py" in text
    assert "\n" not in text


@pytest.mark.parametrize("error", [PortTaken("port 1 is taken"), RenderRefused("x", "never"), OSError(28, "No space")])
def test_our_own_errors_and_the_systems_keep_their_text(error: Exception) -> None:
    """Those say what to do and quote nobody."""
    assert str(error) in line("broke", error=error)


def test_levels(capsys: pytest.CaptureFixture[str]) -> None:
    """`[log] level` holds for our lines; chatty libraries stay quiet, discord.py's debug lines (contents!) always."""
    configure("debug")
    logging.getLogger("daguerre.x").debug("ours")
    logging.getLogger("nats.aio").info("theirs")
    logging.getLogger("discord.http").debug("contents")
    told = capsys.readouterr().err
    assert "ours" in told
    assert "theirs" not in told
    assert "contents" not in told
