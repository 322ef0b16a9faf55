"""Whose job is next: properties of the fair share, over random histories."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from queuekit import asked

from daguerre.queue.fair import FairShare, Line, Place, Waiting, cost


class Model:
    """The job table as a list: what table.py does in SQL."""

    def __init__(self) -> None:
        self.fair = FairShare()
        self.waiting: dict[str, tuple[str, Waiting]] = {}
        self.history: list[tuple[str, Waiting]] = []
        self._number = 0

    def line(self, server: str) -> list[Waiting]:
        return [job for home, job in self.waiting.values() if home == server]

    def submit(self, server: str, member: str, job_cost: float = 1.0) -> str:
        line = self.line(server)
        mine = [job for job in line if job.member == member]
        summed = Line(
            member_end=max((job.place.turn + job.cost for job in mine), default=None),
            server_end=max((job.place.tag + job.cost for job in line), default=None),
        )
        turn = self.fair.turn(server, member, summed)
        later = [job for job in line if job.place.turn > turn]
        tag = self.fair.tag(server, summed, min((job.place.tag for job in later), default=None))
        for job in later:
            moved = Place(turn=job.place.turn, tag=job.place.tag + job_cost)
            self.waiting[job.id] = (server, replace(job, place=moved))
        self._number += 1
        name = f"{self._number:06d}"
        self.waiting[name] = (server, Waiting(name, member, job_cost, Place(turn=turn, tag=tag)))
        return name

    def order(self) -> list[str]:
        return sorted(self.waiting, key=lambda name: (self.waiting[name][1].place.tag, name))

    def start(self) -> tuple[str, Waiting]:
        name = self.order()[0]
        server, job = self.waiting.pop(name)
        self.fair.started(server, job.member, job.place, job.cost)
        self.history.append((server, job))
        return server, job

    def cancel(self, name: str) -> None:
        server, job = self.waiting[name]
        for moved in self.fair.close_gap(self.line(server), job):
            self.waiting[moved.id] = (server, moved)
        del self.waiting[name]


#: Other work may slow this machine down; how fast an example runs proves nothing.
unhurried = settings(deadline=None, max_examples=60)

servers = st.sampled_from("XYZ")
members = st.sampled_from("abcd")
costs = st.sampled_from([0.25, 1.0, 4.0])
events = st.lists(
    st.tuples(st.just("submit"), servers, members, costs)
    | st.tuples(st.just("start"))
    | st.tuples(st.just("cancel"), st.integers(0, 30)),
    max_size=60,
)


def replay(story: list[tuple]) -> Model:
    model = Model()
    for event, *details in story:
        if event == "submit":
            server, member, job_cost = details
            model.submit(server, server + member, job_cost)
        elif event == "start" and model.waiting:
            model.start()
        elif event == "cancel" and model.waiting:
            order = model.order()
            model.cancel(order[details[0] % len(order)])
    return model


@unhurried
@given(events)
def test_jobs_of_one_member_keep_their_order(story: list[tuple]) -> None:
    """Whatever happened, what a member asked for first comes first."""
    model = replay(story)
    for member in {job.member for _, job in model.waiting.values()}:
        mine = [name for name in model.order() if model.waiting[name][1].member == member]
        assert mine == sorted(mine)


@unhurried
@given(events)
def test_tags_follow_turns_inside_a_server(story: list[tuple]) -> None:
    """The order by tag, which the database sorts by, is the fair order inside each server."""
    model = replay(story)
    for server in "XYZ":
        line = model.line(server)
        by_turn = sorted(line, key=lambda job: (job.place.turn, job.id))
        assert by_turn == sorted(line, key=lambda job: (job.place.tag, job.id))
        for before, after in pairwise(by_turn):
            assert before.place.tag + before.cost <= after.place.tag


@unhurried
@given(events, servers)
def test_a_newcomer_waits_for_at_most_one_job_of_each_other_member(story: list[tuple], server: str) -> None:
    """Inside its server, a member with nothing queued or just done is passed by one job of each other, no more."""
    model = replay(story)
    name = model.submit(server, "newcomer")
    before = [job.member for job in model.line(server) if job.place.tag < model.waiting[name][1].place.tag]
    assert all(number == 1 for number in Counter(before).values())


@unhurried
@given(st.integers(1, 60), st.integers(0, 5))
def test_a_flood_delays_others_only_by_what_runs(flood: int, started: int) -> None:
    """After a member has queued any number of jobs and some run, another's job is next: same server or not."""
    for home in ("X", "Y"):
        model = Model()
        for _ in range(flood):
            model.submit("X", "flooder")
        for _ in range(max(1, min(started, flood))):
            model.start()
        quiet = model.submit(home, "quiet")
        assert model.order()[0] == quiet


def test_servers_take_turns_whatever_the_number_of_their_members() -> None:
    """A server with one member gets every second start beside one with a hundred."""
    model = Model()
    for number in range(100):
        model.submit("big", f"member {number}")
    for _ in range(20):
        model.submit("small", "only")
    starts = [model.start()[0] for _ in range(40)]
    assert Counter(starts) == {"big": 20, "small": 20}


def test_time_counts_not_the_number_of_jobs() -> None:
    """Two members with jobs of cost 4 and 1: over time both get the same device time."""
    model = Model()
    for _ in range(40):
        model.submit("X", "grids", 4.0)
        model.submit("X", "singles", 1.0)
    used: Counter[str] = Counter()
    for _ in range(50):
        _, job = model.start()
        used[job.member] += int(job.cost)
    assert abs(used["grids"] - used["singles"]) <= 4


def test_an_idle_member_saves_nothing_up() -> None:
    """Having been away gives no right to overtake: both take turns from then on."""
    model = Model()
    for _ in range(50):
        model.submit("X", "busy")
    for _ in range(25):
        model.start()
    for _ in range(10):
        model.submit("X", "back again")
    starts = [model.start()[1].member for _ in range(10)]
    assert Counter(starts) == {"busy": 5, "back again": 5}


@unhurried
@given(events)
def test_clocks_rebuilt_from_history_place_alike(story: list[tuple]) -> None:
    """After a restart the clocks, rebuilt from the past jobs in any order, give the same places."""
    model = replay(story)
    rebuilt = Model()
    rebuilt.waiting, rebuilt._number = dict(model.waiting), model._number
    for server, job in reversed(model.history):
        rebuilt.fair.started(server, job.member, job.place, job.cost)
    for server in "XYZ":
        for member in ("a", "new"):
            assert model.submit(server, server + member) == rebuilt.submit(server, server + member)
            assert model.waiting == rebuilt.waiting


def test_cost_is_device_time() -> None:
    """Pictures times steps, in pictures of 16 steps."""
    assert cost(asked(count=4, steps=8)) == 2.0
