"""A `daguerre serve` in a process of its own, without weights and without workers unless a test says otherwise."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Serve:
    """A running `daguerre serve`; its log so far is `log()`."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self.folder = folder

    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    def until(self, condition: Callable[[], Any], seconds: float = 30) -> Any:
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert self.process.poll() is None, f"ended early:\n{self.log()}"
            assert time.monotonic() < deadline, f"not reached in time:\n{self.log()}"
            time.sleep(0.05)
        return value

    def address(self) -> str:
        return self.until(lambda: re.search(r"api ready url=(\S+)", self.log()))[1]

    def health(self) -> dict[str, Any]:
        with DIRECT.open(f"{self.address()}/healthz", timeout=5) as answer:
            return json.load(answer)


@contextmanager
def serve(folder: Path, **settings: str) -> Iterator[Serve]:
    """Starts it with its data in `folder` and no weights, stops it at the end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DAGUERRE_", "DISCORD_"))}
    environment = {
        **kept,
        "DAGUERRE_STORAGE__DATA_DIR": str(folder / "data"),
        "DAGUERRE_RENDER__WEIGHTS": str(folder / "no-weights"),
        "DAGUERRE_RENDER__DEVICES": "[]",
        "DAGUERRE_WEB__PORT": "0",
        **settings,
    }
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "daguerre.app", "serve"], env=environment, stderr=log)
    running = Serve(process, folder)
    try:
        yield running
    finally:
        process.terminate()
        try:
            process.wait(15)
        finally:
            process.kill()
            process.wait()
