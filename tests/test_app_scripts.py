"""scripts/start and scripts/test: what they decide before anything is installed.

A real installation takes minutes; here `.venv` holds a program that prints its arguments.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the scripts, set up as far as the stamp tells."""
    root = tmp_path / "my clone"
    shutil.copytree(PROJECT / "scripts", root / "scripts")
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(PROJECT / name, root / name)
    program = root / ".venv" / "bin" / "daguerre"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "in $PWD:"; for word in "$@"; do echo "<$word>"; done\n')
    program.chmod(0o755)
    stamp(root, "start")
    return root


def stamp(root: Path, kind: str) -> None:
    state = f'root="{root}"; . "$root/scripts/setup.sh"; setup_state'
    text = subprocess.run(["sh", "-c", state], capture_output=True, check=True).stdout
    (root / ".venv" / f".daguerre-{kind}").write_bytes(text)


def start(root: Path, *arguments: str, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    """Run scripts/start from another folder, where no Python is found unless `path` has one."""
    environment = {"PATH": path, "DAGUERRE_PYTHON": "/no/such/python"}
    return subprocess.run(
        [str(root / "scripts" / "start"), *arguments], cwd=root.parent, env=environment, capture_output=True, text=True
    )


def test_nothing_is_installed_again(clone: Path) -> None:
    """With an unchanged lock the program starts at once, in the caller's folder, with its arguments as they are."""
    answer = start(clone, "imagine", "a red  apple", "--out", "apple.png")
    assert answer.stdout.splitlines() == [
        f"in {clone.parent}:",
        "<imagine>",
        "<a red  apple>",
        "<--out>",
        "<apple.png>",
    ]
    assert (answer.returncode, answer.stderr) == (0, "")


def test_serve_is_what_start_starts(clone: Path) -> None:
    """Without arguments it runs `daguerre serve`."""
    assert "<serve>" in start(clone).stdout


def test_the_test_environment_serves_as_well(clone: Path) -> None:
    """scripts/test installs all that scripts/start needs."""
    (clone / ".venv" / ".daguerre-start").unlink()
    stamp(clone, "test")
    assert start(clone, "version").returncode == 0


@pytest.mark.parametrize("what", ["requirements.lock", "pyproject.toml", "moved", "interrupted"])
def test_changes_are_noticed(clone: Path, what: str, tmp_path: Path) -> None:
    """Another lock, other metadata, another place or an interrupted set-up: it is set up again."""
    if what == "moved":
        clone = clone.rename(tmp_path / "elsewhere")
    elif what == "interrupted":
        (clone / ".venv" / ".daguerre-start").unlink()
    else:
        with (clone / what).open("a") as file:
            file.write("# changed\n")
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "dirname", "cat", "cmp", "df", "awk", "rm", "flock"):
        if found := shutil.which(tool):
            (tools / tool).symlink_to(found)
    answer = start(clone, "version", path=str(tools))
    assert answer.returncode == 1
    assert "no Python 3.11 or newer found" in answer.stderr
    assert "apt install" in answer.stderr


@pytest.mark.parametrize("script", ["scripts/start", "scripts/test", "scripts/setup.sh", ".ci/run"])
def test_scripts_are_plain_shell(script: str) -> None:
    """They parse in a POSIX shell, and those to be run are executable."""
    file = PROJECT / script
    subprocess.run(["sh", "-n", str(file)], check=True)
    assert file.suffix == ".sh" or file.stat().st_mode & 0o111
