"""What scripts/check-installs stands on, as far as that is known without installing: every import is declared."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def script(name: str) -> ModuleType:
    """A file of scripts/ as a module; nothing in it runs."""
    spec = importlib.util.spec_from_file_location(name, PROJECT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its records look themselves up there
    spec.loader.exec_module(module)
    return module


declared = script("declared")
WORKER = sorted(declared.declared(PROJECT)["worker"])


def test_every_import_is_declared() -> None:
    """What the source imports is named in pyproject.toml, by the extra of those who use it."""
    assert declared.undeclared(PROJECT, everything=True) == []


@pytest.mark.parametrize("package", WORKER)
def test_no_package_of_the_worker_can_be_left_out(package: str) -> None:
    """Without any one of them in the lists, scripts/check-installs fails: something imports it, and says where."""
    found = declared.undeclared(PROJECT, everything=True, without=package)
    assert found
    assert all(f"{package} is named in no list" in line or f"{package} or " in line for line in found), found


def test_every_command_is_tried() -> None:
    """A new command of the command line has to be named in scripts/check_installs.py, too."""
    from typer.main import get_command

    from daguerre.app.cli import app

    sys.path.insert(0, str(PROJECT / "scripts"))
    try:
        tried = set(script("check_installs").COMMANDS)
    finally:
        sys.path.remove(str(PROJECT / "scripts"))
    there: set[str] = set()
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        further = getattr(command, "commands", None)
        there |= {f"{name} {each}" for each in further} if further else {name}
    assert tried == there
