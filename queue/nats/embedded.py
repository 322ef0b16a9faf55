"""The nats-server that belongs to this data folder: found, started, watched, stopped.

It runs on 127.0.0.1, or where workers elsewhere reach it, behind a generated token. When its parent is killed it lives
on, so that running jobs can finish; the next start finds it by port and token and adopts it. Files, all under nats/ in
the data folder:

    token, port   remembered from the first start      nats-server.conf, .log, .err, .pid
    jetstream/    the streams
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

from ..errors import BrokerUnavailable, QueueUnavailable, StorageFull
from ..tasks import end
from .connection import MAX_PAYLOAD
from .credentials import unchecked_tls
from .process import PortTaken, alive, complaint, free_port, number_in, send_signal, start_error, write_private
from .program import nats_server_binary, server_environment

HOST = "127.0.0.1"
#: Seconds within which a started server must answer, and a stopped one must be gone.
ANSWER_TIMEOUT = 15.0
#: Bytes that must be free on the disk for a restart to be of use: one message of the largest size.
ROOM = MAX_PAYLOAD

log = logging.getLogger(__name__)


class Answer(Enum):
    """Who listens on a port."""

    OURS = auto()
    FOREIGN = auto()
    NOBODY = auto()


async def probe(port: int, token: str, host: str = HOST) -> Answer:
    """Ask who listens on the port, by NATS's own greeting."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return Answer.NOBODY
    try:
        async with asyncio.timeout(2):
            greeting = await reader.readline()
            if not greeting.startswith(b"INFO "):
                return Answer.FOREIGN
            if json.loads(greeting[5:]).get("tls_required"):
                await writer.start_tls(unchecked_tls())
            hello = json.dumps({"auth_token": token, "verbose": False, "pedantic": False, "lang": "python"})
            writer.write(f"CONNECT {hello}\r\nPING\r\n".encode())
            await writer.drain()
            return Answer.OURS if (await reader.readline()).startswith(b"PONG") else Answer.FOREIGN
    except (OSError, TimeoutError, ValueError):
        return Answer.FOREIGN
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


