"""Measure how fast a training loop runs, and choose the fastest way that works on the machine at hand.

A loop asks `stop()` once before each step, so the moments of asking are its pace, whatever it trains.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import TrainingError
from .budget import Clock, steady

#: A probe lasts until it has both; the first steps load kernels and, compiled, take a minute.
STEPS, SECONDS = 12, 4.0

Stop = Callable[[], bool]
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Way:
    """One way of running a loop."""

    name: str
    #: Runs the loop in a folder until it is told to stop.
    train: Callable[[Path, Stop], object]
    #: Samples of one step.
    samples: int


class Watch:
    """A `stop` that notes when it is asked, and answers yes when enough is known or the time is over."""

    def __init__(self, clock: Clock, *, reserve: float = 0.0, steps: int | None = None, seconds: float = 0.0) -> None:
        self._clock = clock
        self._reserve = reserve
        self._steps = steps
        self._seconds = seconds
        self.times: list[float] = []

    def __call__(self) -> bool:
        self.times.append(time.monotonic())
        if self._clock.left() <= self._reserve:
            return True
        if self._steps is None or len(self.times) <= self._steps:
            return False
        # Counted from the second third on, which is what the pace is taken from.
        return self.times[-1] - self.times[len(self.times) // 3] >= self._seconds


def probe(way: Way, clock: Clock, scratch: Path, *, share: float = 0.25) -> float | None:
    """Seconds of one step; None where that way does not work here or cannot be measured in time.

    Args:
        share: of the time that is left, that a probe may take at most.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    watch = Watch(clock, reserve=clock.left() * (1 - share), steps=STEPS, seconds=SECONDS)
    try:
        way.train(scratch, watch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return steady(watch.times) if len(watch.times) > 3 else None


def fastest(ways: Sequence[Way], clock: Clock, scratch: Path, report: Report) -> tuple[Way, float] | None:
    """The way with the most samples a second, and its seconds per step; None where none could be measured.

    A way that fails (no memory, a kernel that the machine lacks) is told and passed over.
    """
    best: tuple[Way, float] | None = None
    for way in ways:
        seconds = None
        try:
            seconds = probe(way, clock, scratch)
        except (RuntimeError, TrainingError) as problem:
            report(f"{way.name}: does not work here ({str(problem).strip().splitlines()[0][:200]})")
            with suppress(Exception):
                torch._dynamo.reset()
            continue
        if seconds is None:
            report(f"{way.name}: too slow to be measured in time")
            continue
        report(f"{way.name}: {way.samples / seconds:.1f} samples/s, {1000 * seconds:.1f} ms a step")
        if best is None or way.samples / seconds > best[0].samples / best[1]:
            best = way, seconds
    return best
