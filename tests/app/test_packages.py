"""What is said when packages are missing: which, and the command that brings them; never the one that was just run."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from daguerre.app import packages

PROJECT = Path(__file__).resolve().parents[2]
EXTRAS = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
#: Every command that needs more than the base, and with which extra.
NEEDS = [
    ("worker", "worker", "--nats", "nats://127.0.0.1:9"),
    ("worker", "imagine", "a", "--out", "a.png"),
    ("worker", "synthesize", "prompts.txt", "set"),
    ("worker", "sheet", "a", "--out", "a.png"),
    ("worker", "reproduce", "apple.png"),
    ("data", "data", "build"),
    ("data", "data", "import", "."),
    ("data", "train", "recipe.toml"),
    ("data", "evaluate"),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/start").touch()
    (tmp_path / ".venv").mkdir()
    return tmp_path


def test_the_remedy_is_not_what_was_just_run(project: Path) -> None:
    """What scripts/start installed once is not mended by scripts/start."""
    venv = project / ".venv"
    assert packages.remedy("worker", project, venv) == "scripts/start brings them"
    assert packages.remedy("data", project, venv) == "scripts/start --with data brings them"
    (venv / ".daguerre-start").touch()
    assert "scripts/start --repair" in packages.remedy("worker", project, venv)
    assert packages.remedy("data", project, venv) == "scripts/start --with data brings them"
    (venv / ".daguerre-data").touch()
    assert "scripts/start --repair" in packages.remedy("data", project, venv)
    assert packages.remedy("worker", project, project / "another") == "scripts/start brings them"
    assert "docker build" in packages.remedy("worker", project / "image", venv)


def test_nothing_is_missing_here() -> None:
    """This environment holds every extra; a name that no package has would be found missing."""
    assert packages.missing("worker") == packages.missing("data") == ()
    assert "resvg-py is missing here; " in packages.text_of(("resvg-py",), "data")


def run(folder: Path, hidden: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a Python that does not find some distributions, nor any of their modules."""
    (folder / "sitecustomize.py").write_text(
        f"""
import importlib.abc, importlib.metadata, re, sys
HIDDEN = {hidden!r}
found = importlib.metadata.distribution
def distribution(name):
    if re.sub("[-_.]+", "-", name).lower() in HIDDEN:
        raise importlib.metadata.PackageNotFoundError(name)
    return found(name)
importlib.metadata.distribution = distribution
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].replace("_", "-") in HIDDEN:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Finder())
"""
    )
    return subprocess.run(
        [sys.executable, "-m", "daguerre.app", *arguments], cwd=folder, capture_output=True, text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder), "DAGUERRE_STORAGE__DATA_DIR": str(folder / "data")},
    )  # fmt: skip


@pytest.mark.parametrize("needs", NEEDS, ids=lambda needs: " ".join(needs[1:3]))
def test_every_command_says_what_it_lacks(tmp_path: Path, needs: tuple[str, ...]) -> None:
    """One line with the package and the command that brings it; no traceback, no wait for torch."""
    extra, *arguments = needs
    for name in ("apple.png", "prompts.txt", "recipe.toml"):
        (tmp_path / name).touch()
    hidden = {"worker": ("torch", "diffusers"), "data": ("resvg-py", "inflect")}[extra]
    answer = run(tmp_path, hidden, *arguments)
    assert answer.returncode == 78, answer.stderr
    assert answer.stderr.count("\n") == 1, answer.stderr
    assert all(name in answer.stderr for name in hidden)
    assert "scripts/start" in answer.stderr


def test_a_package_of_a_package_is_told_too(tmp_path: Path) -> None:
    """What is not named in an extra, but needed by one that is: its name, and how to make the environment anew."""
    answer = run(tmp_path, ("sympy",), "imagine", "a red apple", "--out", "a.png")
    assert answer.returncode == 78, answer.stderr
    assert "the package sympy is missing" in answer.stderr
    assert "scripts/start --repair" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_package_of_the_base_is_told_too(tmp_path: Path) -> None:
    """Without it not even the command line can be read: one line all the same."""
    answer = run(tmp_path, ("pydantic",), "version")
    assert answer.returncode == 78
    assert answer.stderr == "daguerre: the package pydantic is missing here: scripts/start brings what is new\n"


@pytest.mark.parametrize("command", ["worker", "queue", "data build"])
def test_help_texts_keep_their_brackets(tmp_path: Path, command: str) -> None:
    """ "[queue]" in a help text is a section of config.toml, not a style."""
    answer = run(tmp_path, (), *command.split(), "--help")
    assert answer.returncode == 0
    if command == "worker":
        assert "[queue] nats_url" in answer.stdout
