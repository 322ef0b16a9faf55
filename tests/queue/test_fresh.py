"""What is kept in memory beside the table: used while fresh, read anew after a change, never older than a change."""

from __future__ import annotations

import asyncio

import pytest

from daguerre.queue.errors import QueueUnavailable
from daguerre.queue.store.ttl_cache import MOST, SECONDS, TtlCache


class Table:
    """Something to read from: rows, how often they were read, and a gate that a read can be held at."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.reads: list[str] = []
        self.now = 100.0
        self.open = asyncio.Event()
        self.open.set()
        self.problem: Exception | None = None
        self.memory = TtlCache(self.read, lambda: self.now)

    async def read(self, key: str) -> str:
        self.reads.append(key)
        found = self.rows.get(key, "")
        await self.open.wait()
        if self.problem is not None:
            raise self.problem
        return found


async def test_what_somebody_else_wrote_is_seen_within_seconds() -> None:
    """Until then the table is not asked."""
    table = Table()
    assert await table.memory.get("1") == ""
    table.rows["1"] = "written by hand"
    table.now += SECONDS - 0.1
    assert await table.memory.get("1") == ""
    assert table.reads == ["1"]
    table.now += 0.1
    assert await table.memory.get("1") == "written by hand"
    assert SECONDS <= 5


async def test_a_drop_concerns_its_key_and_is_seen_at_once() -> None:
    table = Table()
    for key in ("1", "2"):
        await table.memory.get(key)
    table.rows = {"1": "new", "2": "new"}
    table.memory.drop("1")
    assert [await table.memory.get(key) for key in ("1", "2")] == ["new", ""]
    assert table.reads == ["1", "2", "1"]


async def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    """A read that was under way when the change was committed must not bring the old state back."""
    table = Table()
    table.open.clear()
    slow = asyncio.create_task(table.memory.get("1"))
    await asyncio.sleep(0)
    assert table.reads == ["1"]
    table.rows["1"] = "banned"
    table.memory.drop("1")
    table.open.set()
    assert await slow == ""
    assert await table.memory.get("1") == "banned"


async def test_age_counts_from_before_the_read() -> None:
    """A slow read is not fresher for it."""
    table = Table()
    table.open.clear()
    slow = asyncio.create_task(table.memory.get("1"))
    await asyncio.sleep(0)
    table.now += SECONDS
    table.rows["1"] = "later"
    table.open.set()
    await slow
    assert await table.memory.get("1") == "later"


async def test_a_failure_is_not_kept() -> None:
    table = Table()
    table.problem = QueueUnavailable("away")
    with pytest.raises(QueueUnavailable):
        await table.memory.get("1")
    table.problem = None
    table.rows["1"] = "back"
    assert await table.memory.get("1") == "back"


async def test_it_does_not_grow_without_end() -> None:
    """Those that were read longest ago go."""
    table = Table()
    for key in range(MOST + 1):
        await table.memory.get(str(key))
    table.reads.clear()
    await table.memory.get(str(MOST))
    assert table.reads == []
    await table.memory.get("0")
    assert table.reads == ["0"]
