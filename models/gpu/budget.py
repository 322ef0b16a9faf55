"""How many steps fit into the time that is left: pure arithmetic over the pace that was measured."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: Share of the time that is not planned, for paces that turn out slower than they were measured.
SPARE = 0.05
#: More steps than any lease can hold.
MOST = 10_000_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a run in which all steps cost the same."""

    #: Where it ends, as a share of all steps; the last one ends at 1.
    end: float
    #: Seconds of one step.
    seconds: float


class Clock:
    """Counts down from the moment it is made."""

    def __init__(self, minutes: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._end = now() + 60 * minutes
        self.minutes = minutes

    def left(self) -> float:
        """Seconds until the deadline; negative once it has passed."""
        return self._end - self._now()


def steady(times: Sequence[float]) -> float:
    """Seconds of one step, from the moments at which steps began.

    The first third warms up and is passed over; single steps that took over four times the median are hiccups
    (compiling, saving) and are left out.

    Raises:
        ValueError: fewer than two moments.
    """
    if len(times) < 2:
        raise ValueError("a pace needs two moments")
    gaps = [after - before for before, after in itertools.pairwise(times)]
    kept = gaps[len(gaps) // 3 :]
    usual = statistics.median(kept)
    return statistics.fmean([gap for gap in kept if gap <= 4 * usual] or kept)


def cost(done: int, steps: int, stretches: Sequence[Stretch]) -> float:
    """Seconds from step `done` to the end of a run of `steps` steps."""
    seconds, begin = 0.0, 0.0
    for stretch in stretches:
        seconds += stretch.seconds * max(0.0, stretch.end * steps - max(begin * steps, done))
        begin = stretch.end
    return seconds


def steps_within(seconds: float, stretches: Sequence[Stretch], done: int = 0) -> int:
    """The longest run, in steps, whose rest after `done` steps costs at most `seconds`; at least `done`."""
    low, high = done, done + 1
    while high < done + MOST and cost(done, high, stretches) <= seconds:
        low, high = high, done + 2 * (high - done)
    while high - low > 1:
        middle = (low + high) // 2
        if cost(done, middle, stretches) <= seconds:
            low = middle
        else:
            high = middle
    return low


def planned(left: float, reserve: float, stretches: Sequence[Stretch], done: int = 0) -> int:
    """Steps of a run that must leave `reserve` of the `left` seconds for what comes after it."""
    return steps_within(max(0.0, left - reserve) * (1 - SPARE), stretches, done)
