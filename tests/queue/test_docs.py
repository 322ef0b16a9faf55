"""docs/reliability.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reliability.md"


def test_every_test_that_the_page_names_exists() -> None:
    """In the file that it is said to be in: a name without one is of the file named before it."""
    missing: list[str] = []
    named = 0
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        file = ""
        for found in re.finditer(r"`(?:((?:\w+/)*test_\w+\.py)(?:::)?)?(test_\w+)?`", line):
            file = found[1] or file
            if not file:
                continue
            named += 1
            path = TESTS / file
            there = path.is_file() and (found[2] is None or f"def {found[2]}(" in path.read_text(encoding="utf-8"))
            missing.extend([] if there else [found[0]])
    assert missing == []
    assert named > 50
