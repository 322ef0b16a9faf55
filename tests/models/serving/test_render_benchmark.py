"""What the rendering benchmark asks and how it counts, without drawing anything."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from math import inf
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def bench() -> Any:
    """benchmarks/render.py as a module; it puts its folder at the end of the path, which is taken off again."""
    spec = importlib.util.spec_from_file_location("render_benchmark", BENCHMARKS / "render.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def test_traces_are_the_same_each_time_and_mixed_as_said(bench: Any) -> None:
    """Poisson arrivals at the rate asked for; 8 members by Zipf, a tenth cancelled, 70 % guided, three sizes."""
    trace = bench.make_trace(0.9, 2.0, 2000, mixed=True, seed=1)
    assert trace == bench.make_trace(0.9, 2.0, 2000, mixed=True, seed=1)
    assert 2000 / trace[-1].at == pytest.approx(1.8, rel=0.1)
    members = Counter(arrival.ask.member for arrival in trace)
    assert len(members) == 8
    assert members["m0"] / members["m3"] == pytest.approx(4, rel=0.3)
    assert sum(arrival.cancel < inf for arrival in trace) == pytest.approx(200, rel=0.25)
    assert sum(arrival.ask.guidance > 1 for arrival in trace) == pytest.approx(1400, rel=0.1)
    assert len({(arrival.ask.width, arrival.ask.height) for arrival in trace}) == 3
    assert all(arrival.at == 0 for arrival in bench.make_trace(inf, 2.0, 5, mixed=False, seed=1))


def test_figures_of_a_trace(bench: Any) -> None:
    """Cancelled ones do not count; goodput counts what came within four times the idle time."""
    ask = bench.USUAL
    outcomes = [bench.Outcome(bench.Arrival(float(k), ask), done=k + seconds) for k, seconds in enumerate((1, 2, 3, 9))]
    outcomes.append(bench.Outcome(bench.Arrival(0.0, ask), done=50.0, cancelled=True))
    found = bench.figures(outcomes, 1.0)
    assert (found["p50"], found["p95"], found["p99"]) == (3, 9, 9)
    assert found["pictures_per_s"] == pytest.approx(4 / 12)
    assert found["goodput_per_s"] == pytest.approx(3 / 12)
    assert found["fairness"] == 1


def test_one_compiled_server_is_a_queue(bench: Any) -> None:
    """Each waits for the one before it; nobody is served before arriving."""
    compiled = object.__new__(bench.Compiled)
    compiled.seconds = 2.0
    arrivals = [bench.Arrival(at, bench.USUAL) for at in (0.0, 1.0, 10.0)]
    assert [outcome.done for outcome in compiled.play(arrivals)] == [2.0, 4.0, 12.0]
