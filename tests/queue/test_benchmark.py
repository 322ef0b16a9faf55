"""benchmarks/queue.py bears the name of a module of the standard library, and harms nobody by it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize("options", [[], ["-P"]])
def test_it_starts_from_anywhere(options: list[str], tmp_path: Path) -> None:
    """Plainly, and with Python's safe path."""
    command = [sys.executable, *options, BENCHMARKS / "queue.py", "--help"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "--json" in told


def test_programs_beside_it_get_the_standard_library() -> None:
    """`import queue` in its folder, said by a program or by the standard library itself."""
    program = (
        "import queue, concurrent.futures.thread, json; print(json.dumps([queue.__file__, queue.Queue().qsize()]))"
    )
    told = subprocess.run([sys.executable, "-c", program], cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    file, size = json.loads(told.stdout)
    assert Path(file).parent != BENCHMARKS
    assert size == 0


@pytest.mark.slow
def test_it_prints_the_figures_of_the_issue(tmp_path: Path) -> None:
    """All of them, as numbers; how good they are depends on the machine."""
    command = [sys.executable, BENCHMARKS / "queue.py", "--quick", "--json", tmp_path / "figures.json"]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    figures = json.loads((tmp_path / "figures.json").read_text())
    for name in ("submit_to_start_p95_ms", "preview_p95_ms", "jobs_per_s", "scale_100k_over_100", "idle_cpu_percent",
                 "recovery_s"):  # fmt: skip
        assert figures[name] > 0, name
