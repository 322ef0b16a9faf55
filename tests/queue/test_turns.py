"""Workers with several models: which job is next, properties over random histories."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from daguerre.queue.dispatch.line import WaitingLine
from daguerre.queue.dispatch.turns import LONGEST, PATIENCE
from daguerre.queue.dispatch.worker_registry import Group
from daguerre.queue.records.capability import Capability, Needs
from daguerre.queue.records.limits import Limits
from daguerre.queue.records.waiting import Entry

few = settings(max_examples=80)
MODELS = ("a", "b", "c")
LONGEST_JOB = 4.0
costs = st.sampled_from([0.25, 1.0, LONGEST_JOB])
arrivals = st.lists(st.tuples(st.integers(0, 40), st.sampled_from("xyz"), st.sampled_from(MODELS), costs), max_size=40)
swaps = st.sampled_from([0.5, 2.0, 8.0])


@dataclass
class Played:
    """One worker, played with whole jobs as ticks: what it was sent, and where it had to load."""

    swap: float
    slots: int = 2
    name: str = "w"
    loaded: str = "a"
    line: WaitingLine = field(default_factory=lambda: WaitingLine(relax_share=0.25, limits=Limits()))
    sent: list[Entry] = field(default_factory=list)
    #: Work since the last loading, and whether the old model had jobs left, at each loading.
    changes: list[tuple[float, bool]] = field(default_factory=list)
    work: float = 0.0

    @property
    def group(self) -> Group:
        others = {model: self.swap for model in MODELS if model != self.loaded}
        return Group(self.name, Capability(models=MODELS, line=self.name), self.slots, self.loaded, others)

    def add(self, number: int, member: str, model: str, cost: float = 1.0) -> str:
        entry = Entry(f"{number:04d}", "s", member, cost, needs=Needs(model=model))
        self.line.enter(entry)
        return entry.id

    def waiting(self, model: str) -> bool:
        return self.line.queue.work(lambda needs: needs.model == model) > 0

    def step(self) -> list[Entry]:
        """Fill the free slots one by one, then the oldest job ends."""
        picked = [pick.entry for pick in self.line.pick([self.group])]
        self.sent += picked
        return picked

    def end(self, entry: Entry) -> None:
        self.loaded = entry.needs.model
        self.line.leave(entry.id, seconds=entry.cost, now=1.0)


def play(story: list[tuple], swap: float) -> tuple[Played, dict[str, float]]:
    """One slot, so that each job is chosen by itself; gives the work by which each job was passed by at the front."""
    worker = Played(swap, slots=1)
    coming = sorted((when, number, *rest) for number, (when, *rest) in enumerate(story))
    passed: Counter[str] = Counter()
    before = worker.loaded
    clock = 0
    while coming or len(worker.line.queue):
        while coming and coming[0][0] <= clock:
            _, number, member, model, cost = coming.pop(0)
            worker.add(number, member, model, cost)
        clock += 1
        front = worker.line.queue.next(worker.group.capability.fits)
        left = worker.waiting(before)
        picked = worker.step()
        assert len(picked) == (front is not None), "a free slot is never left free while a job waits"
        for entry in picked:
            if front is not None and entry.id != front.id:
                passed[front.id] += entry.cost  # type: ignore[assignment]
            if entry.needs.model != before:
                worker.changes.append((worker.work, left))
                before, worker.work = entry.needs.model, 0.0
            worker.work += entry.cost
            worker.end(entry)
    return worker, dict(passed)


@few
@given(arrivals, swaps)
def test_nobody_starves(story: list[tuple], swap: float) -> None:
    """A job that is next by the fair order is passed by for a few times as long as its model takes to load, no more;
    and every job is drawn."""
    worker, passed = play(story, swap)
    assert len(worker.sent) == len(story)
    assert all(work <= min(LONGEST, PATIENCE * swap) + LONGEST_JOB for work in passed.values())


@few
@given(arrivals, swaps)
def test_models_are_changed_when_it_pays(story: list[tuple], swap: float) -> None:
    """While the loaded model has jobs, it is given its turn before another one is loaded."""
    worker, _ = play(story, swap)
    for work, left in worker.changes[1:]:
        assert not left or work >= min(LONGEST, PATIENCE * swap)


def test_loading_takes_a_bounded_share() -> None:
    """Two models with a long line each: a fifth of the time is lost to loading at most, and both get on alike."""
    worker = Played(2.0, slots=1)
    for number in range(200):
        worker.add(number, "xy"[number % 2], "ab"[number % 2])
    order: list[str] = []
    while len(order) < 160:
        (entry,) = worker.step()
        order.append(entry.needs.model)
        worker.end(entry)
    changes = sum(one != other for one, other in pairwise(order))
    assert changes * worker.swap <= len(order) / PATIENCE
    assert changes >= 10
    assert abs(order.count("a") - order.count("b")) <= PATIENCE * worker.swap


def test_whoever_has_a_model_loaded_pays_for_it() -> None:
    """Beside a crowd who draw with what is there, one whose model must be loaded each time gets fewer turns: the
    loading counts as their time."""
    shares: list[int] = []
    for swap in (0.0, 1.0):
        worker = Played(swap, slots=1)
        for number in range(0, 240, 2):
            worker.add(number, "plain", "a")
            worker.add(number + 1, "wants another", "b")
        spent: Counter[str] = Counter()
        loaded, clock = "a", 0.0
        while clock < 80:
            (entry,) = worker.step()
            clock += entry.cost + (swap if entry.needs.model != loaded else 0)
            spent[entry.member] += 1
            loaded = entry.needs.model
            worker.end(entry)
        shares.append(spent["wants another"])
        assert abs(spent["plain"] - spent["wants another"]) <= PATIENCE * max(swap, 1.0)
    assert shares[1] < shares[0]


def test_the_charge_is_given_back_with_the_job() -> None:
    """A job that comes back unsent costs its member nothing, the loading neither."""
    worker = Played(8.0, slots=1)
    first = worker.add(0, "x", "b")
    worker.add(1, "y", "b")
    worker.add(2, "x", "b")
    (entry,) = worker.step()
    assert entry.id == first
    worker.line.back(entry)
    order = [each.member for each in worker.line.queue.order()]
    assert order == ["x", "y", "x"]


def test_jobs_go_to_where_their_model_is_loaded() -> None:
    """Of two workers with a free slot each gets the jobs of what it has loaded, in whatever order they came."""
    line = WaitingLine(relax_share=0.25, limits=Limits())
    groups = [
        Group(name, Capability(models=MODELS, line=name), 2, model, {other: 5.0 for other in MODELS if other != model})
        for name, model in (("one", "a"), ("two", "b"))
    ]
    for number, model in enumerate("bbaa"):
        line.enter(Entry(f"{number}", "s", f"m{number}", 1.0, needs=Needs(model=model)))
    assert {(pick.group, pick.entry.needs.model) for pick in line.pick(groups)} == {("one", "a"), ("two", "b")}
    # One more for a full worker: soon done there, so nothing is loaded for it; with much to do it is.
    line.enter(Entry("4", "s", "m4", 1.0, needs=Needs(model="b")))
    line.leave("2", seconds=1.0, now=1.0)
    assert line.pick(groups) == []
    for number in range(5, 10):
        line.enter(Entry(f"{number}", "s", f"m{number}", 1.0, needs=Needs(model="b")))
    assert [(pick.group, pick.entry.needs.model) for pick in line.pick(groups)] == [("one", "b")]


def test_what_names_no_model_is_drawn_by_the_first() -> None:
    """Such jobs count as jobs of the first model, wherever that is loaded."""
    worker = Played(2.0, slots=3, loaded="b")
    worker.add(0, "x", "")
    worker.add(1, "y", "b")
    worker.add(2, "z", "a")
    picked = worker.step()
    assert [entry.needs.model for entry in picked] == ["b", "", "a"], "one loading for both"


def test_a_worker_tells_what_it_has_loaded() -> None:
    """With nothing to do its own word counts, whatever was sent before: it may have been started afresh."""
    worker = Played(2.0, slots=1)
    worker.add(0, "x", "b")
    (entry,) = worker.step()
    worker.end(entry)
    worker.loaded = "c"
    worker.add(1, "x", "b")
    worker.add(2, "y", "c")
    (entry,) = worker.step()
    assert entry.needs.model in {"b", "c"}
    assert worker.line._turns["w"].model == entry.needs.model
