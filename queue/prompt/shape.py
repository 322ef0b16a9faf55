"""Ratios of width to height as pixels, and the other way. Pure."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

from ..records import LONGEST_SIDE

#: Sides of pictures come in these steps of pixels, so that 3:2 and 16:9 differ in the smallest pictures too.
GRAIN, SHORTEST, LONGEST = 16, 64, LONGEST_SIDE
#: Shapes that people ask for: a picture of such a shape is said so, whatever its sides come to in steps.
USUAL = ((1, 1), (5, 4), (4, 5), (4, 3), (3, 4), (3, 2), (2, 3), (16, 9), (9, 16), (2, 1), (1, 2), (21, 9), (9, 21))


@lru_cache(maxsize=1024)
def sides(ratio: tuple[int, int] | None, size: int) -> tuple[int, int]:
    """Width and height in pixels: of that shape as nearly as steps of 16 allow, about size × size large."""
    if ratio is None:
        return size, size
    wanted = math.log(ratio[0] / ratio[1])
    area = 2 * math.log(max(1, size))
    lengths = range(SHORTEST, LONGEST + 1, GRAIN)

    def miss(shape: tuple[int, int]) -> float:
        width, height = shape
        return abs(math.log(width / height) - wanted) + 0.5 * abs(math.log(width * height) - area)

    # Of each width the heights on either side of the wanted shape: the miss grows from there both ways.
    shapes: list[tuple[int, int]] = []
    for width in lengths:
        below = max(SHORTEST, min(LONGEST, int(width / math.exp(wanted) // GRAIN * GRAIN)))
        shapes += [(width, below), (width, min(LONGEST, below + GRAIN))]
    return min(shapes, key=miss)


def ratio_of(width: int, height: int, size: int) -> tuple[int, int] | None:
    """The shape as somebody would say it; None for the usual square."""
    if (width, height) == (size, size):
        return None
    exact = Fraction(width, height)
    usual = next((ratio for ratio in USUAL if sides(ratio, size) == (width, height)), None)
    return usual or (exact.numerator, exact.denominator)
