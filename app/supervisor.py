"""Keeps child processes running: starts them again, stops them with us, tells why one cannot start."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

log = logging.getLogger(__name__)

#: Exit status of a child that is configured wrongly (sysexits.h): starting it again at once would not help.
MISCONFIGURED = 78
#: Ends in a row after which a child counts as one that cannot start, whatever its status.
HOPELESS = 3
#: What an owner can run to see more.
DOCTOR = "scripts/start doctor (in a container: daguerre doctor)"
#: Longest reason of a child that is repeated, in characters.
SAID = 600


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How long the supervisor waits, in seconds."""

    #: Before the first restart; doubled with every further one.
    first: float = 0.1
    longest: float = 30.0
    #: Before a child that is configured wrongly is tried again.
    misconfigured: float = 60.0
    #: A child that ran for so long counts as having worked: its next restart is a first one.
    proven: float = 30.0
    #: From SIGTERM to SIGKILL.
    grace: float = 7.5

    def before_restart(self, failures: int, status: int) -> float:
        """Seconds to wait after the `failures`-th end in a row (from 1). Pure."""
        if status == MISCONFIGURED:
            return self.misconfigured
        return min(self.longest, self.first * 2 ** min(failures - 1, 30))


class Supervisor:
    """One child process for each command, for as long as `run` runs.

    A child's standard input is a pipe from us and never written to: it ends when we do, however we do. The last line
    of its standard output, which is a pipe to us, is its reason when it cannot start. `tell` hears each reason once.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        environment: Mapping[str, str],
        policy: RestartPolicy | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._commands = commands
        self._environment = dict(environment)
        self._policy = policy or RestartPolicy()
        self._states = dict.fromkeys(commands, "not started")
        self._tell = tell
        #: Why a child cannot start; of those that can, nothing.
        self._troubles: dict[str, str] = {}
        self._told: set[str] = set()
        self._begun: dict[str, float] = {}

    def states(self) -> Mapping[str, str]:
        """What each child is doing, in words for the owner."""
        return dict(self._states)

    def trouble(self) -> str | None:
        """Why no child can start, in words for the owner; None while one of them may."""
        now = time.monotonic()
        for name in self._commands:
            proven = name in self._begun and now - self._begun[name] >= self._policy.proven
            if name not in self._troubles or proven:
                return None
        return next(iter(self._troubles.values()), None)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep every child running until `stop` is set; returns when all have ended."""
        async with asyncio.TaskGroup() as tasks:
            for name, command in self._commands.items():
                tasks.create_task(self._keep(name, command, stop), name=f"supervise {name}")

    async def _keep(self, name: str, command: Sequence[str], stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            begun = time.monotonic()
            status, said = await self._run_once(name, command, stop)
            self._begun.pop(name, None)
            if stop.is_set():
                break
            failures = 1 if time.monotonic() - begun >= self._policy.proven else failures + 1
            pause = self._policy.before_restart(failures, status)
            self._states[name] = f"ended with status {status}; starts again in {pause:g} s"
            level = logging.DEBUG if name in self._troubles else logging.WARNING
            log.log(level, "child ended name=%s status=%d restart_in=%gs", name, status, pause)
            self._judge(name, status, failures, said)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
        self._states[name] = "stopped"

    def _judge(self, name: str, status: int, failures: int, said: str) -> None:
        """Whether this child cannot start, and the one line about it."""
        if status == MISCONFIGURED and said:
            reason = said
        elif status == MISCONFIGURED or failures >= HOPELESS:
            reason = f"{name} ends again and again with status {status}; the log says why, and so does {DOCTOR}"
        else:
            self._troubles.pop(name, None)
            return
        self._troubles[name] = reason
        if reason not in self._told:
            self._told.add(reason)
            if self._tell is not None:
                self._tell(reason)

    async def _run_once(self, name: str, command: Sequence[str], stop: asyncio.Event) -> tuple[int, str]:
        """Start the child and wait for its end, which `stop` brings about.

        Gives the exit status, -9 for SIGKILL, and the last line that the child printed.
        """
        try:
            # A session of its own: Ctrl-C in the terminal goes to us, and we stop it in order.
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, env=self._environment, start_new_session=True
            )
        except OSError as error:
            log.error("child cannot start name=%s reason=%s", name, error)  # noqa: TRY400 - no traceback wanted
            return 127, ""
        last = f"; the last one could not start: {self._troubles[name]}" if name in self._troubles else ""
        self._states[name] = f"running, process {process.pid}{last}"
        log.log(logging.DEBUG if last else logging.INFO, "child started name=%s pid=%d", name, process.pid)
        self._begun[name] = time.monotonic()
        hearing = asyncio.ensure_future(_last_line(process))
        ended = asyncio.ensure_future(process.wait())
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await self._end(name, process, ended)
            # Somebody whom the child started may hold its output open for longer than it lives.
            await asyncio.wait({hearing}, timeout=1)
            return ended.result(), hearing.result() if hearing.done() else ""
        finally:
            stopping.cancel()
            hearing.cancel()
            if not ended.done():  # we were cancelled ourselves: leave nothing behind
                process.kill()
                await asyncio.shield(ended)
            if process.stdin is not None:
                process.stdin.close()

    async def _end(self, name: str, process: Process, ended: asyncio.Future[int]) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await asyncio.wait({ended}, timeout=self._policy.grace)
        if not ended.done():
            log.warning("child killed name=%s after=%gs", name, self._policy.grace)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await ended


async def _last_line(process: Process) -> str:
    """What the child said last on its standard output, which is read to its end so that it never blocks."""
    assert process.stdout is not None
    tail = b""
    while piece := await process.stdout.read(4096):
        tail = (tail + piece)[-2 * SAID :]
    lines = tail.decode(errors="replace").strip().splitlines()
    return lines[-1][-SAID:].strip() if lines else ""
