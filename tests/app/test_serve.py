"""The control process as a whole, as it is started and stopped by its owner."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
from servingkit import DIRECT, serve
from standin.driver import StandIn

from daguerre.app.errors import ConfigError, DataFolderError, PortTaken
from daguerre.app.machine import address_of, data_folder_text, listen, prepare_data_dir, read_address
from daguerre.app.serve import worker_commands, worker_environment
from daguerre.app.settings import Configuration, Secrets, Settings
from daguerre.web.options import WebOptions

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4OQ.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789ab"


def test_without_token_it_serves_and_stops_cleanly(tmp_path: Path) -> None:
    """No token: it says how to get one and works. SIGTERM: exit status 0 within ten seconds, nothing left behind."""
    with serve(tmp_path) as running:
        health = running.health()
        assert health["status"] == "ok"
        assert health["bot"] == "off: no DISCORD_TOKEN"
        assert "Reset Token" in running.log()
        assert read_address(tmp_path / "data", WebOptions()) == running.address()
        children = psutil.Process(running.process.pid).children(recursive=True)
        assert children, "nats-server runs as a child"
        begun = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(15) == 0
        assert time.monotonic() - begun < 10
        assert psutil.wait_procs(children, timeout=5)[1] == []
        assert "Traceback" not in running.log()
        assert not (tmp_path / "data" / "api.url").exists()


def test_a_job_outlives_the_process(tmp_path: Path) -> None:
    """What was accepted is still there after kill -9 and a new start, under the same id."""
    with serve(tmp_path) as running:
        body = json.dumps({"prompt": "a red apple"}).encode()
        request = urllib.request.Request(f"{running.address()}/api/v1/jobs", body, {"Content-Type": "application/json"})
        with DIRECT.open(request, timeout=10) as answer:
            job = json.load(answer)["id"]
        running.process.kill()
        running.process.wait()
    (tmp_path / "log").write_text("", encoding="utf-8")
    with serve(tmp_path) as running, DIRECT.open(f"{running.address()}/api/v1/jobs/{job}", timeout=10) as answer:
        assert json.load(answer)["state"] == "queued"


def test_missing_weights_leave_the_rest_usable(tmp_path: Path) -> None:
    """Without weights the worker says where they belong; the queue takes jobs, which wait."""
    with serve(tmp_path, DAGUERRE_RENDER__DEVICES='["cpu"]') as running:
        running.until(lambda: "status=78" in running.log())
        assert "[render] weights" in running.log()
        health = running.health()
        assert "starts again" in health["worker_processes"]["worker cpu"]
        assert (health["workers"], "no worker is connected" in health["problem"]) == (0, True)
        assert "[render] weights" in health["problem"]
        running.until(lambda: "Open http" in running.log())
        told = [line for line in running.log().splitlines() if "no picture can be drawn" in line]
        assert len(told) == 1


def test_asking_a_server_that_cannot_draw_gives_up(tmp_path: Path) -> None:
    """`imagine --server` ends with the reason in place of waiting for ever, and leaves no job behind."""
    with serve(tmp_path, DAGUERRE_RENDER__DEVICES='["cpu"]') as running:
        command = [sys.executable, "-m", "daguerre.app", "imagine", "a", "--out", str(tmp_path / "a.png")]
        asked = subprocess.run([*command, "--address", running.address()], capture_output=True, text=True, timeout=60)
        assert asked.returncode == 69
        assert "that server cannot draw" in asked.stderr
        assert "[render] weights" in asked.stderr
        assert running.health()["jobs"].get("cancelled") == 1


def test_serve_ends_its_start_with_the_address(tmp_path: Path) -> None:
    """Where no worker is wanted, the page can be opened at once: one line says where."""
    with serve(tmp_path) as running:
        running.until(lambda: f"Open {running.address()}\n" in running.log())
        assert "no picture can be drawn" not in running.log()


def test_every_device_gets_a_worker_process_of_its_own(tmp_path: Path) -> None:
    """Each is told its device; the same one twice would only be half as fast."""
    with serve(tmp_path, DAGUERRE_RENDER__DEVICES='["cpu", "cuda:1", "cuda:0", "cpu"]') as running:
        wanted = {"worker cpu", "worker cuda:0", "worker cuda:1"}
        running.until(lambda: running.health()["worker_processes"].keys() == wanted)
    commands = worker_commands(Configuration(Settings(), Secrets(), None, tmp_path), ("cpu", "cuda:1"))
    assert {name: command[command.index("--device") + 1] for name, command in commands.items()} == {
        "worker cpu": "cpu", "worker cuda:1": "cuda:1",
    }  # fmt: skip


def test_a_second_serve_is_refused(tmp_path: Path) -> None:
    """The port is taken, or the data folder belongs to a running one: one sentence, no traceback, the first goes on."""
    (tmp_path / "second").mkdir()
    with serve(tmp_path) as running:
        port = running.address().rpartition(":")[2]
        with serve(tmp_path / "second", DAGUERRE_WEB__PORT=port) as second:
            assert second.process.wait(20) == 75
            assert f"127.0.0.1 port {port} is taken" in second.log()
        (tmp_path / "second" / "log").unlink()
        with serve(tmp_path / "second", DAGUERRE_STORAGE__DATA_DIR=str(tmp_path / "data")) as second:
            assert second.process.wait(20) == 75
            assert "Traceback" not in second.log()
        assert running.health()["status"] == "ok"


def test_discord_out_of_reach_is_tried_again(tmp_path: Path, unused_tcp_port: int) -> None:
    """An address where nobody answers is tried again, with the queue up meanwhile; the token is not in the log."""
    with serve(
        tmp_path,
        DISCORD_TOKEN=TOKEN,
        DAGUERRE_DISCORD_API_BASE=f"http://127.0.0.1:{unused_tcp_port}/api/v10",
        DAGUERRE_DISCORD__CONNECT_ATTEMPTS="1",
    ) as running:
        running.until(lambda: "bot cannot connect" in running.log())
        assert "does not answer" in running.health()["bot"]
        assert TOKEN not in running.log()


async def test_a_wrong_token_ends_the_start_with_advice(tmp_path: Path, standin: StandIn) -> None:
    """Discord refuses the token: exit status 78 and the way to a right one; the token is not in the log."""

    def attempt() -> tuple[int, str]:
        with serve(tmp_path, **{**standin.environment(), "DISCORD_TOKEN": TOKEN}) as running:
            return running.process.wait(30), running.log()

    status, log = await asyncio.to_thread(attempt)
    assert status == 78
    assert "Reset Token" in log
    assert TOKEN not in log
    assert "Traceback" not in log


def test_the_workers_environment_holds_no_bot_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker knows NATS and nothing else."""
    monkeypatch.setenv("DISCORD_TOKEN", "x")
    environment = worker_environment("nats://127.0.0.1:1", "secret")
    assert "DISCORD_TOKEN" not in environment
    assert environment["DAGUERRE_QUEUE__NATS_URL"] == "nats://127.0.0.1:1"
    assert environment["DAGUERRE_NATS_TOKEN"] == "secret"


