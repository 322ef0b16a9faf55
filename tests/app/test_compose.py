"""compose.yaml: nothing of it is open to whoever comes by, and nats-server starts with a token or not at all."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from daguerre.app.settings import PROJECT
from daguerre.queue.nats.embedded import Answer, probe
from daguerre.queue.nats.program import nats_server_binary

COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "compose.yaml").read_text(encoding="utf-8"))


def script(folder: Path, port: int) -> str:
    """What the container of nats-server runs, with the container's paths moved into `folder`."""
    nats = COMPOSE["services"]["nats"]
    assert nats["entrypoint"] == ["/bin/sh", "-c"]
    (text,) = nats["command"]
    for path in ("/run/secrets/nats_token", "/tmp/nats.conf", "/data"):
        text = text.replace(path, str(folder / Path(path).name))
    return text.replace("$$", "$").replace("nats-server -c", f"{nats_server_binary()} -a 127.0.0.1 -p {port} -c")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize("token", [None, "", "\n", "short", 'a"b' * 20, "a b" * 20])
def test_no_token_no_server(tmp_path: Path, token: str | None) -> None:
    """Without a token, or with one that cannot be one, it ends at once and says why."""
    if token is not None:
        (tmp_path / "nats_token").write_text(token)
    done = subprocess.run(
        ["/bin/sh", "-c", script(tmp_path, free_port())], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 78
    assert done.stderr.strip()


async def test_the_token_lets_in_and_nothing_else_does(tmp_path: Path) -> None:
    """The right token is let in, none and another are not, and no command line shows it."""
    token = "a-Token_of-20-or-more-letters"
    (tmp_path / "nats_token").write_text(token + "\n")
    port = free_port()
    server = await asyncio.create_subprocess_exec("/bin/sh", "-c", script(tmp_path, port), stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while await probe(port, token) is not Answer.OURS:
            assert server.returncode is None
            assert time.monotonic() < deadline
        assert await probe(port, "") is Answer.FOREIGN
        assert await probe(port, token[:-1]) is Answer.FOREIGN
        assert token not in " ".join(psutil.Process(server.pid).cmdline())
        assert (tmp_path / "nats.conf").stat().st_mode & 0o077 == 0
    finally:
        server.terminate()
        await asyncio.wait_for(server.wait(), 20)


def test_everything_is_published_on_loopback_unless_asked() -> None:
    """No port is open to the network by default; NATS by one variable."""
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    for port in ports:
        assert port.startswith(("127.0.0.1:", "${DAGUERRE_NATS_LISTEN:-127.0.0.1}:")), port


def test_the_token_comes_by_file_everywhere() -> None:
    """All three read one secret; none has it in its environment or command."""
    assert COMPOSE["secrets"]["nats_token"]["file"].endswith("./secrets/nats-token}")
    for name in ("nats", "control", "worker"):
        service = COMPOSE["services"][name]
        assert service["secrets"] == ["nats_token"]
        assert "DAGUERRE_NATS_TOKEN" not in service.get("environment", {})
    for name in ("control", "worker"):
        assert COMPOSE["services"][name]["environment"]["DAGUERRE_NATS_TOKEN_FILE"] == "/run/secrets/nats_token"


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not here")
def test_the_token_is_never_committed() -> None:
    """The folder that compose.yaml says to make is ignored."""
    done = subprocess.run(
        ["git", "check-ignore", "-q", "secrets/nats-token"], cwd=PROJECT, env=os.environ, check=False, timeout=20
    )
    assert done.returncode in (0, 128)  # 128: not a checkout
