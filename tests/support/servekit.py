"""A whole `daguerre serve` as its own processes, against the stand-in for Discord."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from PIL import Image

if TYPE_CHECKING:
    from standin.driver import StandIn

#: Two starts of torch and a few pictures fit in it, also on a machine that does other things.
MOST_SECONDS = 150.0


class Running:
    """A `daguerre serve` with its worker."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "daguerre.app", "serve"], env=self.environment, stderr=log, stdout=log
            )

    def kill(self) -> None:
        """As the machine would: no goodbye."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def worker(self) -> psutil.Process | None:
        assert self.process is not None
        for child in psutil.Process(self.process.pid).children():
            if "worker" in child.cmdline():
                return child
        return None

    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    async def until(self, condition: Callable[[], Any]) -> Any:
        for _ in range(int(MOST_SECONDS / 0.05)):
            if value := condition():
                return value
            await asyncio.sleep(0.05)
        raise AssertionError(f"not reached in {MOST_SECONDS:g} s:\n{self.log()}")


def environment_of(standin: StandIn, data: Path, **more: str) -> dict[str, str]:
    """Variables of such a process, and of commands beside it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DAGUERRE_", "DISCORD_"))}
    return {
        **kept,
        **standin.environment(),
        "DAGUERRE_STORAGE__DATA_DIR": str(data),
        "DAGUERRE_WEB__PORT": "0",
        "DAGUERRE_QUEUE__ACK_WAIT_SECONDS": "4",
        **more,
    }


def finished(message: Any) -> bool:
    """The buttons of a result are there; a card has but one, and perhaps a preview."""
    return len(message.buttons) > 1


def times_finished(record: Any) -> int:
    """How often pictures arrived that are no preview."""
    return sum(not state.attachments[0].filename.startswith("preview") for state in record.arrivals)


def pictures(message: Any) -> list[Image.Image]:
    return [Image.open(io.BytesIO(attachment.data)) for attachment in message.attachments]
