"""The stage `bench`: the benchmarks of the repository, as they are, within the time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from .job import Job

#: In this order; what is not there yet is passed over.
PROGRAMS = ("render.py", "training.py")


def bench(job: Job, root: Path) -> dict[str, Any]:
    """Run each, print what it prints; its figures go to OUT/<name>.json."""
    figures: dict[str, Any] = {}
    for name in PROGRAMS:
        program, result = root / "benchmarks" / name, job.out / f"{Path(name).stem}.json"
        if not program.is_file():
            job.report(f"{name} is not there")
            continue
        left = job.clock.left() - job.reserve
        if left <= 0:
            job.report(f"no time is left for {name}")
            continue
        try:
            ended = subprocess.run(  # noqa: S603  our own program
                [sys.executable, str(program), "--json", str(result)], cwd=root, timeout=left, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            job.report(f"{name} was not done after {left:.0f} s")
            continue
        job.report(f"{name} ended with {ended}")
        if result.is_file():
            figures[result.stem] = json.loads(result.read_text(encoding="utf-8"))
    return figures
