"""Whose job is next: properties of the fair share, over random histories."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from daguerre.queue.dispatch.fair import Ahead, FairQueue
from daguerre.queue.dispatch.ordered import Ordered
from daguerre.queue.records.capability import Capability, Needs
from daguerre.queue.records.waiting import Entry, Priority

#: Each example plays a whole queue.
few = settings(max_examples=60)

priorities = st.sampled_from(("fast", "relax"))
servers = st.sampled_from("XYZ")
members = st.sampled_from("abcd")
#: Powers of two, so that sums of costs are exact.
costs = st.sampled_from([0.25, 1.0, 4.0])
events = st.lists(
    st.tuples(st.just("add"), servers, members, costs, priorities)
    | st.tuples(st.just("start"))
    | st.tuples(st.just("drop"), st.integers(0, 30))
    | st.tuples(st.just("settle"), st.sampled_from([0.25, 2.0, 8.0])),
    max_size=60,
)


def anything(_: Needs) -> bool:
    return True


class Line:
    """A fair queue with numbered jobs."""

    def __init__(self) -> None:
        self.queue = FairQueue()
        self.sent: list[Entry] = []
        self._number = 0

    def add(
        self,
        server: str,
        member: str,
        cost: float = 1.0,
        priority: Priority = "fast",
        *,
        weight: float = 1.0,
        side: int = 0,
    ) -> str:
        self._number += 1
        name = f"{self._number:06d}"
        self.queue.add(Entry(name, server, member, cost, priority, weight, Needs(side=side)))
        return name

    def start(self) -> Entry:
        entry = self.queue.next(anything)
        assert entry is not None
        self.sent.append(self.queue.start(entry.id))
        return entry

    def waiting(self) -> list[Entry]:
        return list(self.queue.order())


def replay(story: list[tuple]) -> Line:
    line = Line()
    for event, *details in story:
        if event == "add":
            server, member, cost, priority = details
            line.add(server, server + member, cost, priority)
        elif event == "start" and len(line.queue):
            line.start()
        elif event == "drop" and len(line.queue):
            order = line.waiting()
            line.queue.drop(order[details[0] % len(order)].id)
        elif event == "settle" and line.sent:
            line.queue.settle(line.sent.pop(), details[0])
    return line


@few
@given(events)
def test_places_are_the_order_in_which_jobs_are_sent(story: list[tuple]) -> None:
    """What `ahead` sums up without walking the queue is what then happens, lanes and all."""
    line = replay(story)
    foreseen = [(line.queue.ahead(entry.id).jobs, entry.id) for entry in line.waiting()]
    costs_ahead = {entry.id: line.queue.ahead(entry.id).cost for entry in line.waiting()}
    spent = 0.0
    for place, job in foreseen:
        entry = line.start()
        assert (place, job) == (foreseen.index((place, job)), entry.id)
        assert costs_ahead[job] == spent
        spent += entry.cost


@few
@given(events)
def test_jobs_of_one_member_keep_their_order(story: list[tuple]) -> None:
    """Whatever happened, what a member asked for first in a lane comes first."""
    order = replay(story).waiting()
    for flow in {(entry.priority, entry.member) for entry in order}:
        mine = [entry.id for entry in order if (entry.priority, entry.member) == flow]
        assert mine == sorted(mine)


@few
@given(events, st.sets(st.integers(0, 3), max_size=2))
def test_it_conserves_work(story: list[tuple], held: set[int]) -> None:
    """As long as any job may be sent, one is: a slot stays free only when nothing fits."""
    line = replay(story)
    away = {"XYZ"[number % 3] for number in held}
    may = {entry.id for entry in line.waiting() if entry.server not in away}
    for _ in range(len(may)):
        entry = line.queue.next(anything, held=away)
        assert entry is not None
        may.remove(line.queue.start(entry.id).id)
    assert not may
    assert line.queue.next(anything, held=away) is None


@few
@given(events, servers)
def test_a_newcomer_waits_for_at_most_one_job_of_each_other_member(story: list[tuple], server: str) -> None:
    """Inside its server, a member with nothing queued or just done is passed by one job of each other, no more."""
    line = replay([event for event in story if "relax" not in event])
    name = line.add(server, "newcomer")
    order = line.waiting()
    place = next(number for number, entry in enumerate(order) if entry.id == name)
    before = Counter(entry.member for entry in order[:place] if entry.server == server)
    assert all(number == 1 for number in before.values())


@few
@given(events, servers)
def test_the_lag_of_a_server_is_bounded(story: list[tuple], server: str) -> None:
    """A server that begins to wait is passed by no other for more than that server's one longest job."""
    line = replay([event for event in story if "relax" not in event])
    if any(entry.server == server for entry in line.waiting()):
        return
    name = line.add(server, "newcomer", 0.25)
    order = line.waiting()
    place = next(number for number, entry in enumerate(order) if entry.id == name)
    spent: Counter[str] = Counter()
    longest = 4.0
    for entry in order[:place]:
        spent[entry.server] += entry.cost  # type: ignore[assignment]
    # Its own past counts too: at most one job (settled to at most 8 s) that it has been given in advance.
    assert all(seconds <= 2 * longest + 8.0 for seconds in spent.values())


