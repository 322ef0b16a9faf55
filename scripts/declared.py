"""Says which packages the source imports that pyproject.toml does not name for it; exit status 1 if there are any.

    .venv/bin/python scripts/declared.py            the source that draws
    .venv/bin/python scripts/declared.py --all      that of data sets and training, too

What another package happens to bring along today may be gone tomorrow. Needs the packages to be installed: only they
know which modules they hold.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Folders, and the extras whose packages they may import besides the base; the first that fits a file counts.
MAY = (
    ("models/data", ("worker", "data")), ("models/training", ("worker", "data")),
    ("models/evaluation", ("worker", "data")),
    ("models/finetune", ("worker", "data")), ("models/commands/draw.py", ("worker",)),
    ("models/commands", ("worker", "data")), ("models", ("worker",)), ("app", ("worker", "tracing")), ("bot", ()),
    ("queue", ()), ("web", ()),
)  # fmt: skip


def plain(name: str) -> str:
    """A name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(project: Path) -> dict[str, set[str]]:
    """Names of the packages of the base ("") and of each extra."""
    table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = {"": table["dependencies"], **table["optional-dependencies"]}
    return {
        extra: {plain(re.match(r"[\w.-]+", each)[0]) for each in names}  # pyright: ignore[reportOptionalSubscript]
        for extra, names in lists.items()
    }


def imported(file: Path) -> Iterator[tuple[str, int]]:
    """Modules that a file imports from outside, with the line; inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module, node.lineno


def undeclared(project: Path, everything: bool, without: str = "") -> list[str]:
    """One line for each import of a package that is not named where it should be; `without`: as if that were not."""
    names = {extra: packages - {without} for extra, packages in declared(project).items()}
    holds = packages_distributions()
    found: list[str] = []
    for file in sorted(
        file for top in ("app", "bot", "models", "queue", "web") for file in (project / top).rglob("*.py")
    ):
        place = file.relative_to(project).as_posix()
        extras = next(extras for folder, extras in MAY if place == folder or place.startswith(f"{folder}/"))
        if "data" in extras and not everything:
            continue
        allowed = names[""].union(*(names[extra] for extra in extras))
        for module, line in imported(file):
            top = module.partition(".")[0]
            if top in sys.stdlib_module_names or top == "__future__":
                continue
            packages = {plain(package) for package in holds.get(top, [])} or {plain(top)}
            # What is not installed here, an extra that can be done without: by the name that it has in common.
            apart = top not in holds and any(name.startswith(f"{plain(top)}-") for name in allowed)
            if not packages & allowed and not apart:
                found.append(
                    f"{place}:{line} imports {module}: {' or '.join(sorted(packages))} is named in no list for it"
                )
    return found


if __name__ == "__main__":
    problems = undeclared(ROOT, "--all" in sys.argv[1:])
    sys.stdout.write("".join(f"{problem}\n" for problem in problems))
    sys.exit(1 if problems else 0)
