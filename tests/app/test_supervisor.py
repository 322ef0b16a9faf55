"""Child processes: kept running, stopped with us, ended when we die."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from daguerre.app.devices import worker_devices
from daguerre.app.supervisor import MISCONFIGURED, RestartPolicy, Supervisor

#: Notes its process id in the folder of argument 1, one file each, then waits for its end.
CHILD = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1], str(os.getpid())).touch(); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + CHILD


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not reached in time"
        await asyncio.sleep(0.02)


def begun(folder: Path) -> list[int]:
    return [int(file.name) for file in folder.iterdir()]


def supervisor(folder: Path, code: str, policy: RestartPolicy | None = None) -> Supervisor:
    return Supervisor({"child": (sys.executable, "-c", code, str(folder))}, os.environ, policy)


async def test_a_killed_child_is_started_again(tmp_path: Path) -> None:
    """kill -9 of a child: another one takes its place."""
    stop = asyncio.Event()
    watcher = supervisor(tmp_path, CHILD)
    running = asyncio.create_task(watcher.run(stop))
    await until(lambda: len(begun(tmp_path)) == 1)
    os.kill(begun(tmp_path)[0], signal.SIGKILL)
    await until(lambda: len(begun(tmp_path)) == 2)
    assert watcher.states()["child"].startswith("running")
    stop.set()
    await asyncio.wait_for(running, 10)
    assert not any(psutil.pid_exists(child) for child in begun(tmp_path))
    assert watcher.states() == {"child": "stopped"}


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """Stopping does not wait longer than the grace for anybody."""
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor(tmp_path, STUBBORN, RestartPolicy(grace=0.3)).run(stop))
    await until(lambda: len(begun(tmp_path)) == 1)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert not psutil.pid_exists(begun(tmp_path)[0])


async def test_a_program_that_is_missing_is_told(tmp_path: Path) -> None:
    """A command that cannot be started counts as a child that ended; nothing breaks."""
    stop = asyncio.Event()
    watcher = Supervisor({"child": (str(tmp_path / "absent"),)}, {}, RestartPolicy(first=60))
    running = asyncio.create_task(watcher.run(stop))
    await until(lambda: "127" in watcher.states()["child"])
    stop.set()
    await asyncio.wait_for(running, 5)


async def test_why_a_child_cannot_start_is_told_once(tmp_path: Path) -> None:
    """A child that is configured wrongly prints why: its owner hears it once, however often it is tried again."""
    told: list[str] = []
    stop = asyncio.Event()
    code = CHILD.replace(
        "time.sleep(600)", f"print('noise'); print('no weights: bring them'); sys.exit({MISCONFIGURED})"
    )
    command = {"child": (sys.executable, "-c", code, str(tmp_path))}
    watcher = Supervisor(command, os.environ, RestartPolicy(misconfigured=0.05), told.append)
    assert watcher.trouble() is None
    running = asyncio.create_task(watcher.run(stop))
    await until(lambda: len(begun(tmp_path)) >= 3, 30)
    assert told == ["no weights: bring them"]
    assert watcher.trouble() == "no weights: bring them"
    stop.set()
    await asyncio.wait_for(running, 10)


async def test_a_child_that_keeps_ending_cannot_start_either(tmp_path: Path) -> None:
    """Whatever its status: after some ends in a row its owner is sent to the log and to doctor, once."""
    told: list[str] = []
    stop = asyncio.Event()
    command = {"child": (sys.executable, "-c", CHILD.replace("time.sleep(600)", "sys.exit(3)"), str(tmp_path))}
    watcher = Supervisor(command, os.environ, RestartPolicy(first=0.01, longest=0.01), told.append)
    running = asyncio.create_task(watcher.run(stop))
    await until(lambda: len(begun(tmp_path)) >= 5, 30)
    assert len(told) == 1
    assert "status 3" in told[0]
    assert "doctor" in told[0]
    stop.set()
    await asyncio.wait_for(running, 10)


async def test_one_child_that_works_is_enough(tmp_path: Path) -> None:
    """Two devices, one of them missing: pictures can still be drawn, so there is no trouble for those who ask."""
    stop = asyncio.Event()
    good = (sys.executable, "-c", CHILD, str(tmp_path))
    watcher = Supervisor(
        {"bad": (sys.executable, "-c", "print('no such device'); raise SystemExit(78)"), "good": good}, os.environ
    )
    running = asyncio.create_task(watcher.run(stop))
    await until(lambda: "status 78" in watcher.states()["bad"], 30)
    assert watcher.trouble() is None
    stop.set()
    await asyncio.wait_for(running, 10)


def test_patience() -> None:
    """Restarts come at once, then ever more slowly; a wrong configuration is not hammered at."""
    policy = RestartPolicy()
    assert policy.before_restart(1, -9) <= 0.2
    pauses = [policy.before_restart(failures, 1) for failures in range(1, 100)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == policy.longest
    assert policy.before_restart(1, MISCONFIGURED) == policy.misconfigured


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    """A child that watches its standard input notices even a parent killed by SIGKILL."""
    child = (
        "import asyncio, os, pathlib, sys\n"
        "from daguerre.app.signals import stop_on_signals, stop_with_parent\n"
        "async def main():\n"
        "    stop = stop_on_signals()\n"
        "    stop_with_parent(stop)\n"
        "    pathlib.Path(sys.argv[1], str(os.getpid())).touch()\n"
        "    await stop.wait()\n"
        "asyncio.run(main())\n"
    )
    parent = (
        "import asyncio, os, sys\n"
        "from daguerre.app.supervisor import Supervisor\n"
        "command = (sys.executable, '-c', sys.argv[2], sys.argv[1])\n"
        "asyncio.run(Supervisor({'child': command}, os.environ).run(asyncio.Event()))\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent, str(tmp_path), child]) as process:
        deadline = time.monotonic() + 20
        while not begun(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.02)
        grandchild = psutil.Process(begun(tmp_path)[0])
        process.send_signal(how)
    assert psutil.wait_procs([grandchild], timeout=10)[1] == []


@pytest.mark.parametrize(
    ("wanted", "gpus", "devices"),
    [
        (("auto",), 0, ("auto",)),
        (("auto",), 1, ("auto",)),
        (("auto",), 2, ("cuda:0", "cuda:1")),
        (("cpu", "cpu"), 2, ("cpu",)),
        ((), 4, ()),
    ],
)
def test_one_worker_for_each_device(wanted: tuple[str, ...], gpus: int, devices: tuple[str, ...]) -> None:
    """ "auto" means every GPU; naming a device twice does not load the model twice."""
    assert worker_devices(wanted, gpus) == devices
