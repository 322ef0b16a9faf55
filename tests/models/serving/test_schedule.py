"""The pure scheduler: nobody starves, the budget is kept, short work overtakes, deadlines hurry, members share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daguerre.models.serving.schedule import (
    BUCKETS,
    FORWARDS_BEFORE_MORE,
    Pace,
    RowLimit,
    Unit,
    admit,
    choose,
    late,
    preview_due,
    slots_for,
    worth,
)

#: Seconds of one forward as measured on a processor: rows get cheaper up to 8.
PACE = Pace(((1, 0.05), (2, 0.08), (4, 0.12), (8, 0.2), (16, 0.4)))
#: A large model: nothing is gained by a second row.
LARGE = Pace(((1, 1.0), (2, 2.0)))

UNITS = st.lists(
    st.builds(
        Unit,
        id=st.integers(0, 10**6),
        lane=st.sampled_from(["a", "b", "large"]),
        rows=st.integers(1, 5),
        left=st.integers(1, 50),
        member=st.sampled_from("xyz"),
        came=st.floats(0, 100),
        running=st.booleans(),
        deadline=st.one_of(st.just(inf), st.floats(0, 300)),
    ),
    max_size=24,
    unique_by=lambda unit: unit.id,
)
PACES = {"a": PACE, "b": replace(PACE, most=2), "large": LARGE, "other": LARGE}


@given(UNITS, st.floats(100, 200))
def test_the_budget_is_kept(units: Sequence[Unit], now: float) -> None:
    """One lane, at most the knee's rows unless a single picture needs more; no picture twice; never idle."""
    batch = choose(units, PACES, now)
    assert (batch is None) == (not units)
    if batch is None:
        return
    known = {unit.id: unit for unit in units}
    assert len(set(batch.units)) == len(batch.units)
    assert all(known[number].lane == batch.lane for number in batch.units)
    assert batch.rows == sum(known[number].rows for number in batch.units)
    assert batch.rows <= PACES[batch.lane].knee or len(batch.units) == 1
    if len(batch.units) > 1 or batch.rows < PACES[batch.lane].knee:
        # Nothing that would have fitted was left out.
        room = PACES[batch.lane].knee - batch.rows
        left = [u for u in units if u.lane == batch.lane and u.id not in batch.units]
        assert all(unit.rows > room for unit in left)


@given(UNITS, st.randoms(use_true_random=False), st.floats(100, 200))
def test_the_choice_does_not_depend_on_the_order_of_the_list(units: list[Unit], shuffle: object, now: float) -> None:
    """The same pictures take the step however they are listed."""
    mixed = list(units)
    shuffle.shuffle(mixed)  # pyright: ignore[reportAttributeAccessIssue]
    one, other = choose(units, PACES, now), choose(mixed, PACES, now)
    if one is not None and other is not None and one.lane == other.lane:
        assert one == other


@given(UNITS, st.data(), st.floats(100, 200))
def test_who_is_cancelled_takes_no_further_step(units: list[Unit], data: st.DataObject, now: float) -> None:
    """Room that a cancelled picture leaves goes to others at once; the rest of the batch keeps its place."""
    before = choose(units, PACES, now)
    if before is None:
        return
    gone = set(data.draw(st.lists(st.sampled_from(before.units), min_size=1, unique=True)))
    left = [unit for unit in units if unit.id not in gone]
    after = choose(left, PACES, now)
    assert (after is None) == (not left)
    assert after is None or not gone & set(after.units)
    waiting = [unit for unit in left if unit.lane == before.lane and unit.id not in before.units]
    if after is not None and after.lane == before.lane and not waiting:
        assert set(after.units) == set(before.units) - gone


def run(units: dict[int, Unit], arrivals: dict[int, list[Unit]], ticks: int) -> dict[int, int]:
    """Simulate; gives the tick at which each unit ended."""
    now = 0.0
    ended: dict[int, int] = {}
    for tick in range(ticks):
        for unit in arrivals.get(tick, []):
            units[unit.id] = replace(unit, came=now)
        batch = choose(list(units.values()), PACES, now)
        if batch is None:
            if tick > max(arrivals, default=0):
                break
            continue
        now += PACES[batch.lane].forward(batch.rows)
        for number, unit in list(units.items()):
            if number in batch.units:
                units[number] = replace(unit, left=unit.left - 1, running=True)
                if not units[number].left:
                    ended[number] = tick
                    del units[number]
            elif unit.lane == batch.lane:
                units[number] = replace(unit, running=False)
    return ended


@settings(max_examples=40)
@given(UNITS)
def test_all_work_ends(units: list[Unit]) -> None:
    """Every unit gets exactly its steps, and no step is empty."""
    total = sum(unit.left for unit in units)
    ended = run({unit.id: replace(unit, came=0.0) for unit in units}, {}, total + 1)
    assert ended.keys() == {unit.id for unit in units}


