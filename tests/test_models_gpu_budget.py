"""Work for a GPU: how many steps fit into the time, which way of running is taken, and what comes back."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from daguerre.models.errors import DataError
from daguerre.models.gpu.budget import Clock, Stretch, cost, planned, steady, steps_within
from daguerre.models.gpu.delivery import MANIFEST, PART, collect, deliver
from daguerre.models.gpu.pace import Watch, Way, fastest


def test_steps_fill_the_time_and_never_more() -> None:
    """The longest run that fits: one step more would not, whatever stretches it has and wherever it goes on."""
    choose = random.Random(1)
    for _ in range(300):
        ends = [*sorted({round(choose.uniform(0.05, 0.95), 2) for _ in range(choose.randrange(3))}), 1.0]
        stretches = [Stretch(end, choose.uniform(0.001, 2.0)) for end in ends]
        seconds, done = choose.uniform(0, 500), choose.choice((0, 0, choose.randrange(2000)))
        steps = steps_within(seconds, stretches, done)
        assert steps >= done
        assert cost(done, steps, stretches) <= seconds or steps == done
        assert cost(done, steps + 1, stretches) > seconds


def test_a_run_costs_what_its_stretches_cost() -> None:
    """Half of the steps at one second, half at three; a run that goes on pays for its rest only."""
    stretches = [Stretch(0.5, 1.0), Stretch(1.0, 3.0)]
    assert cost(0, 100, stretches) == pytest.approx(200)
    assert cost(80, 100, stretches) == pytest.approx(60)
    assert steps_within(200, stretches) == 100
    assert steps_within(60, [Stretch(1.0, 2.0)], done=500) == 530
    assert steps_within(0, stretches, done=7) == 7


def test_a_plan_leaves_time_for_the_results() -> None:
    """The reserve and a spare share are not planned; no time left means no steps."""
    assert 45 <= planned(60, 10, [Stretch(1.0, 1.0)]) <= 50
    assert planned(5, 10, [Stretch(1.0, 1.0)], done=3) == 3


def test_the_pace_passes_over_the_start_and_hiccups() -> None:
    """Compiling takes a minute and saving a second; neither is the pace."""
    times = [0.0, 60.0, 61.0]
    for gap in (1.0, 1.2, 0.8, 1.0, 9.0, 1.0, 1.0):
        times.append(times[-1] + gap)
    assert steady(times) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="two"):
        steady([1.0])


def test_a_loop_is_stopped_before_the_deadline() -> None:
    """However wrong the planned steps were."""
    now = [0.0]
    watch = Watch(Clock(1.0, lambda: now[0]), reserve=10.0)
    ticks = 0
    while not watch():
        now[0] += 1
        ticks += 1
    assert ticks == 50


def test_the_fastest_way_that_works_is_taken(tmp_path: Path) -> None:
    """A way that fails is told and passed over; none that works gives none."""

    def loop(_: Path, stop: Any) -> None:
        while not stop():
            sum(range(20_000))

    def broken(_: Path, stop: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    told: list[str] = []
    ways = [Way("broken", broken, 100), Way("small", loop, 1), Way("large", loop, 64)]
    chosen = fastest(ways, Clock(5), tmp_path / "probe", told.append)
    assert chosen is not None
    assert chosen[0].name == "large"
    assert chosen[1] > 0
    assert any("broken: does not work here (CUDA out of memory)" in line for line in told)
    assert not (tmp_path / "probe").exists()
    assert fastest(ways[:1], Clock(5), tmp_path / "probe", told.append) is None


# Results.


def test_results_come_back_whole_or_not_at_all(tmp_path: Path) -> None:
    """Cut into parts that may travel, put together again to the byte; a missing or changed part is told."""
    folder = tmp_path / "weights"
    (folder / "unet").mkdir(parents=True)
    content = np.random.default_rng(1).bytes(PART + 1000)
    (folder / "unet" / "model.safetensors").write_bytes(content)
    (folder / "model_index.json").write_text("{}")
    written = deliver(folder, tmp_path / "out", {"loss": 0.5})
    assert [file.name for file in written] == ["weights.tar.0", "weights.tar.1", MANIFEST]
    assert max(file.stat().st_size for file in written) <= 16 * 2**20
    assert collect(tmp_path / "out", tmp_path / "back")["loss"] == 0.5
    assert (tmp_path / "back" / "unet" / "model.safetensors").read_bytes() == content
    (tmp_path / "out" / "weights.tar.1").write_bytes(b"other")
    with pytest.raises(DataError, match=r"weights.tar.1 is not the file"):
        collect(tmp_path / "out", tmp_path / "back")
    assert (tmp_path / "back" / "model_index.json").is_file()
    (folder / "large").write_bytes(bytes(4 * PART))
    with pytest.raises(DataError, match="only 60 MB come back"):
        deliver(folder, tmp_path / "out", {})
