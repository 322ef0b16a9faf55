"""Where the things of a layout lie: cells for groups, cells for things in them, and some play in each."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from .words import Group, Layout

#: Drawings of one group: more of a kind are these again. Every drawing costs as much as a picture.
DRAWINGS = 2
#: Side of a thing ÷ its cell, at least and at most; and of the shorter side of the picture, at most.
FILLED, LARGEST = (0.84, 0.94), 0.9
#: Rows of one group of so many things: how many lie in each, from the top, in ways to choose from.
_ROWS: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((1,),), 2: ((2,),), 3: ((1, 2), (2, 1), (3,)), 4: ((2, 2),), 5: ((2, 1, 2), (3, 2), (2, 3)), 6: ((3, 3),),
    7: ((2, 3, 2), (4, 3)), 8: ((3, 2, 3), (4, 4)), 9: ((3, 3, 3),),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where one thing lies; lengths in units of the picture's shorter side."""

    #: Which drawing lies there.
    drawing: int
    #: Centre from the left and from the top.
    x: float
    y: float
    #: Of the square that it fits into.
    side: float


def drawings(layout: Layout) -> tuple[str, ...]:
    """What each drawing is asked for by, in the order of `Place.drawing`."""
    return tuple(group.text for group in layout.groups for _ in range(min(DRAWINGS, group.count)))


def places(layout: Layout, aspect: float, seed: int) -> tuple[Place, ...]:
    """Of a picture of that width ÷ height; the same for the same seed.

    Groups of a relation lie as it says; others side by side or one above the other, whichever leaves them larger.
    """
    choose = random.Random(f"layout/{seed}")
    wide, high = max(aspect, 1.0), max(1 / aspect, 1.0)
    laid: list[Place] = []
    first = 0
    for group, cell in zip(layout.groups, _cells(layout, wide, high, choose), strict=True):
        laid += _things(group, cell, first, choose)
        first += min(DRAWINGS, group.count)
    return tuple(laid)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How the drawings of a request become its pictures."""

    layout: Layout
    #: One for each picture, by which its things are set out.
    seeds: tuple[int, ...]


#: Left, top, width, height.
_Cell = tuple[float, float, float, float]


def _cells(layout: Layout, wide: float, high: float, choose: random.Random) -> Sequence[_Cell]:
    """One for each group."""
    count = len(layout.groups)
    if count == 1:
        return [(0.0, 0.0, wide, high)]
    if layout.way == "any" and all(group.count == 1 for group in layout.groups) and count > 2:
        return _grid((0.0, 0.0, wide, high), _rows(count, wide / high, choose))
    way = layout.way
    if way == "any":
        evenly = wide == high and choose.random() < 0.3
        way = "down" if high > wide or evenly else "across"
    return _grid((0.0, 0.0, wide, high), (count,) if way == "across" else (1,) * count)


def _rows(count: int, aspect: float, choose: random.Random) -> tuple[int, ...]:
    """Rows of the ways that leave the things largest."""
    if count == 2 and aspect < 1:
        return (1, 1)

    def side(rows: tuple[int, ...]) -> float:
        return min(aspect / max(rows), 1 / len(rows))

    ways = (*_ROWS[count], (count,), (1,) * count)
    largest = max(map(side, ways))
    return choose.choice([way for way in ways if side(way) > 0.8 * largest])


def _grid(cell: _Cell, rows: Sequence[int]) -> list[_Cell]:
    """Cells in rows of one cell."""
    left, top, wide, high = cell
    tall = high / len(rows)
    return [
        (left + column * wide / count, top + row * tall, wide / count, tall)
        for row, count in enumerate(rows)
        for column in range(count)
    ]


def _things(group: Group, cell: _Cell, first: int, choose: random.Random) -> list[Place]:
    cells = _grid(cell, _rows(group.count, cell[2] / cell[3], choose))
    # All of one kind are of one size.
    side = min(LARGEST, min(min(wide, high) for _, _, wide, high in cells) * choose.uniform(*FILLED)) * group.size
    laid: list[Place] = []
    for number, (left, top, wide, high) in enumerate(cells):
        # Half of the room that is left, so that neighbours stay apart and relations stay clear.
        play = [0.25 * min(length - side, side) * choose.uniform(-1, 1) for length in (wide, high)]
        middle = (left + wide / 2 + play[0], top + high / 2 + play[1])
        laid.append(Place(first + number % min(DRAWINGS, group.count), *middle, side))
    return laid


def seed_of(seed: int, drawing: int) -> int:
    """Of a drawing of the picture with that seed; the first has the picture's own. Grids count seeds up by one."""
    return (seed + drawing * 0x9E37_79B1) % 2**32
