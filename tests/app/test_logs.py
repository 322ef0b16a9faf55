"""The log: one line for each event, and nothing private in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from daguerre.app.errors import PortTaken
from daguerre.app.logs import OneLine, Redact, Sparing, configure, is_json
from daguerre.queue.errors import RenderRefused
from daguerre.queue.observe import about_job

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
    assert "test_logs.py" in text
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


def test_control_characters_are_written_out() -> None:
    """What a stranger sent paints nothing on the terminal of who reads it, turns no text and ends no line."""
    hostile = "\x1b[31mred\x07\x00\r\x7f\x9b2J\u202eedun\u2066\u2028\ud800"
    text = line("api failed path=%s", hostile)
    assert text.isprintable()
    assert "\\x1b[31mred\\x07\\x00\\x0d\\x7f\\x9b2J\\u202eedun\\u2066\\u2028\\ud800" in text
    with pytest.raises(OSError) as caught:
        raise OSError(hostile)
    assert line("broke", error=caught.value).isprintable()


def test_other_scripts_stay_as_they_are() -> None:
    """Names in Chinese, Arabic or with emoji are read as they were written."""
    assert "红苹果 تفاحة 🍎 é" in line("server joined name=%s", "红苹果 تفاحة 🍎 é")


def test_a_flood_of_one_line_is_cut_short() -> None:
    """Of one kind of warning the first few are written, then how many were left out; other lines are not touched."""
    clock = [0.0]
    sparing = Sparing(most=3, seconds=10, now=lambda: clock[0])

    def passes(level: int, message: str, *arguments: object) -> str | None:
        record = logging.LogRecord("asyncio", level, "x.py", 1, message, arguments, None)
        return record.getMessage() if sparing.filter(record) else None

    told = [passes(logging.ERROR, "accept failed fd=%d\ntransport=%d", number, number) for number in range(1000)]
    assert [one for one in told if one] == [f"accept failed fd={n}\ntransport={n}" for n in range(3)]
    assert passes(logging.ERROR, "another %d", 1) == "another 1"
    assert all(passes(logging.INFO, "job done id=%d", number) for number in range(100))
    clock[0] = 11.0
    assert passes(logging.ERROR, "accept failed fd=%d\ntransport=%d", 7, 7) == (
        "accept failed fd=7\ntransport=7 (997 lines like this were left out before)"
    )


def test_the_log_uses_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    """`configure` sets up both: few lines of a flood, none with a control character."""
    configure("info")
    for number in range(500):
        logging.getLogger("asyncio").error("accept failed %s", f"\x1b[{number}m")
    told = capsys.readouterr().err
    assert 0 < len(told.splitlines()) <= 20
    assert "\x1b" not in told


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """One object a line: time, level, logger, event, the job where one is at work; secrets are hidden as in text."""
    configure("info", ["nats-secret"], "json")
    log = logging.getLogger("daguerre.x")
    with about_job("0" * 31 + "1"):
        log.info("drawn token=%s what=%s", TOKEN, "\x1b[31m\nnext 红")
    log.error("broke", exc_info=PortTaken("nats://me:nats-secret@host is taken"))
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first["job"] == "0" * 31 + "1"
    assert (first["level"], first["logger"]) == ("info", "daguerre.x")
    assert first["event"] == "drawn token=*** what=\\x1b[31m | next 红"
    assert first["time"].endswith("Z")
    assert "job" not in second
    assert second["error"].startswith("PortTaken: nats://***@host is taken at")


def test_text_names_the_job_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Behind the event, unless the event names it itself."""
    configure("info")
    with about_job("ab" * 16):
        logging.getLogger("daguerre.x").info("stored")
        logging.getLogger("daguerre.x").info("job %s is stored", "ab" * 16)
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(f"daguerre.x  stored job={'ab' * 16}")
    assert second.endswith(f"daguerre.x  job {'ab' * 16} is stored")


def test_auto_is_json_where_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Container images choose it: text for who runs one by hand, JSON for what gathers logs."""
    assert is_json("auto")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert not is_json("auto")
    assert is_json("json")
    assert not is_json("text")
