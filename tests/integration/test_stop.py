"""SIGTERM, as `systemctl stop` and `docker stop` send it: jobs are finished or kept, and no message says what is
not so."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from servekit import MOST_SECONDS, Running, environment_of, finished, times_finished
from standin.driver import StandIn

#: Within which a stop is over; docker and compose.yaml wait for 30.
MOST_TO_STOP = 25.0


async def stop(serving: Running) -> float:
    """Seconds that it took; it ended in good order."""
    assert serving.process is not None
    begun = time.monotonic()
    serving.process.terminate()
    # In a thread: the stand-in answers on this loop.
    assert await asyncio.to_thread(serving.process.wait, 60) == 0, serving.log()
    return time.monotonic() - begun


async def test_sigterm_finishes_what_it_can_and_keeps_the_rest(standin: StandIn, tmp_path: Path) -> None:
    """A job that can be finished in time is delivered before the process ends. One that cannot is given back: its
    message says that the bot restarts, and the next start finishes that message, once."""
    channel, member = standin.guild("Darkroom").channel("studio"), standin.guild("Darkroom").member("Ada")
    environment = environment_of(standin, tmp_path / "data", DAGUERRE_RENDER__DRAIN_SECONDS="15")
    serving = Running(tmp_path, environment)
    serving.start()
    try:
        await serving.until(lambda: standin.commands)
        short = await standin.slash(member, channel, "imagine", prompt="a pizza", steps=30, seed=1)
        await short.wait_for(lambda message: "step" in message.text, MOST_SECONDS)
        assert await stop(serving) < MOST_TO_STOP
        assert finished(await short.message()), "it was drawn to its end and delivered"

        environment["DAGUERRE_RENDER__DRAIN_SECONDS"] = "0"
        serving.start()
        await serving.until(lambda: serving.log().count("bot ready") == 2)
        long = await standin.slash(member, channel, "imagine", prompt="a rocket", steps=50, count=4, seed=1)
        await long.wait_for(lambda message: "step" in message.text, MOST_SECONDS)
        assert await stop(serving) < MOST_TO_STOP
        told = (await long.message()).content
        assert "restarting" in told
        assert "step" not in told
        assert "is queued" in serving.log()

        serving.start()
        done = await long.wait_for(finished, MOST_SECONDS)
        assert "restarting" not in done.content
        assert (times_finished(short), times_finished(long)) == (1, 1)
        assert len(standin.messages(channel)) == 2
        assert await stop(serving) < MOST_TO_STOP
    finally:
        assert serving.process is not None
        serving.process.kill()
    assert "Traceback" not in serving.log()
    assert "child killed" not in serving.log()
