"""A sorted list that also sums: rank and prefix cost of a key without walking the list. Pure.

Keys lie in blocks of a few hundred, so that inserting moves little memory and summing adds whole blocks: both take
some microseconds among a hundred thousand keys.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from itertools import accumulate

#: A job's place inside its server: virtual time, then id.
Key = tuple[float, str]
#: Keys of one block; a block of twice as many is split.
BLOCK = 256


class Ordered:
    """Keys in order, each with a cost."""

    def __init__(self) -> None:
        self._blocks: list[list[Key]] = []
        #: Cost of each key, and of each block.
        self._costs: list[list[float]] = []
        self._sums: list[float] = []
        #: Running sums of each block's costs, where they have been asked for since it changed.
        self._starts: list[list[float] | None] = []
        #: Last key of each block.
        self._lasts: list[Key] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Key]:
        for block in self._blocks:
            yield from block

    def add(self, key: Key, cost: float) -> None:
        self._length += 1
        if not self._blocks:
            self._blocks.append([key])
            self._costs.append([cost])
            self._sums.append(cost)
            self._starts.append(None)
            self._lasts.append(key)
            return
        at = min(bisect_left(self._lasts, key), len(self._blocks) - 1)
        block, costs = self._blocks[at], self._costs[at]
        inside = bisect_left(block, key)
        insort(block, key)
        costs.insert(inside, cost)
        self._sums[at] += cost
        self._starts[at] = None
        self._lasts[at] = block[-1]
        if len(block) > 2 * BLOCK:
            self._blocks[at : at + 1] = [block[:BLOCK], block[BLOCK:]]
            self._costs[at : at + 1] = [costs[:BLOCK], costs[BLOCK:]]
            self._starts[at : at + 1] = [None, None]
            self._sums[at : at + 1] = [sum(costs[:BLOCK]), sum(costs[BLOCK:])]
            self._lasts[at : at + 1] = [block[BLOCK - 1], block[-1]]

    def remove(self, key: Key) -> None:
        """Raises: KeyError when it is not there."""
        at = bisect_left(self._lasts, key)
        if at == len(self._blocks):
            raise KeyError(key)
        block, costs = self._blocks[at], self._costs[at]
        inside = bisect_left(block, key)
        if inside == len(block) or block[inside] != key:
            raise KeyError(key)
        del block[inside], costs[inside]
        self._length -= 1
        if block:
            # Summed afresh, so that rounding errors do not pile up.
            self._sums[at] = sum(costs)
            self._starts[at] = None
            self._lasts[at] = block[-1]
        else:
            del self._blocks[at], self._costs[at], self._sums[at], self._starts[at], self._lasts[at]

    def before(self, key: Key) -> tuple[int, float]:
        """Number of keys before this one, and their cost."""
        at = bisect_left(self._lasts, key)
        if at == len(self._blocks):
            return self._length, sum(self._sums)
        inside = bisect_left(self._blocks[at], key)
        number = sum(len(block) for block in self._blocks[:at]) + inside
        return number, sum(self._sums[:at]) + self._begins(at)[inside]

    def beginning_before(self, budget: float, *, ties: bool = False) -> tuple[int, float]:
        """Number of leading keys that begin before `budget`, one after the other by their costs, and their cost.

        The first begins at 0. `ties`: one that begins exactly there counts too.
        """
        if not self._length or budget < 0 or (budget == 0 and not ties):
            return 0, 0.0
        number, spent = 0, 0.0
        for at, (block, total) in enumerate(zip(self._blocks, self._sums, strict=True)):
            if spent + total < budget:
                number, spent = number + len(block), spent + total
                continue
            begins = self._begins(at)
            left = budget - spent
            inside = bisect_right(begins, left, hi=len(block)) if ties else bisect_left(begins, left, hi=len(block))
            return number + inside, spent + begins[inside]
        return number, spent

    def _begins(self, at: int) -> list[float]:
        """Where each key of a block begins, in cost from the block's first; the block's whole cost behind the last."""
        found = self._starts[at]
        if found is None:
            found = self._starts[at] = list(accumulate(self._costs[at], initial=0.0))
        return found

    def cost_at(self, number: int) -> float:
        """Cost of the key with this rank, from 0. Raises: IndexError."""
        for costs in self._costs:
            if number < len(costs):
                return costs[number]
            number -= len(costs)
        raise IndexError(number)
