"""docs/ARCHITECTURE.md says where to change what, and what it says is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
#: Code files that one everyday change may need.
MOST = 3


def rows() -> list[tuple[str, str, str]]:
    """Change, code, besides."""
    page = (PROJECT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = page.partition("## Where to change what")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("| ")][1:]
    return [(cells[1], cells[2], cells[3]) for cells in ([cell.strip() for cell in line.split("|")] for line in table)]


def files(cell: str) -> list[str]:
    return re.findall(r"`([\w./-]+/[\w./-]+\.\w+|config\.toml)`", cell)


def test_ten_changes_are_named() -> None:
    """The everyday ones."""
    assert len(rows()) == 10


@pytest.mark.parametrize(("change", "code", "besides"), rows(), ids=lambda cell: cell[:30])
def test_the_named_files_exist_and_are_few(change: str, code: str, besides: str) -> None:
    """At most three files of code, each of them there."""
    found = files(code)
    assert found or code == "none", change
    assert len(found) <= MOST, change
    assert [name for name in (*found, *files(besides)) if not (PROJECT / name).is_file()] == []


def test_no_module_is_long() -> None:
    """Read whole in one go: none above 350 lines, half of them below 120."""
    lengths = sorted(
        (len(file.read_text(encoding="utf-8").splitlines()), str(file.relative_to(PROJECT)))
        for folder in ("app", "bot", "models", "queue", "web")
        for file in (PROJECT / folder).rglob("*.py")
    )
    assert [found for found in lengths if found[0] > 350] == []
    assert lengths[len(lengths) // 2][0] <= 120
