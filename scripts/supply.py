"""What stands behind a release: licences, known holes, a bill of materials, a wheel that anybody can build again.

    .venv/bin/python scripts/supply.py licences            of every package of locks/cpu.txt, against the list below
    .venv/bin/python scripts/supply.py audit               known vulnerabilities, by pip-audit; asks the network
    .venv/bin/python scripts/supply.py sbom OUT.json       CycloneDX, with the hashes of locks/cuda.txt (or --lock)
    .venv/bin/python scripts/supply.py wheel FOLDER        from the last commit; the same commit gives the same bytes

`licences` and `wheel` need nothing but what is installed; the others the extra `supply`. Without network `audit` says
that nothing was looked up and ends well, unless --strict is given.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from locks import LOCKS, pins

ROOT = Path(__file__).resolve().parents[1]
#: What may be shipped beside this project's MIT: permissive licences, and those that bind their own files only.
ALLOWED = frozenset(
    {
        "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CNRI-Python", "ISC", "MIT",
        "MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib",
    }
)  # fmt: skip
#: Other ways to write them, in lower case.
ALSO = {
    "apache": "Apache-2.0", "apache 2": "Apache-2.0", "apache 2.0": "Apache-2.0", "apache license": "Apache-2.0",
    "apache 2 license": "Apache-2.0", "apache 2.0 license": "Apache-2.0", "apache software license": "Apache-2.0",
    "apl 2": "Apache-2.0", "3-clause bsd license": "BSD-3-Clause", "bsd": "BSD-3-Clause", "bsd license": "BSD-3-Clause",
    "isc license": "ISC", "isc license (iscl)": "ISC", "mit license": "MIT",
    "mit no attribution license (mit-0)": "MIT-0", "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "the mit license (mit)": "MIT", "the unlicense (unlicense)": "Unlicense",
}  # fmt: skip
#: An exception to a licence that only allows more.
_MORE = re.compile(r"\s+WITH\s+LLVM-exception", re.I)


# ---- licences


def licence_of(found: Distribution) -> str:
    """As the package says it: an SPDX expression, else its one-line field, else its classifiers."""
    about = found.metadata
    if expression := about.get("License-Expression"):
        return str(expression)
    classifiers = [
        each.rpartition(" :: ")[2] for each in about.get_all("Classifier") or [] if each.startswith("License")
    ]
    classifiers = [each for each in classifiers if each != "OSI Approved"]
    field = str(about.get("License") or "").strip()
    if field and "\n" not in field and len(field) < 60 and (not classifiers or _known(field)):
        return field
    return " OR ".join(classifiers) or field.partition("\n")[0].strip()


def _known(name: str) -> bool:
    return bool(re.search(r"\b(AND|OR)\b", name)) or name in ALLOWED or name.lower() in ALSO


def allowed(expression: str) -> bool:
    """Whether an SPDX expression, or a usual name, lets a package be shipped. Pure.

    Of what is joined by OR one suffices, of what is joined by AND all must do.
    """
    text = _MORE.sub("", expression).strip()
    while text.startswith("(") and text.endswith(")") and text.lower() not in ALSO:
        text = text[1:-1].strip()
    if not text:
        return False
    if text in ALLOWED or ALSO.get(text.lower()) in ALLOWED:
        return True
    for word, join in (("OR", any), ("AND", all)):
        parts = _parted(text, word)
        if len(parts) > 1:
            return join(allowed(part) for part in parts)
    return False


def _parted(text: str, word: str) -> list[str]:
    """The parts of an expression between `word`s that stand outside brackets."""
    parts, depth = [""], 0
    for piece in re.findall(r"[()]|[^\s()]+|\s+", text):
        depth += (piece == "(") - (piece == ")")
        if piece == word and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts]


def licence_problems(packages: Iterable[str]) -> tuple[list[str], list[str]]:
    """Packages whose licence is not allowed, and those that are not installed here."""
    wrong: list[str] = []
    absent: list[str] = []
    for name in sorted(packages):
        try:
            said = licence_of(distribution(name))
        except PackageNotFoundError:
            absent.append(name)
            continue
        if not allowed(said):
            wrong.append(f"{name}: {said or 'says nothing'}")
    return wrong, absent


def licences() -> int:
    packages = pins((ROOT / "locks" / "cpu.txt").read_text(encoding="utf-8"))
    wrong, absent = licence_problems(packages)
    for line in wrong:
        print(f"licence not allowed  {line}")
    if absent:
        print(f"not installed here, not looked at: {', '.join(absent)}")
    print(f"{len(packages) - len(wrong) - len(absent)} of {len(packages)} packages: licence allowed")
    return 1 if wrong else 0


# ---- known vulnerabilities


def audit(strict: bool) -> int:
    _need("pip_audit")
    status = 0
    for name in ("control", "cuda"):
        done = subprocess.run(
            [
                sys.executable, "-m", "pip_audit", "--requirement", f"locks/{name}.txt", "--disable-pip", "--no-deps",
                "--format", "json", "--progress-spinner", "off",
            ],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        try:
            found = json.loads(done.stdout)["dependencies"]
        except (ValueError, KeyError):
            last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
            print(f"locks/{name}.txt: nothing was looked up ({last[:200]})")
            status = max(status, int(strict))
            continue
        holes = [
            f"{package['name']} {package['version']}: {hole['id']}, mended in "
            + (", ".join(hole["fix_versions"]) or "none yet")
            for package in found
            for hole in package.get("vulns", ())
        ]
        print("\n".join(holes) or f"locks/{name}.txt: no known vulnerability in {len(found)} packages")
        status = 1 if holes else status
    return status


# ---- bill of materials


def sbom(out: Path, lock: str) -> int:
    _need("cyclonedx_py")
    command = [
        sys.executable, "-m", "cyclonedx_py", "requirements", f"locks/{lock}.txt", "--pyproject", "pyproject.toml",
        "--mc-type", "application", "--output-reproducible", "--output-format", "JSON", "--output-file",
        str(out.resolve()),
    ]  # fmt: skip
    return subprocess.run(command, cwd=ROOT, check=False).returncode


# ---- the wheel


def wheel(out: Path) -> int:
    """From what is committed, with the commit's time in the archive, whatever the clock and the files here say."""
    out = out.resolve()
    when = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "archive", "HEAD", "pyproject.toml", "README.md", "LICENSE", "app", "bot", "models", "queue", "web",
             ":(exclude)models/weights"],
            cwd=ROOT, capture_output=True, check=True,
        )  # fmt: skip
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        command = [
            sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir",
            str(out), folder,
        ]  # fmt: skip
        return subprocess.run(command, env={**os.environ, "SOURCE_DATE_EPOCH": when}, check=False).returncode


def _need(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise SystemExit(
            f"{module} is missing here: .venv/bin/python -m pip install -c requirements.lock -e '.[supply]'"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    ways = parser.add_subparsers(dest="way", required=True)
    ways.add_parser("licences")
    ways.add_parser("audit").add_argument("--strict", action="store_true")
    bill = ways.add_parser("sbom")
    bill.add_argument("out", type=Path)
    bill.add_argument("--lock", choices=sorted(LOCKS), default="cuda")
    ways.add_parser("wheel").add_argument("out", type=Path)
    given = parser.parse_args()
    match given.way:
        case "licences":
            return licences()
        case "audit":
            return audit(given.strict)
        case "sbom":
            return sbom(given.out, given.lock)
        case _:
            return wheel(given.out)


if __name__ == "__main__":
    sys.exit(main())
