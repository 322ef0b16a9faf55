"""A real PostgreSQL for tests, from Debian's package: made in a folder of its own, on a free port."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def programs() -> Path | None:
    """Folder of initdb and postgres; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    named = shutil.which("initdb")
    return found[0].parent if found else Path(named).parent if named else None


class Postgres:
    """One server; `url` for [queue] database_url."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.folder = folder
        self._binaries = binaries
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    @property
    def url(self) -> str:
        return f"postgresql://daguerre@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        arguments = ("-D", str(self.folder / "data"), "-U", "daguerre", "-A", "trust", "--no-sync", "-E", "UTF8")
        subprocess.run([self._binaries / "initdb", *arguments], check=True, capture_output=True, **_as_postgres())

    def start(self) -> None:
        command = [self._binaries / "postgres", "-D", str(self.folder / "data"), "-p", str(self.port), "-h",
                   "127.0.0.1", "-k", str(self.folder), "-c", "max_connections=40"]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **_as_postgres()
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            ready = [self._binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(self.port)]
            if subprocess.run(ready, capture_output=True, check=False).returncode == 0:
                return
            assert self._process.poll() is None, "postgres ended at once"
            time.sleep(0.1)
        raise AssertionError("postgres does not answer")

    def stop(self) -> None:
        """At once, as by a power cut of its machine."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)


def _as_postgres() -> dict[str, Any]:
    """It refuses to run as root."""
    if os.getuid():
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "cwd": "/"}


@contextmanager
def a_postgres() -> Iterator[Postgres]:
    """Running; the test is skipped, visibly, where none is installed."""
    binaries = programs()
    if binaries is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    pytest.importorskip("asyncpg", reason="the driver of PostgreSQL is missing: pip install asyncpg")
    with tempfile.TemporaryDirectory(prefix="daguerre-pg-") as name:
        folder = Path(name)
        if not os.getuid():
            shutil.chown(folder, "postgres", "postgres")
        server = Postgres(folder, binaries)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
