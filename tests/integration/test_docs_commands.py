"""Every command that README and docs tell to type: it stands there as it runs on a fresh machine, and it runs.

Here the words of each command are read by the command line itself, and those that are done in seconds run. What draws,
serves, installs or trains is run as it is written by scripts/check-installs.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from daguerre.app.cli import app

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
#: How a command that is told may begin: our scripts, what lies in .venv by its path, or a program of another's.
RUNS = re.compile(
    r"(?:[A-Z_]+=\S* )*(?:scripts/[\w.-]+|\.ci/run|\.venv/bin/\S+|docker|apt-get|git|mkdir|cp|bash) ?", re.ASCII
)
#: Programs that a fresh Debian does not have on its path, or forbids: they must never stand bare.
BARE = re.compile(r"(?:daguerre|pip|pip3|accelerate|torchrun|pytest|ruff|python) ")
#: What may stand where: names of things, not values.
METAVARS = {
    "URL": "nats://127.0.0.1:4222", "PROMPT": "a red apple", "FILE": "file.png", "PICTURE": "file.png", "DIR": "folder",
    "PROMPTS": "list.txt", "RECIPE": "models/recipes/smoke.toml", "WORKER": "name", "JOB": "abc",
    "weights-folder": "folder", "FOLDER": "folder", "RUN": "run",
}  # fmt: skip


def told(page: Path) -> Iterator[tuple[str, str]]:
    """Each command of a page with its place: lines of ```sh blocks, and what stands in `…` like a command."""
    text = page.read_text(encoding="utf-8")
    blocks = [(match.start(1), match[1]) for match in re.finditer(r"```sh\n(.*?)```", text, re.DOTALL)]
    for start, block in blocks:
        for number, line in enumerate(block.splitlines(), text.count("\n", 0, start) + 1):
            for part in line.partition("  #")[0].split("&&"):
                if part.strip():
                    yield f"{page.relative_to(PROJECT)}:{number}", part.strip()
    prose = re.sub(r"```.*?```", lambda match: "\n" * match[0].count("\n"), text, flags=re.DOTALL)
    for match in re.finditer(r"`([^`]+)`", prose):
        words = " ".join(match[1].split())
        if BARE.match(words) or re.match(
            r"(?:DISCORD_TOKEN=\S+ )?(?:scripts/start|scripts/test|docker|\.venv/bin/)", words
        ):
            yield f"{page.relative_to(PROJECT)}:{prose.count(chr(10), 0, match.start()) + 1}", words


ALL = [(where, command) for page in PAGES for where, command in told(page)]
OURS = [(where, command) for where, command in ALL if re.match(r"(?:DISCORD_TOKEN=\S+ )?scripts/start\b", command)]
#: In words about the source, not to be typed.
ABOUT = {"python -m daguerre.app", "python -m …", "python app/__main__.py"}
#: Done in seconds, and nothing but this project is needed: run here.
CHEAP = {"config": 0, "queue status": 69}


def words_of(command: str) -> list[str]:
    """The words behind scripts/start, with values for what only stands for one."""
    words = shlex.split(command.partition("scripts/start")[2])
    return [METAVARS.get(word, word) for word in words if word not in {"…", "..."}]


def test_there_are_commands() -> None:
    """The pages are read at all."""
    commands = {command for _, command in ALL}
    assert 'scripts/start imagine "a red apple" --out apple.png' in commands
    assert "scripts/start" in commands
    assert len(OURS) > 25


@pytest.mark.parametrize(("where", "command"), ALL, ids=[f"{where} {command[:40]}" for where, command in ALL])
def test_it_stands_as_it_runs(where: str, command: str) -> None:
    """No `daguerre …` and no `pip install …`: neither is found, or allowed, on a fresh Debian."""
    assert command in ABOUT or (RUNS.match(command) and not BARE.match(command)), where
    if program := re.match(r"(scripts/[\w.-]+|\.ci/run)", command):
        assert (PROJECT / program[1]).is_file(), where
    if page := re.search(r"\b(benchmarks/\w+\.py|tests/[\w/]+\.py|models/recipes/\w+\.toml)", command):
        assert (PROJECT / page[1]).is_file(), where


@pytest.mark.parametrize(("where", "command"), OURS, ids=[f"{where} {command[:40]}" for where, command in OURS])
def test_the_command_line_understands_it(where: str, command: str) -> None:
    """Every command and option that is told exists, and takes what stands behind it."""
    words = words_of(command)
    if not words or words[0] in {"--with", "--repair"}:  # scripts/start's own
        return
    parser = get_command(app)
    context = parser.make_context("daguerre", [words[0]], resilient_parsing=True)
    name, found, rest = parser.resolve_command(context, words)  # type: ignore[attr-defined]
    assert found is not None, where
    while hasattr(found, "commands") and rest:
        name, found, rest = found.resolve_command(context, rest)
    if hasattr(found, "commands") or not (rest or len(words) == 1):
        return
    told_names = all(word not in command for word in ("PROMPT", "PICTURE", "DIR", "…")) and rest
    try:
        found.make_context(name, list(rest))
    except typer.TyperException as problem:
        text = problem.format_message()
        # A file of the example is not here; what is left out of a line of a table is not there.
        assert "does not exist" in text or (not told_names and "Missing" in text), (where, text)


@pytest.mark.parametrize("words", CHEAP)
def test_what_is_done_in_seconds_runs(words: str, tmp_path: Path) -> None:
    """As the page tells it, in this environment."""
    assert any(command.startswith(f"scripts/start {words}") for _, command in OURS)
    answer = subprocess.run(
        [sys.executable, "-m", "daguerre.app", *words.split()], cwd=tmp_path, capture_output=True, text=True,
        env={"PATH": "/usr/bin:/bin", "DAGUERRE_STORAGE__DATA_DIR": str(tmp_path)},
    )  # fmt: skip
    assert answer.returncode == CHEAP[words], answer.stderr
    assert "Traceback" not in answer.stderr