class EmbeddedServer:
    """One nats-server child (or adopted orphan) and its supervision."""

    def __init__(self, folder: Path, *, port: int = 0, host: str = HOST, tls: tuple[str, str] = ("", "")) -> None:
        """`folder` holds its files; `port` 0 picks a free one and remembers it; `tls` are certificate and key."""
        self._listen = host
        #: Where this machine reaches it.
        self._host = HOST if host in ("0.0.0.0", "::") else host  # noqa: S104
        self._tls = tls
        self._folder = folder
        self._wanted_port = port
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self.port = 0
        self.token = ""
        #: What is wrong with it now, for the owner.
        self.problem: str | None = None

    @property
    def url(self) -> str:
        return f"{'tls' if self._tls[0] else 'nats'}://{self._host}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id of the server, ours or adopted."""
        if self._process is not None and self._process.returncode is None:
            return self._process.pid
        try:
            return int((self._folder / "nats-server.pid").read_text())
        except (OSError, ValueError):
            return None

    async def start(self) -> None:
        """Connect first, spawn second; then keep it running.

        Raises:
            BrokerUnavailable: no program, port taken, or it ends at once.
            StorageFull: the folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.token = self._remember("token", secrets.token_urlsafe(32))
        except OSError as problem:
            raise StorageFull(f"{self._folder} cannot be written ({problem.strerror})") from None
        if self._listen != HOST and not self._tls[0]:
            log.warning("nats-server listens on %s without TLS: use it in a network of your own only", self._listen)
        if not await self._adopt():
            await self._spawn_somewhere()
        self._supervisor = asyncio.create_task(self._supervise(), name="nats-server supervisor")

    async def stop(self) -> None:
        """Stop the server, adopted or not, and wait until it is gone."""
        if self._supervisor is not None:
            await end([self._supervisor])
        pid = self.pid
        if pid is None:
            return
        ours = self._process is not None and self._process.returncode is None
        if not ours and await probe(self.port, self.token, self._host) is not Answer.OURS:
            return  # It is gone; the number in the file may belong to another process by now.
        send_signal(pid, signal.SIGTERM)
        if not await self._gone(pid):
            log.warning("nats-server did not end within %d s; killed", ANSWER_TIMEOUT)
            send_signal(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            await self._gone(pid)

    async def restart(self) -> None:
        """Have it ended and started again: once the disk was full, JetStream writes no more. While it is, say so."""
        pid = self.pid
        if shutil.disk_usage(self._folder).free < ROOM:
            log.warning("nats-server cannot store anything: free space on the disk of the data folder")
        elif pid is not None and await probe(self.port, self.token, self._host) is Answer.OURS:
            log.warning("restarting nats-server: it runs, but its storage does not")
            send_signal(pid, signal.SIGTERM)

    # Starting

    async def _adopt(self) -> bool:
        port = self._wanted_port or number_in(self._folder / "port")
        if not port:
            return False
        answer = await probe(port, self.token, self._host)
        # Ours may be slow to greet. Two servers on one folder would ruin it, so this is asked with patience.
        pid = number_in(self._folder / "nats-server.pid")
        deadline = time.monotonic() + ANSWER_TIMEOUT
        while answer is Answer.FOREIGN and pid and alive(pid):
            if time.monotonic() > deadline:
                raise BrokerUnavailable(f"nats-server (process {pid}) of {self._folder} does not answer: end it")
            answer = await probe(port, self.token, self._host)
        if answer is Answer.FOREIGN and self._wanted_port:
            raise BrokerUnavailable(
                f"port {port} is taken by another program: choose another in [queue] nats_port, or 0 for a free one"
            )
        if answer is Answer.OURS:
            log.info("adopted the nats-server that runs on port %d", port)
            self.port = port
        return answer is Answer.OURS

    async def _spawn_somewhere(self) -> None:
        remembered = number_in(self._folder / "port")
        if not self._wanted_port and remembered and await probe(remembered, self.token, self._host) is Answer.NOBODY:
            candidates = [remembered, 0, 0]
        else:
            candidates = [self._wanted_port] if self._wanted_port else [0, 0, 0]
        for number, candidate in enumerate(candidates):
            self.port = candidate or free_port(self._host)
            try:
                await self._spawn()
                break
            except PortTaken:
                if number == len(candidates) - 1:
                    raise
        write_private(self._folder / "port", str(self.port))

    async def _spawn(self) -> None:
        program = nats_server_binary()
        config = self._folder / "nats-server.conf"
        try:
            write_private(config, self._config())
            # What it says goes into files, not pipes: it may outlive us. They tell of the last start only.
            (self._folder / "nats-server.log").unlink(missing_ok=True)
            errors = (self._folder / "nats-server.err").open("wb")
        except OSError as problem:
            raise StorageFull(f"{self._folder} cannot be written ({problem.strerror})") from None
        with errors:
            try:
                # A session of its own: Ctrl-C in the terminal must not stop it before the jobs are put away.
                self._process = await asyncio.create_subprocess_exec(
                    program,
                    "-c",
                    config,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env=server_environment(os.environ),
                    start_new_session=True,
                )
            except OSError as problem:
                raise BrokerUnavailable(f"{program} cannot be started: {problem.strerror}") from None
        await self._wait_for_greeting(self._process)

    async def _wait_for_greeting(self, process: asyncio.subprocess.Process) -> None:
        ended = asyncio.create_task(process.wait())
        deadline = time.monotonic() + ANSWER_TIMEOUT
        try:
            while time.monotonic() < deadline:
                if await probe(self.port, self.token, self._host) is Answer.OURS:
                    return
                await asyncio.wait({ended}, timeout=0.05)
                if ended.done():
                    raise start_error(self.port, complaint(self._folder))
        finally:
            ended.cancel()
        process.kill()
        raise BrokerUnavailable(f"nats-server gave no answer in {ANSWER_TIMEOUT:.0f} s; see its log in {self._folder}")

    def _config(self) -> str:
        def quoted(value: object) -> str:
            return json.dumps(str(value), ensure_ascii=False)

        listen = f"{self._listen}:{self.port}" if ":" not in self._listen else quoted(f"[{self._listen}]:{self.port}")
        lines = (
            f"listen: {listen}",
            "server_name: daguerre",
            f"authorization {{ token: {quoted(self.token)} }}",
            f"max_payload: {MAX_PAYLOAD}",
            f"pid_file: {quoted(self._folder / 'nats-server.pid')}",
            f"log_file: {quoted(self._folder / 'nats-server.log')}",
            "logfile_size_limit: 10MB",
            "logfile_max_num: 3",
            # By default an acknowledged message reaches the disk up to two minutes later, and what was free on the disk
            # at the start is the limit for ever.
            f"jetstream {{ store_dir: {quoted(self._folder / 'jetstream')}",
            "sync_interval: always, max_file_store: 1TB }",
        )
        if self._tls[0]:
            certificate, key = self._tls
            lines = (*lines, f"tls {{ cert_file: {quoted(certificate)}, key_file: {quoted(key)} }}")
        return "\n".join(lines) + "\n"

    def _remember(self, name: str, fresh: str) -> str:
        path = self._folder / name
        if not path.exists():
            write_private(path, fresh)
        return path.read_text().strip()

    # Watching

    async def _supervise(self) -> None:
        wait = 0.2
        while True:
            began = time.monotonic()
            await self._ended()
            self.problem = "nats-server ended and is being started again"
            log.warning("%s", self.problem)
            wait = 0.2 if time.monotonic() - began > 30 else min(wait * 2, 10.0)
            while True:
                try:
                    # On the same port: clients come back to where it was.
                    await self._spawn()
                    break
                except QueueUnavailable as problem:
                    self.problem = str(problem)
                    log.warning("nats-server cannot be started again: %s", problem)
                    await asyncio.sleep(wait)
                    wait = min(wait * 2, 10.0)
            self.problem = None

    async def _ended(self) -> None:
        if self._process is not None:
            await self._process.wait()
            return
        while True:
            # An adopted server is not our child: look now and then.
            if await probe(self.port, self.token, self._host) is Answer.NOBODY:
                return
            await asyncio.sleep(1.0)

    async def _gone(self, pid: int) -> bool:
        deadline = time.monotonic() + ANSWER_TIMEOUT
        if self._process is not None and self._process.pid == pid:
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    await self._process.wait()
            except TimeoutError:
                return False
            return True
        while time.monotonic() < deadline:
            if not alive(pid):
                return True
            await asyncio.sleep(0.02)
        return False
