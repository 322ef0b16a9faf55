"""The whole of Daguerre, unmodified: bot, queue and worker as their own processes, the shipped weights, real sockets.

Only Discord is stood in for, and every request that reaches it is checked against Discord's own description.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import psutil
import pytest
from PIL import Image, ImageStat
from servekit import MOST_SECONDS, Running, environment_of, finished, pictures, times_finished

if TYPE_CHECKING:
    from standin.driver import StandIn


@pytest.fixture
async def running(standin: StandIn, tmp_path: Path) -> AsyncIterator[Running]:
    """Started against the stand-in, stopped by SIGTERM; nothing of it is left and no traceback was logged."""
    environment = environment_of(standin, tmp_path / "data")
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
    # One id in the lines of both processes.
    await running.until(lambda: "notified by" in running.log())
    (job,) = set(re.findall(r"job (\w{32}) is queued", running.log()))
    about = {line.split()[2] for line in running.log().splitlines() if job in line}
    assert {"daguerre.queue.control.queue", "daguerre.app.render", "daguerre.bot.message.follow"} <= about
    # What a Prometheus on this machine reads of the worker.
    (address,) = re.findall(r"metrics ready url=(\S+)", running.log())
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        assert 'daguerre_worker_outcomes_total{kind="rendered"} 1.0' in await answer.text()


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
