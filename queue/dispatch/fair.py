"""Fair share: whose job is next. Pure.

Start-time fair queueing (Goyal, Vin, Cheng 1996) on three levels: priorities, the servers in each, the members of a
server. Each flow (a priority, a server, a member) gets device time in proportion to its weight while its jobs wait.
A flow's next job starts, in virtual time, where the flow's last one ended, or at the present if the flow was idle:

    start = max(v, finish of the flow)        finish = start + cost / weight        v = start of the last job sent

and the flow with the smallest start goes first. So a member who submits five hundred jobs fills only the own line; the
next member's job starts at the present, behind what runs and before the rest of the flood. Nobody saves up time.

Inside a server the start of a job (`turn`) is fixed when it arrives; of priorities and servers only the first start is
kept, since their next ones follow from the costs of their jobs in order. Hence the place of any job comes from sums of
costs (`ordered.py`) without walking the queue. What a job really cost is settled when it is known.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, OrderedDict
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from ..records import PRIORITIES, Entry, Needs, Priority
from .ordered import Key, Ordered

Flow = TypeVar("Flow")
#: Servers and members that are remembered though none of their jobs waits; the oldest are forgotten first.
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Ahead:
    """The waiting jobs that will be sent before one job."""

    #: Of the same member; of others in its server; of other servers; of the other priority.
    own: int = 0
    server: int = 0
    others: int = 0
    priority: int = 0
    #: Their device time in seconds.
    cost: float = 0.0

    @property
    def jobs(self) -> int:
        return self.own + self.server + self.others + self.priority


@dataclass(slots=True)
class _Member:
    #: End of the last job in its line, sent or waiting.
    finish: float = 0.0
    #: The line in order.
    keys: list[Key] = field(default_factory=list[Key])


@dataclass(slots=True)
class _Server:
    name: str
    #: Start of its first waiting job; of its next one when none waits.
    start: float = 0.0
    #: Virtual time between its members.
    now: float = 0.0
    order: Ordered = field(default_factory=Ordered)
    members: OrderedDict[str, _Member] = field(default_factory=OrderedDict[str, _Member])
    needs: Counter[Needs] = field(default_factory=Counter[Needs])


@dataclass(slots=True)
class _Class:
    weight: float
    start: float = 0.0
    #: Virtual time between its servers.
    now: float = 0.0
    #: (start, name) of the servers with waiting jobs, in order.
    active: list[Key] = field(default_factory=list[Key])
    servers: OrderedDict[str, _Server] = field(default_factory=OrderedDict[str, _Server])
    jobs: int = 0
    needs: Counter[Needs] = field(default_factory=Counter[Needs])
    #: Cost of its waiting jobs by what they need.
    work: dict[Needs, float] = field(default_factory=dict[Needs, float])


class FairQueue:
    """The waiting jobs in fair order. Lives in memory; the job table, from which it is filled, is the truth."""

    def __init__(self, relax_share: float = 0.25) -> None:
        """`relax_share`: weight of the relaxed jobs beside the fast ones' 1."""
        self._classes: dict[Priority, _Class] = {"fast": _Class(1.0), "relax": _Class(relax_share)}
        self._now = 0.0
        self._entries: dict[str, Entry] = {}
        self._keys: dict[str, Key] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, job: str) -> bool:
        return job in self._entries

    def get(self, job: str) -> Entry | None:
        return self._entries.get(job)

    # Changing

    def add(self, entry: Entry) -> None:
        """A job begins to wait, at the end of its member's line."""
        priority, server, member = self._flows(entry)
        turn = max(server.now, member.finish)
        member.finish = turn + entry.cost / entry.weight
        self._insert(entry, turn, priority, server, member)

    def back(self, entry: Entry) -> None:
        """A job that was sent waits again, as its member's next; what it was charged is given back."""
        priority, server, member = self._flows(entry)
        self._charge(priority, server, -entry.cost)
        first = member.keys[0][0] if member.keys else max(server.now, member.finish - entry.cost / entry.weight)
        turn = min(first, max(server.now, first - entry.cost / entry.weight))
        self._insert(entry, turn, priority, server, member)

    def start(self, job: str) -> Entry:
        """A job leaves for a worker; the clocks move on. Raises: KeyError when it does not wait."""
        entry = self._entries[job]
        priority, server, _ = self._flows(entry)
        self._now = max(self._now, priority.start)
        priority.now = max(priority.now, server.start)
        server.now = max(server.now, self._keys[job][0])
        self._remove(entry)
        self._charge(priority, server, entry.cost)
        return entry

    def drop(self, job: str) -> Entry | None:
        """A job leaves without being sent; its member's later ones move up. None when it does not wait."""
        entry = self._entries.get(job)
        if entry is None:
            return None
        key = self._keys[job]
        _, server, member = self._flows(entry)
        self._remove(entry)
        self._shift(server, member, -entry.cost / entry.weight, after=key)
        return entry

    def settle(self, entry: Entry, seconds: float) -> None:
        """What a sent job really cost: the difference is charged to its flows."""
        priority, server, member = self._flows(entry)
        difference = seconds - entry.cost
        self._charge(priority, server, difference)
        self._shift(server, member, difference / entry.weight)

    # Asking

    def next(
        self,
        fits: Callable[[Needs], bool],
        *,
        held: Container[str] = (),
        full: Callable[[Entry], bool] | None = None,
    ) -> Entry | None:
        """The job to be sent next to a worker that `fits`; `held` servers and `full` members are passed over."""
        for name in sorted(PRIORITIES, key=lambda name: (self._classes[name].start, PRIORITIES.index(name))):
            priority = self._classes[name]
            if not any(fits(needs) for needs in priority.needs):
                continue
            for _, server_name in priority.active:
                server = priority.servers[server_name]
                if server_name in held or not any(fits(needs) for needs in server.needs):
                    continue
                for _, job in server.order:
                    entry = self._entries[job]
                    if fits(entry.needs) and not (full and full(entry)):
                        return entry
        return None

    def work(self, fits: Callable[[Needs], bool]) -> float:
        """Cost of all waiting jobs whose needs fit."""
        return sum(cost for each in self._classes.values() for needs, cost in each.work.items() if fits(needs))

    def order(self) -> Iterator[Entry]:
        """All jobs as they would be sent if nothing changed. Slow: for tests and small queues."""
        for job in sorted(self._entries, key=lambda job: (self.ahead(job).jobs, job)):
            yield self._entries[job]

    def ahead(self, job: str) -> Ahead:
        """What goes before a job if nothing changes. Raises: KeyError when it does not wait."""
        entry, key = self._entries[job], self._keys[job]
        priority = self._classes[entry.priority]
        home = priority.servers[entry.server]
        own = bisect_left(home.members[entry.member].keys, key)
        in_server, work = home.order.before(key)
        begins = home.start + work
        others = 0
        for start, name in priority.active:
            if start > begins:
                break
            if name != entry.server:
                number, cost = priority.servers[name].order.beginning_before(begins - start, ties=name < entry.server)
                others, work = others + number, work + cost
        in_class, cost = self._in_other_class(entry.priority, priority.start + work / priority.weight)
        return Ahead(own=own, server=in_server - own, others=others, priority=in_class, cost=work + cost)

    # Inside

    def _in_other_class(self, mine: Priority, begins: float) -> tuple[int, float]:
        """Jobs of the other priority that start before `begins`, by bisecting that one's own virtual time."""
        name: Priority = "relax" if mine == "fast" else "fast"
        priority = self._classes[name]
        budget = (begins - priority.start) * priority.weight
        ties = PRIORITIES.index(name) < PRIORITIES.index(mine)
        if not priority.active or budget < 0 or (budget == 0 and not ties):
            return 0, 0.0

        def until(when: float) -> tuple[int, float]:
            number, cost = 0, 0.0
            for start, server in priority.active:
                if start > when:
                    break
                more, extra = priority.servers[server].order.beginning_before(when - start, ties=True)
                number, cost = number + more, cost + extra
            return number, cost

        low, high = priority.active[0][0] - 1.0, priority.active[-1][0] + budget + 1.0
        for _ in range(50):
            middle = (low + high) / 2
            if until(middle)[1] <= budget:
                low = middle
            else:
                high = middle
        number, cost = until(low)
        # The next job of each server begins at about the same time: one by one, until `begins` is reached.
        following: list[tuple[float, str, float]] = []
        for start, server in priority.active:
            order = priority.servers[server].order
            passed, spent = order.beginning_before(low - start, ties=True)
            if passed < len(order):
                following.append((start + spent, server, order.cost_at(passed)))
        for _, _, one in sorted(following):
            if cost < budget or (ties and cost == budget):
                number, cost = number + 1, cost + one
        return number, cost

    def _flows(self, entry: Entry) -> tuple[_Class, _Server, _Member]:
        priority = self._classes[entry.priority]
        server = priority.servers.get(entry.server)
        if server is None:
            server = priority.servers[entry.server] = _Server(entry.server)
            _forget(priority.servers, lambda known: not len(known.order))
        member = server.members.get(entry.member)
        if member is None:
            member = server.members[entry.member] = _Member()
            _forget(server.members, lambda known: not known.keys)
        return priority, server, member

    def _insert(self, entry: Entry, turn: float, priority: _Class, server: _Server, member: _Member) -> None:
        key = (turn, entry.id)
        if not priority.jobs:
            priority.start = max(self._now, priority.start)
        if not len(server.order):
            server.start = max(priority.now, server.start)
            insort(priority.active, (server.start, server.name))
        self._entries[entry.id], self._keys[entry.id] = entry, key
        server.order.add(key, entry.cost)
        insort(member.keys, key)
        server.needs[entry.needs] += 1
        priority.needs[entry.needs] += 1
        priority.work[entry.needs] = priority.work.get(entry.needs, 0.0) + entry.cost
        priority.jobs += 1

    def _remove(self, entry: Entry) -> None:
        priority, server, member = self._flows(entry)
        key = self._keys.pop(entry.id)
        del self._entries[entry.id]
        server.order.remove(key)
        del member.keys[bisect_left(member.keys, key)]
        for counted in (server.needs, priority.needs):
            counted[entry.needs] -= 1
            if not counted[entry.needs]:
                del counted[entry.needs]
        # What is summed begins afresh when nothing is left, so that rounding errors do not pile up.
        left = max(0.0, priority.work.pop(entry.needs) - entry.cost)
        if entry.needs in priority.needs:
            priority.work[entry.needs] = left
        priority.jobs -= 1
        if not len(server.order):
            del priority.active[bisect_left(priority.active, (server.start, server.name))]

    def _charge(self, priority: _Class, server: _Server, cost: float) -> None:
        # What is given back moves nobody before the present: that would let one flow run for long alone.
        priority.start = max(priority.start + cost / priority.weight, min(priority.start, self._now))
        waits = len(server.order) > 0
        if waits:
            del priority.active[bisect_left(priority.active, (server.start, server.name))]
        server.start = max(server.start + cost, min(server.start, priority.now))
        if waits:
            insort(priority.active, (server.start, server.name))

    def _shift(self, server: _Server, member: _Member, by: float, after: Key | None = None) -> None:
        """Move the member's line, or what of it comes after a key, in the server's virtual time."""
        moved = [key for key in member.keys if after is None or key > after]
        if by < 0:
            by = max(by, min(0.0, server.now - (moved[0][0] if moved else member.finish)))
        member.finish += by
        for key in moved:
            entry = self._entries[key[1]]
            server.order.remove(key)
            self._keys[entry.id] = placed = (key[0] + by, entry.id)
            server.order.add(placed, entry.cost)
        if moved:
            kept = [key for key in member.keys if after is not None and key <= after]
            member.keys[:] = sorted([*kept, *(self._keys[job] for _, job in moved)])


def _forget(flows: OrderedDict[str, Flow], idle: Callable[[Flow], bool]) -> None:
    """Keep the memory bounded: a flow that is idle for long starts at the present, remembered or not."""
    if len(flows) <= REMEMBERED:
        return
    for name in [name for name, flow in list(flows.items())[: REMEMBERED // 10] if idle(flow)]:
        del flows[name]
