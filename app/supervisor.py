"""Keeps child processes running: starts them again when they end, stops them with us."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

log = logging.getLogger(__name__)

#: Exit status of a child that is configured wrongly (sysexits.h): starting it again at once would not help.
MISCONFIGURED = 78


@dataclass(frozen=True, slots=True)
class Patience:
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

    A child's standard input is a pipe from us and never written to: it ends when we do, however we do.
    """

    def __init__(
        self, commands: Mapping[str, Sequence[str]], environment: Mapping[str, str], patience: Patience | None = None
    ) -> None:
        self._commands = commands
        self._environment = dict(environment)
        self._patience = patience or Patience()
        self._states = dict.fromkeys(commands, "not started")

    def states(self) -> Mapping[str, str]:
        """What each child is doing, in words for the owner."""
        return dict(self._states)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep every child running until `stop` is set; returns when all have ended."""
        async with asyncio.TaskGroup() as tasks:
            for name, command in self._commands.items():
                tasks.create_task(self._keep(name, command, stop), name=f"supervise {name}")

    async def _keep(self, name: str, command: Sequence[str], stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            begun = time.monotonic()
            status = await self._run_once(name, command, stop)
            if stop.is_set():
                break
            failures = 1 if time.monotonic() - begun >= self._patience.proven else failures + 1
            pause = self._patience.before_restart(failures, status)
            self._states[name] = f"ended with status {status}; starts again in {pause:g} s"
            log.warning("child ended name=%s status=%d restart_in=%gs", name, status, pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
        self._states[name] = "stopped"

    async def _run_once(self, name: str, command: Sequence[str], stop: asyncio.Event) -> int:
        """Start the child and wait for its end, which `stop` brings about. Gives the exit status, -9 for SIGKILL."""
        try:
            # A session of its own: Ctrl-C in the terminal goes to us, and we stop it in order.
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, env=self._environment, start_new_session=True
            )
        except OSError as error:
            log.error("child cannot start name=%s reason=%s", name, error)  # noqa: TRY400 - no traceback wanted
            return 127
        self._states[name] = f"running, process {process.pid}"
        log.info("child started name=%s pid=%d", name, process.pid)
        ended = asyncio.ensure_future(process.wait())
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await self._end(name, process, ended)
            return ended.result()
        finally:
            stopping.cancel()
            if not ended.done():  # we were cancelled ourselves: leave nothing behind
                process.kill()
                await asyncio.shield(ended)
            if process.stdin is not None:
                process.stdin.close()

    async def _end(self, name: str, process: Process, ended: asyncio.Future[int]) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await asyncio.wait({ended}, timeout=self._patience.grace)
        if not ended.done():
            log.warning("child killed name=%s after=%gs", name, self._patience.grace)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await ended