def test_data_folder(tmp_path: Path) -> None:
    """It is made with its parents; a file in its place is told."""
    assert prepare_data_dir(tmp_path / "a" / "b").is_dir()
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(DataFolderError, match="must name a folder"):
        prepare_data_dir(tmp_path / "file")
    with pytest.raises(DataFolderError, match="must name a folder"):
        prepare_data_dir(tmp_path / "file" / "below")


def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    """The owner learns which user needs the folder."""
    closed = Path("/sys") if os.getuid() == 0 else tmp_path / "closed"
    if os.getuid() != 0:
        closed.mkdir(0o500)
    with pytest.raises(DataFolderError, match=rf"cannot be written by user {os.getuid()}"):
        prepare_data_dir(closed / "data")


def test_a_full_disk_is_told() -> None:
    """A disk without room is found at the start, by writing."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError, match="No space") as caught, full.open("wb", buffering=0) as file:
        file.write(b"x")
    assert "is full: make room" in data_folder_text(Path("data"), caught.value)


@pytest.mark.parametrize(
    ("host", "error", "message"),
    [
        ("no.such.name.invalid", ConfigError, "is no address of this machine"),
        ("192.0.2.1", ConfigError, "cannot listen on"),
    ],
)
def test_addresses_that_cannot_be_used(host: str, error: type[Exception], message: str) -> None:
    """Each says which setting to change."""
    with pytest.raises(error, match=message):
        listen(WebOptions(host=host, port=0))


def test_taken_port() -> None:
    """The message names the port and the two ways to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} is taken.*DAGUERRE_WEB__PORT"):
            listen(WebOptions(port=port))


def test_address_of_a_listener() -> None:
    """What listens everywhere is reached at loopback."""
    with listen(WebOptions(host="0.0.0.0", port=0)) as listener:
        assert address_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
