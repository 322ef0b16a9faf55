"""What a failed request means, how pictures are made smaller, and what reaches the log."""

from __future__ import annotations

import errno
import io
import json
import random
from types import SimpleNamespace
from typing import Any

import aiohttp
import discord
import pytest
from PIL import Image

from daguerre.bot.error_log import describe, typed_texts
from daguerre.bot.errors import BadToken, IntentsRefused, Refused
from daguerre.bot.faults import Verdict, explain, verdict
from daguerre.bot.message.encode import LEAST_SIDE, Encoded, ladder, next_fitting
from daguerre.queue.errors import BrokerUnavailable, QueueFull, StorageFull


def answered(status: int, code: int = 0) -> discord.HTTPException:
    """The exception that discord.py raises for such an answer."""
    response: Any = SimpleNamespace(status=status, reason="")
    kind = {403: discord.Forbidden, 404: discord.NotFound}.get(status, discord.HTTPException)
    return kind(response, {"code": code, "message": "x"})


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (answered(401, 50027), Verdict.CLOSED),
        (answered(401), Verdict.AGAIN),
        (answered(404, 10008), Verdict.CLOSED),
        (answered(404, 10015), Verdict.CLOSED),
        (answered(403, 50013), Verdict.CLOSED),
        (answered(413, 40005), Verdict.SMALLER),
        (answered(400, 40005), Verdict.SMALLER),
        (answered(429), Verdict.AGAIN),
        (answered(429, 30046), Verdict.CLOSED),
        (answered(500), Verdict.AGAIN),
        (answered(503), Verdict.AGAIN),
        (discord.RateLimited(60.0), Verdict.AGAIN),
        (aiohttp.ServerDisconnectedError(), Verdict.AGAIN),
        (ConnectionResetError(errno.ECONNRESET, "reset"), Verdict.AGAIN),
        (TimeoutError(), Verdict.AGAIN),
    ],
)
def test_a_way_is_left_only_when_discord_says_it_is_closed(error: BaseException, meant: Verdict) -> None:
    """Trouble is waited out; a revoked bot token must not lose an answer."""
    assert verdict(error) is meant


def a_picture(side: int = 128) -> bytes:
    """Noise, which PNG cannot compress."""
    data = random.Random(1).randbytes(side * side * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", (side, side), data).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_ladder_goes_from_png_to_packed_png_to_webp_to_jpeg_to_smaller() -> None:
    """Each step is smaller than the one before, all are real files of their kind."""
    picture = a_picture()
    steps = list(ladder((picture, picture)))
    assert [step.format for step in steps] == ["PNG", "PNG", "WebP", "JPEG", "JPEG"]
    assert steps[0].files == (picture, picture)
    sizes = [sum(map(len, step.files)) for step in steps]
    assert sizes == sorted(sizes, reverse=True)
    for step in steps:
        opened = [Image.open(io.BytesIO(file)) for file in step.files]
        assert {image.format for image in opened} == {step.format.upper()}
    assert Image.open(io.BytesIO(steps[-1].files[0])).size == (LEAST_SIDE, LEAST_SIDE)


def test_the_first_step_that_fits_is_taken() -> None:
    """A file limit known beforehand saves the requests that would be refused."""
    picture = a_picture()
    assert next_fitting(ladder((picture,)), len(picture)) == Encoded("PNG", ".png", (picture,))
    smaller = next_fitting(ladder((picture,)), len(picture) - 1)
    assert smaller is not None
    assert smaller.format == "WebP"
    assert next_fitting(ladder((picture,)), 10) is None


def test_pictures_together_stay_below_the_limit_of_one_request() -> None:
    """25 MiB for everything, whatever one file may have."""
    assert not Encoded("PNG", ".png", (b"x" * 13 * 2**20,) * 2).fits(20 * 2**20)


def test_every_error_that_a_member_can_cause_has_its_own_text() -> None:
    """Nobody meets a number where a sentence is possible."""
    assert "at most 3 " not in explain(QueueFull(limit=3))
    assert "already have 3 jobs" in explain(QueueFull(limit=3))
    assert "disk of this bot is full" in explain(StorageFull())
    assert "cannot be reached just now" in explain(BrokerUnavailable())
    assert "from 1 to 4" in explain(Refused("refused.count", low=1, high=4))


def test_an_unforeseen_error_gives_a_number_and_logs_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """The member gets the number, the log gets everything but what they typed."""
    prompt = 'my "secret" prompt'
    error = RuntimeError("outer")
    error.__cause__ = ValueError(f"bad row {json.dumps({'prompt': prompt})}")
    said = explain(error, private=[prompt])
    number = said.split()[-1].strip(".")
    assert number in caplog.text
    assert "RuntimeError: outer" in caplog.text
    assert "ValueError: (message withheld" in caplog.text
    assert "secret" not in caplog.text
    assert "Traceback" not in said
    assert "outer" not in said


def test_an_interaction_token_never_reaches_the_log() -> None:
    """Errors of the HTTP client carry the address, and the address carries the token."""
    error = aiohttp.ServerTimeoutError("Timeout on https://discord.com/api/v10/webhooks/1/SECRET/messages/@original")
    assert "SECRET" not in describe(error, ())


def test_everything_typed_into_an_interaction_counts_as_private() -> None:
    """Options of subcommands and the fields of modals too."""
    options = [{"name": "set", "options": [{"name": "prompt", "value": "one"}, {"name": "count", "value": 2}]}]
    components = [{"components": [{"custom_id": "x", "value": "two"}]}]
    assert typed_texts({"options": options, "components": components, "id": "3"}) == ["one", "two"]


def test_errors_that_end_the_bot_say_what_to_do() -> None:
    """Whoever starts the bot reads these, so they name the page and the variable."""
    assert "Reset Token" in str(BadToken())
    assert "DISCORD_TOKEN" in str(BadToken())
    assert "4014" in str(IntentsRefused())