@few
@given(st.lists(st.tuples(servers, members, costs), min_size=2, max_size=20), st.randoms(use_true_random=False))
def test_the_order_in_which_equals_arrive_does_not_matter(jobs: list[tuple], chance: random.Random) -> None:
    """Jobs that arrive at one moment are sent in one order, whichever was put in first; members' own order stays."""
    entries = [
        Entry(f"{number:04d}", server, server + member, cost) for number, (server, member, cost) in enumerate(jobs)
    ]
    shuffled = list(entries)
    chance.shuffle(shuffled)
    lines: dict[str, list[Entry]] = {}
    for entry in entries:
        lines.setdefault(entry.member, []).append(entry)
    mixed = [lines[entry.member].pop(0) for entry in shuffled]
    orders: list[list[str]] = []
    for arriving in (entries, mixed):
        queue = FairQueue()
        for entry in arriving:
            queue.add(entry)
        orders.append([entry.id for entry in queue.order()])
    assert orders[0] == orders[1]


@few
@given(st.integers(1, 60), st.integers(0, 5))
def test_a_flood_delays_others_only_by_what_runs(flood: int, started: int) -> None:
    """After a member has queued any number of jobs and some run, another's job is next: same server or not."""
    for home in ("X", "Y"):
        line = Line()
        for _ in range(flood):
            line.add("X", "flooder")
        for _ in range(max(1, min(started, flood))):
            line.start()
        quiet = line.add(home, "quiet")
        following = line.queue.next(anything)
        assert following is not None
        assert following.id == quiet
        assert line.queue.ahead(quiet) == Ahead()


def test_five_hundred_against_one() -> None:
    """The flood of 500 of one member, and one job of another: behind what runs, before the 499."""
    line = Line()
    for _ in range(500):
        line.add("X", "flooder")
    line.start()
    quiet = line.add("X", "quiet")
    assert line.start().id == quiet


def test_servers_take_turns_whatever_the_number_of_their_members() -> None:
    """A server with one member gets every second start beside one with a hundred."""
    line = Line()
    for number in range(100):
        line.add("big", f"member {number}")
    for _ in range(20):
        line.add("small", "only")
    starts = [line.start().server for _ in range(40)]
    assert Counter(starts) == {"big": 20, "small": 20}


def test_time_counts_not_the_number_of_jobs() -> None:
    """Two members with jobs of cost 4 and 1: over time both get the same device time."""
    line = Line()
    for _ in range(40):
        line.add("X", "grids", 4.0)
        line.add("X", "singles", 1.0)
    used: Counter[str] = Counter()
    for _ in range(50):
        entry = line.start()
        used[entry.member] += int(entry.cost)
    assert abs(used["grids"] - used["singles"]) <= 4


def test_weights_share_the_time() -> None:
    """A member of weight 3 gets three times the device time of one of weight 1."""
    line = Line()
    for _ in range(60):
        line.add("X", "patron", weight=3.0)
        line.add("X", "guest")
    starts = Counter(line.start().member for _ in range(40))
    assert (starts["patron"], starts["guest"]) == (30, 10)


def test_relaxed_jobs_get_their_share_and_all_of_an_idle_machine() -> None:
    """A quarter of the fast lane's weight: every fifth second, or every second when nothing else waits."""
    line = Line()
    for _ in range(50):
        line.add("X", "a")
        line.add("X", "b", priority="relax")
    starts = Counter(line.start().priority for _ in range(50))
    assert starts == {"fast": 40, "relax": 10}
    while len(line.queue):
        line.start()
    assert len(line.sent) == 100