@pytest.mark.parametrize(("lane", "flood"), [("large", 1), ("other", 1), ("other", 2)])
def test_nobody_starves_under_a_flood(lane: str, flood: int) -> None:
    """A long picture ends although more short ones of other members come than can be drawn, here or in another lane."""
    patient = Unit(0, "large", 1, 8, "patient", 0.0)
    arrivals = {
        tick: [Unit(1 + 10 * tick + k, lane, 1, 2, f"m{tick}{k}", 0.0) for k in range(flood)] for tick in range(300)
    }
    ended = run({0: patient}, arrivals, 300)
    assert 0 in ended


def test_at_knee_one_a_short_request_overtakes_a_long_one() -> None:
    """A large model draws one at a time; a draft of four steps does not wait for fifty."""
    long = {0: Unit(0, "large", 1, 50, "a", 0.0)}
    ended = run(long, {5: [Unit(1, "large", 1, 4, "b", 0.0)]}, 100)
    assert ended[1] < 25
    assert ended[0] < 60


def test_equal_requests_end_one_after_the_other_at_knee_one() -> None:
    """Switching at every step would finish both at the end."""
    units = {k: Unit(k, "large", 1, 10, str(k), 0.0) for k in range(2)}
    ended = run(units, {}, 100)
    assert min(ended.values()) <= 16


def test_a_new_picture_joins_at_the_next_step() -> None:
    """Wherever the knee has room."""
    running = [Unit(0, "a", 2, 9, "x", 1.0, running=True)]
    batch = choose([*running, Unit(1, "a", 2, 16, "y", 1.0)], PACES, 1.0)
    assert batch is not None
    assert set(batch.units) == {0, 1}


def test_members_share_a_full_batch() -> None:
    """A member with ten pictures does not keep another's one out."""
    many = [Unit(k, "a", 2, 16, "greedy", 0.0) for k in range(10)]
    batch = choose([*many, Unit(99, "a", 2, 16, "modest", 0.0)], PACES, 1.0)
    assert batch is not None
    assert 99 in batch.units


def test_deadlines_hurry_what_can_still_be_met() -> None:
    """Not what is lost anyway."""
    calm = Unit(0, "large", 1, 10, "x", 0.0)
    hurried, lost = replace(calm, id=1, deadline=12.0), replace(calm, id=2, deadline=5.0)
    assert worth(hurried, LARGE, 0.0) > worth(calm, LARGE, 0.0) == worth(lost, LARGE, 0.0)
    assert late([calm, hurried, lost], 5.0) == [2]


def test_the_knee_is_the_smallest_batch_that_is_nearly_best() -> None:
    """And memory caps it."""
    assert PACE.knee == 8
    assert LARGE.knee == 1
    assert replace(PACE, most=3).knee == 3
    assert (slots_for(PACE), slots_for(LARGE), slots_for(Pace(((64, 1.0),)))) == (5, 2, 16)


@given(st.integers(1, 200))
def test_time_of_a_forward_grows_with_its_rows(rows: int) -> None:
    """Measured points are met exactly; between and beyond them it never falls."""
    assert PACE.forward(8) == pytest.approx(0.2)
    assert PACE.forward(rows) <= PACE.forward(rows + 1) + 1e-12
    assert PACE.forward(max(BUCKETS)) == pytest.approx(1.6)


@given(st.lists(st.integers(1, 4), max_size=20), st.integers(0, 40), st.integers(1, 40))
def test_admission_keeps_order_and_bound(waiting: list[int], active: int, most: int) -> None:
    """First come, first served; something always begins when nothing runs."""
    admitted = admit(waiting, active, most)
    inside = active + sum(waiting[:admitted])
    assert inside <= most or admitted == 0 or (active == 0 and admitted == 1)
    if waiting and not active:
        assert admitted >= 1
    if admitted < len(waiting):
        assert inside + waiting[admitted] > most


def test_previews_are_rare_and_never_in_the_way() -> None:
    """Every half second at most, and only with nobody else about."""
    assert preview_due(10.0, 9.5, others=False)
    assert not preview_due(10.0, 9.6, others=False)
    assert not preview_due(10.0, 0.0, others=True)


def test_memory_that_was_full_is_tried_again_and_less_and_less_often() -> None:
    """Half at once; twice as much after it has been well for long; a try that fails makes the next one rarer."""
    room = RowLimit(16).full(16)
    assert room.rows == 8
    well = 0
    while room.rows == 8:
        room, well = room.held(64), well + 1
    assert (room.rows, well) == (16, FORWARDS_BEFORE_MORE)
    room, again = room.full(16), 0
    assert room.rows == 8
    while room.rows == 8:
        room, again = room.held(64), again + 1
    assert again == 2 * FORWARDS_BEFORE_MORE


@given(st.lists(st.booleans(), max_size=200), st.integers(1, 64))
def test_room_stays_between_one_row_and_what_there_is(news: list[bool], most: int) -> None:
    """Whatever happens; and a failure always makes it smaller."""
    room = RowLimit(most)
    for well in news:
        before = room
        room = room.held(most) if well else room.full(room.rows)
        assert 1 <= room.rows <= most
        assert well or room.rows == max(1, before.rows // 2)
