"""Which pictures take the next step together. Pure: no torch, no clock of its own.

A *unit* is one picture being drawn. Each step advances some units of one lane; who is left out waits for the next one.
Ordering is by response ratio, (waited + left) / left (HRRN, Brinch Hansen 1971), and by sheer age: short work overtakes
long work, and whoever waits long enough comes first, so nobody starves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf

#: What goes on keeps its place unless another is worth this many times as much: finishing one picture and then the
#: next is sooner on average than finishing both at the end.
STICKY = 2.0
#: Worth of a unit that would miss its deadline if it had to wait as long again as it needs.
URGENT = 4.0
#: Seconds after which waiting alone counts as much as the response ratio of fresh work. It grows with the square, so
#: that even under a flood of short work, which waits as well, the oldest comes first in the end.
WAIT_SECONDS = 30.0
#: Batches that the knee is looked for among.
BUCKETS = (1, 2, 4, 8, 16, 32, 64)
#: Share of the best rows per second that is good enough: the smallest such batch is the knee.
NEAR_BEST = 0.95
#: Forwards that must go well after memory was full before twice as many rows are tried again.
FORWARDS_BEFORE_MORE = 256
#: Shortest time between two previews of one job, in seconds.
PREVIEW_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Unit:
    """One picture being drawn."""

    id: int
    lane: Hashable
    #: Rows of the forward that one of its steps takes: 2 with guidance, 1 without.
    rows: int
    #: Steps left, at least 1.
    left: int
    #: Whose it is; members share what there is.
    member: str
    #: Seconds on the caller's clock when it came.
    came: float
    #: Took part in the lane's last step.
    running: bool = False
    deadline: float = inf


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a lane is: measured seconds of one forward by its number of rows, ascending."""

    seconds: tuple[tuple[int, float], ...]
    #: Rows that the memory was found to hold.
    most: int = BUCKETS[-1]

    @property
    def knee(self) -> int:
        """Largest useful batch: beyond it, more rows at once only finish later."""
        best = max(rows / seconds for rows, seconds in self.seconds)
        knee = next(rows for rows, seconds in self.seconds if rows / seconds >= NEAR_BEST * best)
        return max(1, min(knee, self.most))

    def forward(self, rows: int) -> float:
        """Seconds of a forward with so many rows; between measurements a straight line, beyond them in proportion."""
        for (below, low), (above, high) in pairwise(self.seconds):
            if below <= rows <= above:
                return low + (high - low) * (rows - below) / (above - below)
        first, last = self.seconds[0], self.seconds[-1]
        return first[1] if rows <= first[0] else last[1] * rows / last[0]


@dataclass(frozen=True, slots=True)
class RowLimit:
    """How many rows at a time the memory holds, after it was found full: less, and more again when it has been well.

    Memory is full because of others, too, and they go. Each try that fails makes the next one twice as far away.
    """

    rows: int
    #: Forwards that went well since the last change, and how many there must be before more is tried.
    well: int = 0
    before_more: int = FORWARDS_BEFORE_MORE
    #: More was tried; whether that holds shows within `before_more` forwards.
    tried: bool = False

    def full(self, rows: int) -> RowLimit:
        """It did not hold `rows`."""
        in_vain = self.tried and self.well < self.before_more
        return RowLimit(max(1, min(rows, self.rows) // 2), 0, 2 * self.before_more if in_vain else self.before_more)

    def held(self, most: int) -> RowLimit:
        """It held a forward; nothing is tried beyond `most`."""
        if self.rows >= most or self.well + 1 < self.before_more:
            return replace(self, well=self.well + 1)
        return replace(self, rows=min(most, 2 * self.rows), well=0, tried=True)


@dataclass(frozen=True, slots=True)
class Batch:
    """The units of one lane that take the next step, the most worthy first."""

    lane: Hashable
    units: tuple[int, ...]
    rows: int


def choose(units: Sequence[Unit], paces: Mapping[Hashable, Pace], now: float) -> Batch | None:
    """The next step: the lane whose batch is worth most for the time it takes.

    Args:
        units: all that have steps left.
        paces: one for each lane.
        now: on the clock of `came` and `deadline`.

    Returns:
        At most the knee's rows, but always at least one unit; None where there is nothing to do.
    """
    lanes: dict[Hashable, list[Unit]] = {}
    for unit in units:
        lanes.setdefault(unit.lane, []).append(unit)
    best: tuple[float, Batch] | None = None
    for lane, inside in lanes.items():
        worth, batch = _fill(lane, inside, paces[lane], now)
        score = worth / paces[lane].forward(batch.rows)
        if best is None or score > best[0]:
            best = score, batch
    return best[1] if best else None


def _fill(lane: Hashable, units: Sequence[Unit], pace: Pace, now: float) -> tuple[float, Batch]:
    """The most worthy units that fit the knee; each further one of the same member counts for less."""
    worths = {unit.id: worth(unit, pace, now) for unit in units}
    left: list[Unit] = list(units)
    taken: list[Unit] = []
    total: float = 0.0
    rows: int = 0
    members: Counter[str] = Counter()
    while left:
        unit = max(left, key=lambda one: (worths[one.id] / (1 + members[one.member]), -one.id))
        total += worths[unit.id] / (1 + members[unit.member])
        rows += unit.rows
        members[unit.member] += 1
        taken.append(unit)
        left = [one for one in left if one is not unit and rows + one.rows <= pace.knee]
    return total, Batch(lane, tuple(unit.id for unit in taken), rows)


def worth(unit: Unit, pace: Pace, now: float) -> float:
    """Response ratio, raised for what runs and for what would come too late."""
    needed = unit.left * pace.forward(max(unit.rows, min(pace.knee, 2 * unit.rows)))
    waited = max(0.0, now - unit.came)
    ratio = 1 + waited / needed + (waited / WAIT_SECONDS) ** 2
    if unit.running:
        ratio *= STICKY
    # Only what can still be met is hurried.
    if needed <= unit.deadline - now < 2 * needed:
        ratio *= URGENT
    return ratio


def late(units: Iterable[Unit], now: float) -> list[int]:
    """Units whose deadline has passed."""
    return [unit.id for unit in units if unit.deadline <= now]


def admit(waiting: Sequence[int], active: int, most: int) -> int:
    """How many of the `waiting` requests (their numbers of pictures, in order) may begin beside `active` pictures.

    In order of arrival; a request larger than `most` begins alone.
    """
    admitted = 0
    for pictures in waiting:
        if active and active + pictures > most:
            break
        active += pictures
        admitted += 1
    return admitted


def preview_due(now: float, last: float, *, others: bool) -> bool:
    """Whether a job may show a preview: not too often, and never while `others` would wait for it."""
    return not others and now - last >= PREVIEW_SECONDS


def slots_for(pace: Pace) -> int:
    """Jobs that a worker should hold at a time: enough guided pictures to fill the knee, and one in reserve.

    Not more: a job that waits here can no longer be given to a faster worker, nor be overtaken fairly.
    """
    return max(2, min(16, pace.knee // 2 + 1))
