"""The waiting line in the memory of the control process: who waits, who is out, who has used how much.

A mirror of the job table, filled from it at start and changed after each commit. It decides; it stores nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from ..records import Entry, Limits, Needs, Standing, day
from .fair import Ahead, FairQueue
from .turns import Chooser, Next, Turn
from .worker_registry import Group


@dataclass(frozen=True, slots=True)
class Pick:
    """A job that shall be sent to a group of workers."""

    entry: Entry
    group: str


@dataclass(slots=True)
class _Out:
    entry: Entry
    group: str | None
    #: Seconds of loading that it was charged with besides.
    swap: float = 0.0


class WaitingLine:
    """Every change is made in one step of the event loop, so it is always whole."""

    def __init__(self, *, relax_share: float, limits: Limits) -> None:
        self.queue = FairQueue(relax_share)
        self.limits = limits
        self._relax_share = relax_share
        self._out: dict[str, _Out] = {}
        #: Of each group with several models, by its name.
        self._turns: dict[str, Turn] = {}
        #: Jobs that wait, and that are out, by member and by server.
        self._waiting: Counter[tuple[str, str]] = Counter()
        self._running: Counter[tuple[str, str]] = Counter()
        #: Estimated seconds of a member's jobs that wait or are out.
        self._promised: Counter[str] = Counter()
        self._today = ""
        self._used: dict[str, float] = {}
        #: Nothing is sent; nothing of these servers is sent.
        self.paused = False
        self.paused_servers: set[str] = set()

    def fill(self, waiting: Iterable[Entry], out: Mapping[Entry, str | None]) -> None:
        """Begin afresh, as after a start. What is out counts as just sent, so a flood goes on where it was."""
        self.queue = FairQueue(self._relax_share)
        self._out.clear()
        for counted in (self._waiting, self._running, self._promised):
            counted.clear()
        for entry, group in out.items():
            self.enter(entry)
            self._send(entry, group)
        for entry in waiting:
            self.enter(entry)

    # How it stands

    def __contains__(self, job: str) -> bool:
        return job in self.queue

    @property
    def waiting(self) -> int:
        return len(self.queue)

    @property
    def out(self) -> Mapping[str, str | None]:
        """Jobs with workers, or on their way, and the group that they were sent to."""
        return {job: out.group for job, out in self._out.items()}

    def is_out(self, job: str) -> bool:
        return job in self._out

    def standing(self, server: str, member: str, now: float) -> Standing:
        """What counts against the limits of one more job."""
        return Standing(
            member=self._waiting["member", member],
            server=self._waiting["server", server],
            total=len(self.queue),
            seconds=self.used_today(member, now) + self._promised[member],
        )

    def used_today(self, member: str, now: float) -> float:
        self._turn_day(now)
        return self._used.get(member, 0.0)

    def recall_usage(self, used: Mapping[str, float], now: float) -> None:
        self._today, self._used = day(now), dict(used)

    def ahead(self, job: str) -> Ahead | None:
        """None when it does not wait."""
        return self.queue.ahead(job) if job in self.queue else None

    def lined_up(self, limit: int) -> list[Entry]:
        """What waits, the next first; at most `limit`."""
        return list(islice(self.queue.order(), limit))

    def needs(self, job: str) -> Needs | None:
        entry = self.queue.get(job)
        return None if entry is None else entry.needs

    def server_counts(self, server: str) -> tuple[int, int]:
        """Jobs of a server that wait, and that are out."""
        return self._waiting["server", server], self._running["server", server]

    def costs_out(self) -> Mapping[str, float]:
        """Estimated seconds of each job that is with a worker."""
        return {job: out.entry.cost for job, out in self._out.items()}

    # How it changes

    def enter(self, entry: Entry) -> None:
        """A job begins to wait."""
        if entry.id in self.queue or entry.id in self._out:
            return
        self.queue.add(entry)
        self._count(self._waiting, entry, 1)
        self._promised[entry.member] += entry.cost  # type: ignore[assignment]

    def pick(self, groups: Collection[Group], apart: Collection[str] = ()) -> list[Pick]:
        """Take the next jobs out, as many as fit into the free slots of the groups; `apart` occupy none."""
        if self.paused:
            return []
        busy = Counter(out.group for job, out in self._out.items() if job not in apart)
        work: Counter[str] = Counter()
        for out in self._out.values():
            work[out.group or ""] += out.entry.cost  # type: ignore[assignment]
        self._meet(groups, busy)
        chooser = Chooser(self.queue, tuple(groups), self._turns, work, self.paused_servers, self._full)
        picks: list[Pick] = []
        free: dict[str, int] = {}

        def send(group: Group, found: Next) -> None:
            self._send(found.entry, group.name)
            free[group.name] -= 1
            work[group.name] += found.entry.cost  # type: ignore[assignment]
            picks.append(Pick(found.entry, group.name))
            if group.several:
                self._turns[group.name].sent(found.model, found.entry.cost)
                self._charge(found)

        # 1. What can be drawn without loading anything.
        for number, group in enumerate(groups):
            # Jobs whose group nobody remembers any more are charged to the first, so that no slot is filled twice.
            free[group.name] = group.slots - busy[group.name] - (0 if number else busy[None])
            while free[group.name] > 0:
                found = chooser.loaded(group) if group.several else self._first(group)
                if found is None:
                    break
                send(group, found)
        # 2. What another model has to be loaded for, where that is done soonest.
        while True:
            able = [group for group in groups if group.several and free[group.name] > 0]
            asked = [(group, found) for group in able if (found := chooser.any(group)) is not None]
            if not asked:
                return picks
            send(*min(asked, key=lambda pair: (pair[1].swap, busy[pair[0].name], pair[0].name)))

    def _first(self, group: Group) -> Next | None:
        entry = self.queue.next(group.capability.fits, held=self.paused_servers, full=self._full)
        return None if entry is None else Next(entry, "")

    def _meet(self, groups: Collection[Group], busy: Mapping[str | None, int]) -> None:
        """What each has loaded, by its own word where it has nothing to do, else by what it was sent last."""
        known = {group.name: self._turns.get(group.name) for group in groups if group.several}
        self._turns = {
            group.name: turn
            if (turn := known[group.name]) is not None and (busy[group.name] or turn.model == group.active)
            else Turn(group.active)
            for group in groups
            if group.several
        }

    def _charge(self, found: Next) -> None:
        """Whoever is next when another model has to be loaded pays for that too."""
        if found.swap:
            self._out[found.entry.id].swap = found.swap
            self.queue.settle(found.entry, found.entry.cost + found.swap)

    def take(self, entry: Entry, group: str) -> None:
        """A job turned out to be with a worker, or its group to be another."""
        if entry.id in self.queue:
            self._send(self.queue.get(entry.id) or entry, group)
        elif entry.id in self._out:
            self._out[entry.id].group = group
        else:
            self.enter(entry)
            self._send(entry, group)

    def back(self, entry: Entry) -> None:
        """A job that was out waits again at its place."""
        out = self._out.pop(entry.id, None)
        if out is None:
            self.enter(entry)
            return
        self._count(self._running, out.entry, -1)
        if out.swap:
            self.queue.settle(out.entry, out.entry.cost - out.swap)
        self.queue.back(out.entry)
        self._count(self._waiting, out.entry, 1)

    def leave(self, job: str, *, seconds: float | None = None, now: float = 0.0) -> None:
        """A job is over, wherever it was; `seconds` of device time at Unix time `now` if it was rendered."""
        waited = self.queue.drop(job)
        if waited is not None:
            self._count(self._waiting, waited, -1)
            self._unpromise(waited)
        out = self._out.pop(job, None)
        if out is not None:
            self._count(self._running, out.entry, -1)
            self._unpromise(out.entry)
        entry = waited or (out.entry if out else None)
        if seconds is not None and entry is not None:
            self._turn_day(now)
            self._used[entry.member] = self._used.get(entry.member, 0.0) + seconds
            if out is not None:
                self.queue.settle(out.entry, max(seconds, 1e-3))

    # Inside

    def _send(self, entry: Entry, group: str | None) -> None:
        self.queue.start(entry.id)
        self._count(self._waiting, entry, -1)
        self._count(self._running, entry, 1)
        self._out[entry.id] = _Out(entry, group)

    def _full(self, entry: Entry) -> bool:
        """Whether its member or server has as many jobs with workers as are allowed."""
        limits = self.limits
        return bool(
            (limits.running_per_member and self._running["member", entry.member] >= limits.running_per_member)
            or (limits.running_per_server and self._running["server", entry.server] >= limits.running_per_server)
        )

    def _unpromise(self, entry: Entry) -> None:
        self._promised[entry.member] -= entry.cost  # type: ignore[assignment]
        if self._promised[entry.member] < 1e-9:
            del self._promised[entry.member]

    def _turn_day(self, now: float) -> None:
        if day(now) != self._today:
            self._today, self._used = day(now), {}

    @staticmethod
    def _count(counted: Counter[tuple[str, str]], entry: Entry, by: int) -> None:
        for key in (("member", entry.member), ("server", entry.server)):
            counted[key] += by
            if not counted[key]:
                del counted[key]
