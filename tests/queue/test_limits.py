"""What is refused before it is queued, with what is allowed and when more is; and how the speed is learnt."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from queuekit import QUICK, asked, paint, state, submit, until, worker

from daguerre.queue.control.service import open_queue
from daguerre.queue.errors import QueueFull
from daguerre.queue.options import QueueOptions
from daguerre.queue.records.jobs import JobState, Rendered
from daguerre.queue.records.limits import Limits, Standing, check, day, day_ends, learned, of_roles, parse_roles, work
from daguerre.queue.records.requests import ImageRequest
from daguerre.queue.worker.settings import JobContext

NOON = 1_795_348_800.0  # 2026-11-22 12:00 UTC
IDLE = Standing(member=0, server=0, total=0, seconds=0.0)


@pytest.mark.parametrize(
    ("limits", "standing", "scope", "told"),
    [
        (Limits(queued_per_member=2), Standing(2, 0, 0, 0), "member", "2 jobs of one member.*once one has ended"),
        (Limits(queued_per_server=5), Standing(0, 5, 0, 0), "server", "5 jobs of one server.*once one has ended"),
        (Limits(queued_total=9), Standing(0, 0, 9, 0), "total", "9 jobs may wait"),
        (Limits(daily_seconds=60), Standing(0, 0, 0, 55), "daily", "60 seconds.*from 2026-11-23 00:00 UTC"),
    ],
)
def test_each_limit_says_what_is_allowed_and_when(limits: Limits, standing: Standing, scope: str, told: str) -> None:
    """At the limit it is refused, below it is not."""
    with pytest.raises(QueueFull, match=told) as refusal:
        check(limits, standing, 10.0, NOON)
    assert refusal.value.scope == scope
    assert (refusal.value.resets is None) == (scope != "daily")
    check(limits, IDLE, 10.0, NOON)


@settings(max_examples=50)
@given(st.floats(0, 4e9))
def test_a_day_ends_where_the_next_begins(now: float) -> None:
    """Quotas begin anew at midnight UTC, within a day."""
    assert 0 < day_ends(now) - now <= 86_400
    assert day(day_ends(now)) != day(now)
    assert day(day_ends(now) - 1e-3) == day(now)


def test_roles_give_the_best_of_what_they_set() -> None:
    """Of several roles each best value counts; 0 is no limit; what none sets stays."""
    roles = parse_roles(["1 weight=2 queued=5", "2 queued=50 daily_seconds=0", "3 weight=0.5"])
    limits = Limits(queued_per_member=20, daily_seconds=600)
    assert of_roles(limits, ["1", "2"], roles) == Limits(queued_per_member=50, daily_seconds=0, weight=2)
    assert of_roles(limits, ["3"], roles) == Limits(queued_per_member=20, daily_seconds=600, weight=0.5)
    assert of_roles(limits, ["9"], roles) == limits


@pytest.mark.parametrize(
    "line", ["1", "", "1 weight=-1", "1 weight=nan", "1 colour=red", "1 queued=many", "1 weight=0"]
)
def test_roles_that_cannot_be_read_are_named(line: str) -> None:
    """At the start, not when the member asks."""
    with pytest.raises(ValueError, match="weight="):
        QueueOptions(roles=(line,))


def test_the_speed_is_learnt_slowly() -> None:
    """Size × steps × count; one odd measurement moves the mean little, many move it there."""
    request = asked(count=4, steps=8, width=512, height=512)
    assert work(request) == 4 * 4 * 8
    once = learned(0.1, request, 1e9)
    assert once < 0.2
    pace = 0.1
    for _ in range(200):
        pace = learned(pace, request, 2.0 * work(request))
    assert pace == pytest.approx(2.0, rel=1e-3)


async def slow(request: ImageRequest, context: JobContext) -> Rendered:
    return Rendered((b"png",), {}, 30.0)


async def test_a_days_seconds_are_counted_over_restarts(tmp_path: Path) -> None:
    """What the worker measured counts, not what was thought; another member and a known key are not concerned."""
    options = QUICK.model_copy(update={"daily_seconds_per_member": 40.0})
    async with open_queue(options, tmp_path) as queue, worker(queue, slow):
        await state(queue, await submit(queue, key="first"), JobState.RENDERED)
    async with open_queue(options, tmp_path) as queue:
        with pytest.raises(QueueFull, match="40 seconds") as refusal:
            await submit(queue, key="second", count=4, steps=50)
        assert refusal.value.resets == day_ends(time.time())
        await submit(queue, key="other", member="n", count=4, steps=50)
        assert (await submit(queue, key="first", count=4, steps=50)).state is JobState.RENDERED


async def test_servers_and_everybody_have_limits(tmp_path: Path) -> None:
    """Waiting jobs only: a place is free as soon as one is handed to a worker."""
    options = QUICK.model_copy(update={"max_queued_per_server": 2, "max_queued": 3})
    async with open_queue(options, tmp_path) as queue:
        for member in "ab":
            await submit(queue, member=member)
        with pytest.raises(QueueFull, match="one server"):
            await submit(queue, member="c")
        await queue.submit(asked(), key="t", member="d", server="t", reply={})
        with pytest.raises(QueueFull, match="at most 3 jobs may wait"):
            await queue.submit(asked(), key="u", member="e", server="u", reply={})
        async with worker(queue):

            async def room() -> bool:
                return queue._line.waiting == 0

            await until(room)
            await submit(queue, member="c")


async def test_a_member_renders_no_more_than_allowed_at_a_time(tmp_path: Path) -> None:
    """The rest of the member's jobs wait, though slots are free; others' jobs pass them."""
    import asyncio

    let = asyncio.Event()
    begun: list[str] = []

    async def hold(request: ImageRequest, context: JobContext) -> Rendered:
        begun.append(request.prompt)
        await let.wait()
        return await paint(request, context)

    options = QUICK.model_copy(update={"max_running_per_member": 1})
    async with open_queue(options, tmp_path) as queue, worker(queue, hold, slots=4):
        for number in range(3):
            await submit(queue, f"a {number}", member="a")
        await submit(queue, "b", member="b")
        await until(lambda: len(begun) == 2)
        await asyncio.sleep(0.2)
        assert sorted(begun) == ["a 0", "b"]
        let.set()
        await until(lambda: len(begun) == 4)
