"""The whole of Daguerre, unmodified: bot, queue and worker as their own processes, the shipped weights, real sockets.

Only Discord is stood in for, and every request that reaches it is checked against Discord's own description.
"""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from PIL import Image, ImageStat

if TYPE_CHECKING:
    from standin.driver import StandIn

#: Two starts of torch and a few pictures fit in it, also on a machine that does other things.
MOST_SECONDS = 150.0


class Running:
    """A `daguerre serve` with its worker."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "daguerre.app", "serve"], env=self.environment, stderr=log, stdout=log
            )

    def kill(self) -> None:
        """As the machine would: no goodbye."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def worker(self) -> psutil.Process | None:
        assert self.process is not None
        for child in psutil.Process(self.process.pid).children():
            if "worker" in child.cmdline():
                return child
        return None

    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    async def until(self, condition: Callable[[], Any]) -> Any:
        for _ in range(int(MOST_SECONDS / 0.05)):
            if value := condition():
                return value
            await asyncio.sleep(0.05)
        raise AssertionError(f"not reached in {MOST_SECONDS:g} s:\n{self.log()}")


@pytest.fixture
async def running(standin: StandIn, tmp_path: Path) -> AsyncIterator[Running]:
    """Started against the stand-in, stopped by SIGTERM; nothing of it is left and no traceback was logged."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DAGUERRE_", "DISCORD_"))}
    environment = {
        **kept,
        **standin.environment(),
        "DAGUERRE_STORAGE__DATA_DIR": str(tmp_path / "data"),
        "DAGUERRE_WEB__PORT": "0",
        "DAGUERRE_QUEUE__ACK_WAIT_SECONDS": "4",
    }
    serving = Running(tmp_path, environment)
    serving.start()
    await serving.until(lambda: standin.commands)
    yield serving
    assert serving.process is not None
    children = psutil.Process(serving.process.pid).children(recursive=True)
    serving.process.terminate()
    try:
        assert serving.process.wait(20) == 0, serving.log()
    finally:
        serving.process.kill()
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert "Traceback" not in serving.log()


def finished(message: Any) -> bool:
    """The buttons of a result are there; a card has but one, and perhaps a preview."""
    return len(message.buttons) > 1


def times_finished(record: Any) -> int:
    """How often pictures arrived that are no preview."""
    return sum(not state.attachments[0].filename.startswith("preview") for state in record.arrivals)


def pictures(message: Any) -> list[Image.Image]:
    return [Image.open(io.BytesIO(attachment.data)) for attachment in message.attachments]


def redness(picture: Image.Image) -> float:
    """How far red lies above green and blue in the middle of a picture, in [-255, 255]."""
    width, height = picture.size
    middle = picture.convert("RGB").crop((width // 4, height // 4, 3 * width // 4, 3 * height // 4))
    red, green, blue = ImageStat.Stat(middle).mean
    return red - max(green, blue)


async def test_a_slash_command_becomes_two_pictures(standin: StandIn, running: Running) -> None:
    """`/imagine prompt:a red apple count:2`: a card at once, steps, then PNG files with the prompt as alt text."""
    guild = standin.guild("Darkroom")
    channel, member = guild.channel("studio"), guild.member("Ada")
    asked = await standin.slash(member, channel, "imagine", prompt="a red apple", count=2, seed=7)
    await asked.ack()
    done = await asked.wait_for(finished, MOST_SECONDS)

    assert [attachment.filename for attachment in done.attachments] == ["daguerre-7-grid.png"]
    assert str(done.attachments[0].description).endswith("drawn from the words: a red apple")
    (grid,) = pictures(done)
    assert grid.size == (516, 256)
    assert grid.text["Seed"] == "7, 8"
    for left in (0, 260):
        picture = grid.crop((left, 0, left + 256, 256))
        assert redness(picture) > 40, "the apple is red"
        assert min(picture.convert("RGB").getpixel((2, 2))) > 225, "on white"
    assert "seed" in done.content
    # One message, nobody pinged, no prompt in the log.
    assert len(standin.messages(channel)) == 1
    assert not done.mentions
    assert "red apple" not in running.log()


async def test_killing_the_worker_in_mid_render_costs_nothing_but_time(standin: StandIn, running: Running) -> None:
    """kill -9 while it renders: it is started again, and the same message gets its picture, once."""
    guild = standin.guild("Darkroom")
    channel, member = guild.channel("studio"), guild.member("Ada", permissions=("manage_guild",))
    await (await standin.slash(member, channel, "settings set", steps=50)).ack()
    asked = await standin.slash(member, channel, "imagine", prompt="a pizza", count=4, seed=1)
    await asked.wait_for(lambda message: "step" in message.text, MOST_SECONDS)
    assert not finished(await asked.message()), "still rendering"
    first = running.worker()
    assert first is not None
    first.kill()

    done = await asked.wait_for(finished, MOST_SECONDS)
    second = running.worker()
    assert second is not None
    assert second.pid != first.pid
    assert pictures(done)[0].size == (516, 516)
    assert times_finished(asked) == 1, "delivered once"
    assert len(standin.messages(channel)) == 1


async def test_killing_everything_in_mid_render_costs_nothing_but_time(standin: StandIn, running: Running) -> None:
    """kill -9 of the control process, whose worker ends with it: after a new start the same message is finished."""
    guild = standin.guild("Darkroom")
    channel, member = guild.channel("studio"), guild.member("Ada", permissions=("manage_guild",))
    await (await standin.slash(member, channel, "settings set", steps=50)).ack()
    asked = await standin.slash(member, channel, "imagine", prompt="a rocket", count=4, seed=1)
    await asked.wait_for(lambda message: "step" in message.text, MOST_SECONDS)
    worker = running.worker()
    running.kill()
    assert worker is not None
    assert not finished(await asked.message()), "killed before the end"
    assert psutil.wait_procs([worker], timeout=10)[1] == [], "the worker ends with its parent"

    running.start()
    done = await asked.wait_for(finished, MOST_SECONDS)
    assert pictures(done)[0].size == (516, 516)
    assert times_finished(asked) == 1
    assert len(standin.messages(channel)) == 1


async def test_words_it_never_saw_are_refused_before_rendering(standin: StandIn, running: Running) -> None:
    """Privately, with words that it does know; nothing is queued."""
    guild = standin.guild("Darkroom")
    channel, member = guild.channel("studio"), guild.member("Ada")
    asked = await standin.slash(member, channel, "imagine", prompt="zorblax quuxification")
    refused = await asked.message()
    assert refused.ephemeral
    assert "know none of these words" in refused.text
    assert not standin.messages(channel)
