"""What scripts/check_installs.py stands on: running commands, and a running `serve`. Standard library only."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Seconds that one command may take; generous, for a machine that does other things as well.
MOST_SECONDS = float(os.environ.get("CHECK_SECONDS", "900"))
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


#: Runs `daguerre` with each list of words on standard input; gives [status, standard output, standard error] of each.
MANY = """
import contextlib, io, json, sys
from daguerre.app.cli import main
answers = []
for words in json.load(sys.stdin):
    sys.argv = ["daguerre", *words]
    out, err, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
    answers.append([status, out.getvalue(), err.getvalue()])
print(json.dumps(answers))
"""


class Failed(Exception):
    """The check found something wrong."""


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    words: str
    status: int
    out: str
    err: str
    seconds: float

    @property
    def all(self) -> str:
        return self.out + self.err

    def expect(self, *statuses: int, says: str = "", quiet: bool = False) -> Answer:
        """Check the exit status, a pattern in what it said, and that nobody ever sees a traceback.

        `quiet`: on success, nothing at all on standard error: no chatter of libraries.
        """
        shown = f"{self.words}\n  status {self.status}\n  {self.all.strip()[-1500:]}"
        if "Traceback" in self.all or "please report" in self.all.lower():
            raise Failed(f"a traceback: {shown}")
        if self.status not in (statuses or (0,)):
            raise Failed(f"exit status is not {statuses or (0,)}: {shown}")
        if says and not re.search(says, self.all):
            raise Failed(f"does not say {says!r}: {shown}")
        if quiet and self.err.strip():
            raise Failed(f"says something on standard error: {shown}")
        return self


class Place:
    """A clone of the project with its environment, and a folder for what commands write."""

    def __init__(self, clone: Path, work: Path) -> None:
        self.clone = clone
        self.work = work
        work.mkdir(parents=True, exist_ok=True)
        kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
        # A new machine's environment: nothing of ours. pip's own settings stay, they belong to the machine.
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name in kept
            or name.upper().startswith("PIP_")
            or name.lower().endswith("_proxy")
            or "CERT" in name.upper()
        } | {"DAGUERRE_STORAGE__DATA_DIR": str(work / "data"), "DAGUERRE_WEB__PORT": "0"}

    def run(self, *command: str | Path, cwd: Path | None = None) -> Answer:
        begun = time.monotonic()
        words = " ".join(str(each) for each in command)
        try:
            done = subprocess.run(
                [str(each) for each in command], cwd=cwd or self.work, env=self.environment, capture_output=True,
                text=True, timeout=MOST_SECONDS, stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as late:
            raise Failed(f"not done in {MOST_SECONDS:.0f} s: {words}\n{late.stderr}") from None
        return Answer(words, done.returncode, done.stdout, done.stderr, time.monotonic() - begun)

    def daguerre(self, *words: str | Path) -> Answer:
        """A command in the environment as it is."""
        return self.run(self.clone / ".venv/bin/daguerre", *words)

    def start(self, *words: str | Path) -> Answer:
        """A command by scripts/start, as the README writes it: from the clone."""
        return self.run("scripts/start", *words, cwd=self.clone)

    def many(self, calls: list[tuple[str, ...]]) -> list[Answer]:
        """Several short commands, one after the other in one process of this environment: starting takes longest.

        Each runs through the program's own `main`, with its words, its exit status and what it prints.
        """
        command = [str(self.clone / ".venv/bin/python"), "-c", MANY]
        done = subprocess.run(
            command, input=json.dumps(calls), cwd=self.work, env=self.environment, capture_output=True, text=True,
            timeout=MOST_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode:
            raise Failed(f"the command line ended with {done.returncode}: {done.stderr[-1500:]}")
        return [
            Answer(" ".join(words), status, out, err, 0.0)
            for words, (status, out, err) in zip(calls, json.loads(done.stdout), strict=True)
        ]

    def python(self, code: str, *words: str | Path) -> str:
        """What some lines of Python in this environment print."""
        return self.run(self.clone / ".venv/bin/python", "-c", code, *words).expect().out.strip()

    @contextmanager
    def serve(self) -> Iterator[Serve]:
        """A running `scripts/start` (serve); it is stopped by SIGTERM at the end and must leave with 0."""
        log = self.work / "serve.log"
        with log.open("w") as file:
            process = subprocess.Popen(
                [str(self.clone / ".venv/bin/daguerre"), "serve"], cwd=self.work, env=self.environment,
                stdout=file, stderr=file, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            yield Serve(process, log)
            process.send_signal(signal.SIGTERM)
            status = process.wait(60)
            if status or "Traceback" in log.read_text():
                raise Failed(f"serve ended with {status}:\n{log.read_text()[-2000:]}")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


class Serve:
    """A running `serve`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def until(self, pattern: str) -> re.Match[str]:
        """Wait until its log says something."""
        deadline = time.monotonic() + MOST_SECONDS
        while not (found := re.search(pattern, self.log.read_text(encoding="utf-8"))):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"serve never said {pattern!r}:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.2)
        return found

    def address(self) -> str:
        """Once it says "Open …": when pictures can be asked for, or when it is plain that none will come."""
        return self.until(r"(?m)^Open (http://\S+)$")[1]

    def get(self, path: str, body: Any = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address() + path, data, {"Content-Type": "application/json"})  # noqa: S310
        with DIRECT.open(request, timeout=60) as answer:
            return answer.read()


def clone(root: Path, to: Path) -> Path:
    """What is committed, as a user gets it."""
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(root), str(to)], check=True)
    return to


def uncommitted(root: Path) -> bool:
    """Whether files differ from what is committed."""
    command = ["git", "status", "--porcelain"]
    return bool(subprocess.run(command, cwd=root, capture_output=True, check=True).stdout.strip())


def make_environment(place: Place, extras: str = "") -> None:
    """A fresh venv from the lock with what pyproject.toml names; compiled as it is used, as scripts/start does."""
    place.run(sys.executable, "-m", "venv", place.clone / ".venv").expect()
    pip = (
        place.clone / ".venv/bin/python", "-m", "pip", "--disable-pip-version-check", "--no-input", "install",
        "--quiet", "--no-compile", "-c", place.clone / "requirements.lock",
    )  # fmt: skip
    place.run(*pip, "setuptools").expect()
    place.run(*pip, "--no-build-isolation", "-e", f"{place.clone}{extras}").expect()


def size_of(folder: Path) -> str:
    """What a folder takes on the disk."""
    total = sum(file.lstat().st_blocks for file in folder.rglob("*")) * 512
    return f"{total / 1e9:.2f} GB"


def room(folder: Path) -> None:
    """Refuse to begin where it cannot end."""
    free = shutil.disk_usage(folder).free
    if free < 4e9:
        raise Failed(f"only {free / 1e9:.1f} GB free in {folder}; this needs about 4 (TMPDIR names another folder)")