def test_what_a_job_really_took_is_settled() -> None:
    """Jobs that take four times what was thought cost their member four turns."""
    line = Line()
    for _ in range(60):
        line.add("X", "slow")
        line.add("X", "quick")
    spent: Counter[str] = Counter()
    for _ in range(50):
        entry = line.start()
        seconds = 4.0 if entry.member == "slow" else 1.0
        line.queue.settle(entry, seconds)
        spent[entry.member] += int(seconds)
    assert abs(spent["slow"] - spent["quick"]) <= 4


def test_an_idle_member_saves_nothing_up() -> None:
    """Having been away gives no right to overtake: both take turns from then on."""
    line = Line()
    for _ in range(50):
        line.add("X", "busy")
    for _ in range(25):
        line.start()
    for _ in range(10):
        line.add("X", "back again")
    starts = [line.start().member for _ in range(10)]
    assert Counter(starts) == {"busy": 5, "back again": 5}


def test_a_job_that_comes_back_is_its_members_next() -> None:
    """A lost message costs a job nothing: it stands where it stood, and was not charged."""
    line = Line()
    for _ in range(3):
        line.add("X", "a")
        line.add("X", "b")
    order = [entry.id for entry in line.waiting()]
    first = line.start()
    line.queue.back(first)
    assert [entry.id for entry in line.waiting()] == order


def test_jobs_go_where_they_fit() -> None:
    """A worker for small pictures takes the next small one, and the large one waits for a worker of its size."""
    line = Line()
    large = line.add("X", "a", side=1024)
    small = line.add("X", "b", side=256)
    narrow, broad = Capability(side=512), Capability(side=1024)
    assert (found := line.queue.next(narrow.fits)) is not None
    assert found.id == small
    assert (found := line.queue.next(broad.fits)) is not None
    assert found.id == large
    line.queue.drop(small)
    assert line.queue.next(narrow.fits) is None
    assert narrow.breadth < broad.breadth


def test_groups_of_workers() -> None:
    """Equal abilities make one group; a pool or model that a job names must be the worker's."""
    one, other = Capability(models=("a", "b"), side=256), Capability(models=("b", "a"), side=256)
    assert one.group == other.group != Capability(side=256).group
    assert Capability().group == "gpu"
    assert one.fits(Needs(model="a"))
    assert not one.fits(Needs(model="c"))
    assert not one.fits(Needs(pool="attic"))
    assert Capability(pool="attic room*>").group.replace("-", "").replace("_", "").isalnum()


@few
@given(st.lists(st.tuples(st.integers(0, 50), costs), max_size=40), st.integers(0, 50), st.floats(-1, 60))
def test_the_sorted_list_sums_up(items: list[tuple[int, float]], at: int, budget: float) -> None:
    """Ranks and prefix costs are those of a plain sorted list."""
    ordered = Ordered()
    plain = sorted({(float(turn), f"{number:03d}"): cost for number, (turn, cost) in enumerate(items)}.items())
    for key, cost in plain[::2] + plain[1::2]:
        ordered.add(key, cost)
    key = (float(at), "")
    assert ordered.before(key) == (
        sum(one < key for one, _ in plain),
        sum(cost for one, cost in plain if one < key),
    )
    begins, leading = 0.0, 0
    for _, cost in plain:
        if begins >= budget:
            break
        begins, leading = begins + cost, leading + 1
    assert ordered.beginning_before(budget) == (leading, begins)
    assert list(ordered) == [one for one, _ in plain]
    for one, _ in plain:
        ordered.remove(one)
    assert len(ordered) == 0


def test_a_long_sorted_list_splits_its_blocks() -> None:
    """Thousands of keys in random order come out sorted, with the right sums."""
    ordered, keys = Ordered(), [(float(number), "") for number in range(5_000)]
    random.Random(1).shuffle(keys)
    for key in keys:
        ordered.add(key, 1.0)
    assert all(before < after for before, after in pairwise(ordered))
    assert ordered.before((1234.0, "")) == (1234, 1234.0)
    assert ordered.beginning_before(777.5) == (778, 778.0)
