"""How far a measured share can be trusted: the interval of a proportion, and of the ratio of two."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Standard normal quantile of a two-sided 95 % interval.
Z95 = 1.96


@dataclass(frozen=True, slots=True)
class Share:
    """`right` of `total` answers."""

    right: int
    total: int

    @property
    def value(self) -> float | None:
        """None where nothing was asked."""
        return self.right / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.right, self.total)


def wilson(right: int, total: int, z: float = Z95) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927); (0, 1) where nothing was asked.

    It keeps its 95 % near 0 and 1 and for few answers, where the normal interval does not.
    """
    if total == 0:
        return 0.0, 1.0
    share = right / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return max(0.0, middle - half), min(1.0, middle + half)


def mean_interval(shares: list[Share], z: float = Z95) -> tuple[float, float]:
    """Interval of the unweighted mean of independent shares: their Wilson half widths add in squares.

    Lower and upper side apart (Newcombe 1998, method 10), as Wilson's interval is not symmetric.
    """
    if not shares or any(share.value is None for share in shares):
        return 0.0, 1.0
    values = [share.value or 0.0 for share in shares]
    bounds = [wilson(share.right, share.total, z) for share in shares]
    mean = sum(values) / len(values)
    down = math.sqrt(sum((value - low) ** 2 for value, (low, _) in zip(values, bounds, strict=True)))
    up = math.sqrt(sum((high - value) ** 2 for value, (_, high) in zip(values, bounds, strict=True)))
    return max(0.0, mean - down / len(values)), min(1.0, mean + up / len(values))


def ratio(above: Share, below: Share) -> float | None:
    """above ÷ below, or None where that says nothing (nothing asked, or nothing right below the line)."""
    if not below.right or above.value is None or below.value is None:
        return None
    return above.value / below.value


def ratio_interval(above: Share, below: Share, z: float = Z95) -> tuple[float, float]:
    """Interval of a ratio of shares on the logarithm (Katz 1978), half a success added to each against zeros."""
    if not above.total or not below.total:
        return 0.0, math.inf
    a, m, b, n = above.right + 0.5, above.total + 0.5, below.right + 0.5, below.total + 0.5
    spread = z * math.sqrt(max(0.0, 1 / a - 1 / m + 1 / b - 1 / n))
    centre = math.log((a / m) / (b / n))
    return math.exp(centre - spread), math.exp(centre + spread)
