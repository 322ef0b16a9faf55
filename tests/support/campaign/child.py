"""Processes of the nursery, as the campaign sees them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Child:
    """A process that was forked from the nursery."""

    pid: int

    @property
    def alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def send(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.send(signal.SIGKILL)
        while self.alive:  # noqa: ASYNC110 (not our child: nobody tells us)
            await asyncio.sleep(0.005)


class Nursery:
    """Where they come from."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._births: asyncio.Queue[int] = asyncio.Queue()
        self._listening: asyncio.Task[None] | None = None
        self._bearing = asyncio.Lock()
        #: What control processes told when they were ready, by process id: address and token.
        self.ready: dict[int, tuple[str, str]] = {}

    async def open(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "campaign.nursery",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        )  # fmt: skip
        self._listening = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Those who were born live on."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            with suppress(TimeoutError):
                # Python waits for the pipe as well, and whoever was born holds it.
                await asyncio.wait_for(self._process.wait(), 10)
        if self._listening is not None:
            self._listening.cancel()

    async def bear(self, what: str, *arguments: str) -> Child:
        assert self._process is not None
        assert self._process.stdin is not None
        async with self._bearing:
            self._process.stdin.write(json.dumps([what, str(self._log), *arguments]).encode() + b"\n")
            # A busy machine may stand still for a minute.
            return Child(await asyncio.wait_for(self._births.get(), 300))

    async def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            match line.decode().split():
                case ["born", pid]:
                    self._births.put_nowait(int(pid))
                case ["up", pid, url, token]:
                    self.ready[int(pid)] = (url, token)
                case _:
                    pass
