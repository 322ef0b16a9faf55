"""Numbers of rows that a network may compute together without a row's bits telling how many they were.

In half precision a library may sum in another order for another number of rows. Which numbers agree is tried out for
each shape on each machine, and batches are filled up to one of those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

#: Numbers that are tried: beyond the last one more rows at once gain little on a processor.
TRIED = (1, 2, 4, 8, 16)


def agreeing(run: Callable[[int, int], Tensor]) -> tuple[int, ...]:
    """The numbers of rows that give one and the same row.

    Args:
        run: computes so many rows, the one in question at that place among others that differ each time; gives it.

    Returns:
        The largest set that agrees, ascending; of several the one with the largest number.
    """
    sets: list[tuple[Tensor, list[int]]] = []
    for rows in TRIED:
        found = [run(rows, place) for place in sorted({0, rows // 2, rows - 1})]
        if any(not torch.equal(found[0], other) for other in found[1:]):
            continue  # Not even its places agree.
        same = next((numbers for row, numbers in sets if torch.equal(row, found[0])), None)
        if same is None:
            sets.append((found[0], [rows]))
        else:
            same.append(rows)
    return tuple(max((numbers for _, numbers in sets), key=lambda each: (len(each), each[-1]), default=[1]))


def filled_to(rows: int, counts: Sequence[int]) -> int:
    """To which number a batch is filled up; more rows than the largest go in several passes of that."""
    return next((count for count in counts if count >= rows), counts[-1])
