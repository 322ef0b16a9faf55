"""Writes locks/: every package with the hashes of its files, for `pip install --require-hashes`.

    .venv/bin/python scripts/locks.py                      all three, from the versions in requirements.lock
    .venv/bin/python scripts/locks.py --check              exit status 1 if one does not fit requirements.lock

    locks/control.txt   bot, queue, API; no torch
    locks/cpu.txt       the same and all that draws, torch's build for processors
    locks/cuda.txt      the same with torch's build for NVIDIA GPUs, as the public index has it

torch's build for processors is not on the public index: --wheels names the folder that its wheel lies in, or an index
is set up for pip (PIP_EXTRA_INDEX_URL). Needs uv (extra dev). For Python 3.11 on Linux, x86-64.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {"control": ("tracing",), "cpu": ("worker", "tracing"), "cuda": ("worker", "tracing")}
HEAD = """\
# Every package of {what}, with the hashes of its files.
# Made by scripts/locks.py from requirements.lock; do not edit.
#   pip install --require-hashes --no-deps -r locks/{name}.txt && pip install --no-deps --no-build-isolation -e .
"""
WHAT = {
    "control": "bot, queue and API, without torch",
    "cpu": "all that serves, with torch's build for processors",
    "cuda": "all that serves, with torch's build for NVIDIA GPUs",
}
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==(\S+)", re.M)


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """Version of each package; a local part ("+cpu") is left out."""
    return {plain(name): version.partition("+")[0].rstrip("\\") for name, version in _PIN.findall(text)}


def resolved(name: str, wheels: str) -> str:
    """What a lock should hold. Asks the package index."""
    with tempfile.TemporaryDirectory() as folder:
        # What builds the project itself is locked too.
        also = Path(folder) / "also.in"
        also.write_text("setuptools\n" + ("torch==2.13.0+cpu\n" if name == "cpu" else ""), encoding="utf-8")
        extras = [word for extra in LOCKS[name] for word in ("--extra", extra)]
        links = ["--find-links", wheels] if name == "cpu" and wheels else []
        done = subprocess.run(
            [
                sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", str(also), *extras, *links,
                "--constraint", "requirements.lock", "--generate-hashes", "--python-version", "3.11",
                "--python-platform", "x86_64-manylinux_2_28", "--no-annotate", "--no-header", "--no-config",
                "--no-emit-index-url", "--no-emit-find-links", "--quiet",
            ],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr.strip()}")
    return HEAD.format(what=WHAT[name], name=name) + done.stdout


def misfits(name: str) -> list[str]:
    """What of a lock does not fit requirements.lock, or has no hash. Asks nobody."""
    text = (ROOT / "locks" / f"{name}.txt").read_text(encoding="utf-8")
    wanted = pins((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    found = [
        f"{package} is {version} in locks/{name}.txt and {wanted[package]} in requirements.lock"
        for package, version in pins(text).items()
        if package in wanted and wanted[package] != version
    ]
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
    return found + [
        f"no hash: {block.splitlines()[0]}" for block in blocks if _PIN.match(block) and "--hash=" not in block
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--wheels", default="", metavar="DIR")
    given = parser.parse_args()
    if given.check:
        problems = [problem for name in LOCKS for problem in misfits(name)]
        print("\n".join(problems) or "the locks fit requirements.lock")
        return 1 if problems else 0
    (ROOT / "locks").mkdir(exist_ok=True)
    for name in LOCKS:
        (ROOT / "locks" / f"{name}.txt").write_text(resolved(name, given.wheels), encoding="utf-8")
        print(f"locks/{name}.txt")
    return 0


if __name__ == "__main__":
    sys.exit(main())
