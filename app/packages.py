"""Which of the project's packages are installed here, and the command that brings what is missing.

`pyproject.toml` says what each extra holds; an installation knows it too, so nothing is imported to find out.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path
from typing import Literal

from .errors import PackagesMissing
from .settings import PROJECT

Extra = Literal["worker", "data", "tracing"]
#: What each extra is needed for, in words.
FOR: dict[Extra, str] = {
    "worker": "drawing needs more packages",
    "data": "data sets and training need more packages",
    "tracing": "[log] traces needs more packages",
}
#: What each extra stands on besides itself.
_BELOW: dict[Extra, tuple[Extra, ...]] = {"worker": (), "data": ("worker",), "tracing": ()}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_OF_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


def need(extra: Extra) -> None:
    """Look for the packages of `extra` and of what it stands on, and have those libraries speak of errors only.

    Raises:
        PackagesMissing: names the packages and the command that brings them.
    """
    silence()
    for each in (*_BELOW[extra], extra):
        if lacking := missing(each):
            raise PackagesMissing(text_of(lacking, each))


def missing(extra: Extra) -> tuple[str, ...]:
    """The packages of `extra` that are not installed, by name."""
    found: list[str] = []
    for requirement in requires("daguerre") or ():
        of, name = _OF_EXTRA.search(requirement), _NAME.match(requirement)
        if of and name and of[1] == extra:
            try:
                distribution(name[0])
            except PackageNotFoundError:
                found.append(name[0])
    return tuple(found)


def text_of(packages: tuple[str, ...], extra: Extra) -> str:
    """What is missing, for what, and what brings it: one line."""
    names = ", ".join(packages[:4]) + (f" and {len(packages) - 4} more" if len(packages) > 4 else "")
    verb = "is" if len(packages) == 1 else "are"
    return f"{FOR[extra]}: {names} {verb} missing here; {remedy(extra)}"


def remedy(extra: Extra, project: Path = PROJECT, prefix: Path | None = None) -> str:
    """The command that brings the packages of `extra`, seen from this installation: never one that was just run."""
    if extra == "tracing":
        return f"{sys.executable} -m pip install -c requirements.lock -e '.[tracing]' in the project brings them"
    if not (project / "scripts" / "start").is_file():
        # A container: its packages were chosen when it was built.
        return (
            "this is the image without rendering; docker build -t daguerre . makes the one with it"
            if extra == "worker"
            else f"{sys.executable} -m pip install -c requirements.lock -e '.[worker,data]' in a clone of the project"
        )
    here = prefix or Path(sys.prefix)
    environment = project / ".venv"
    marks = {"worker": ("start", "data", "test"), "data": ("data", "test")}[extra]
    whole = here.resolve() == environment.resolve() and any(
        (environment / f".daguerre-{mark}").exists() for mark in marks
    )
    if whole:  # it was all installed once: something took it away or broke it
        return "the environment is damaged; scripts/start --repair makes it anew"
    return "scripts/start --with data brings them" if extra == "data" else "scripts/start brings them"


def silence() -> None:
    """Before torch's friends are imported: nothing is fetched, and their warnings are about what nobody can change."""
    os.environ |= {
        "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error",
        "DIFFUSERS_VERBOSITY": "error", "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
        "TQDM_DISABLE": "1",  # their bars; ours are rich's
    }  # fmt: skip


def import_behind(error: BaseException | None) -> ImportError | None:
    """The failed import that an error comes from, if one does: transformers, for one, wraps it, twice."""
    found: ImportError | None = None
    while error is not None:
        if isinstance(error, ImportError) and (found is None or error.name):
            found = error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found


def of_import(error: ImportError) -> PackagesMissing:
    """The same for an import that failed although everything named was there: a package of a package is missing."""
    name = (error.name or "").partition(".")[0]
    lacking: dict[Extra, tuple[str, ...]] = {extra: missing(extra) for extra in _BELOW}
    for extra, packages in lacking.items():
        if any(_same(name, package) for package in packages):
            return PackagesMissing(text_of(packages, extra))
    what = f"the package {name} is missing or broken here" if name else f"a package is broken here ({error})"
    return PackagesMissing(f"{what}: {_again()}")


def _same(module: str, package: str) -> bool:
    """Whether a package of this name may hold that module: resvg-py and resvg_py."""
    return re.sub(r"[-_.]+", "_", module).lower() in re.sub(r"[-_.]+", "_", package).lower()


def _again() -> str:
    inside = (PROJECT / "scripts" / "start").is_file()
    return "scripts/start --repair makes the environment anew" if inside else "build the image again"
