"""What waits at the same time is done together, and fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from daguerre.queue.store.batcher import Answer, Batcher


async def test_what_waits_is_done_together() -> None:
    """The first goes alone; what gathers meanwhile goes together, at most so many at a time, in order."""
    batches: list[list[int]] = []

    async def do(batch: Sequence[int]) -> list[Answer]:
        batches.append(list(batch))
        await asyncio.sleep(0.01)
        return [(True, number * 2) for number in batch]

    together = Batcher(do, most=4, name="test")
    first = asyncio.create_task(together.do(0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await asyncio.gather(*(together.do(number) for number in range(1, 7))) == [2, 4, 6, 8, 10, 12]
    assert await first == 0
    assert batches == [[0], [1, 2, 3, 4], [5, 6]]


async def test_one_at_fault_fails_alone() -> None:
    """Whether all fail because of it, or it answers for itself; and what is done next is none the worse."""

    async def do(batch: Sequence[int]) -> list[Answer]:
        await asyncio.sleep(0)
        if 13 in batch:
            raise ValueError("13")
        return [(number >= 0, number if number >= 0 else KeyError(number)) for number in batch]

    together = Batcher(do, most=10, name="test")
    answers = await asyncio.gather(*map(together.do, (1, 13, -5, 2)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [int, ValueError, KeyError, int]
    assert await together.do(3) == 3


async def test_whoever_gives_up_waiting_harms_nobody() -> None:
    """A caller that is cancelled has its work done all the same; `end` waits for it."""
    done: list[int] = []

    async def do(batch: Sequence[int]) -> list[Answer]:
        await asyncio.sleep(0.01)
        done.extend(batch)
        return [(True, None)] * len(batch)

    together = Batcher(do, most=10, name="test")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await together.do(1)
    await together.end()
    assert done == [1]
