"""A backup of the whole of Daguerre while it draws, and the same bot on an empty host afterwards: real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from servekit import MOST_SECONDS, Running, environment_of, finished, pictures, times_finished

if TYPE_CHECKING:
    from standin.driver import StandIn


def kill_everything(serving: Running) -> None:
    """Control process, worker and nats-server, as if the host had burnt down."""
    assert serving.process is not None
    children = psutil.Process(serving.process.pid).children(recursive=True)
    serving.kill()
    # nats-server outlives its parent, to be adopted.
    number = int((serving.folder / "data/nats/nats-server.pid").read_text())
    for one in (*(child.pid for child in children), number):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    assert psutil.wait_procs(children, timeout=10)[1] == []


def drawn(folder: Path) -> dict[str, bytes]:
    root = folder / "data/pictures"
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in root.glob("*/*.png")}


def daguerre(environment: dict[str, str], *words: str | Path) -> str:
    answer = subprocess.run(
        [sys.executable, "-m", "daguerre.app", *words], env=environment, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


async def test_a_host_that_is_gone_is_brought_back_on_another(standin: StandIn, tmp_path: Path) -> None:
    """One job is finished, one is drawn, one waits. backup, kill -9 of all, restore elsewhere, serve: the finished
    picture is there and shown, the others are drawn into their own messages, and nothing comes twice."""
    first, second = tmp_path / "first", tmp_path / "second"
    guild = standin.guild("Darkroom")
    channel, ada, bob = guild.channel("studio"), guild.member("Ada"), guild.member("Bob")
    file = tmp_path / "backup.zip"
    before = environment_of(standin, first / "data", DAGUERRE_RENDER__SLOTS="1")
    after = environment_of(standin, second / "data", DAGUERRE_RENDER__SLOTS="1")
    for folder in (first, second):
        folder.mkdir()
    serving = Running(first, before)
    serving.start()
    try:
        await serving.until(lambda: standin.commands)
        done = await standin.slash(ada, channel, "imagine", prompt="a red apple", count=2, seed=7, steps=4)
        grid = await done.wait_for(finished, MOST_SECONDS)
        was = drawn(first)
        assert len(was) == 2
        runs = await standin.slash(ada, channel, "imagine", prompt="a pizza", count=4, seed=1, steps=50)
        await runs.wait_for(lambda message: "step" in message.text, MOST_SECONDS)
        waits = await standin.slash(bob, channel, "imagine", prompt="a rocket", count=1, seed=3, steps=4)
        await waits.ack()

        told = daguerre(before, "backup", file)
        assert told.startswith(f"{file}: 3 jobs ("), told
        assert not finished(await runs.message()), "it was drawn while the backup was made"
        assert not finished(await waits.message()), "it waited"
    finally:
        kill_everything(serving)
    texts = told + serving.log()
    assert "red apple" not in texts
    assert before["DISCORD_TOKEN"] not in texts
    (first / "data").rename(tmp_path / "burnt")

    assert daguerre(after, "restore", file, "--data", second / "data").startswith(f"{second / 'data'}: 3 jobs (")
    assert drawn(second) == was
    serving = Running(second, after)
    serving.start()
    try:
        pizza = await runs.wait_for(finished, MOST_SECONDS)
        rocket = await waits.wait_for(finished, MOST_SECONDS)
        assert pictures(pizza)[0].size == (516, 516)
        assert pictures(rocket)[0].size == (256, 256)
        # What was finished is shown: a button under it gives the first picture, from the restored store.
        one = await standin.click(ada, grid, "U1")
        shown = await one.wait_for(lambda message: bool(message.attachments), MOST_SECONDS)
        assert pictures(shown)[0].size[0] >= 256
        assert [times_finished(record) for record in (done, runs, waits)] == [1, 1, 1], "nothing twice"
        now = drawn(second)
        assert len(now) == 2 + 4 + 1
        assert now.items() >= was.items()
    finally:
        assert serving.process is not None
        serving.process.terminate()
        assert serving.process.wait(30) == 0, serving.log()
    assert "Traceback" not in serving.log()
