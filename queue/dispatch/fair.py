"""Fair share: whose job is next. Pure.

Start-time fair queueing (Goyal, Vin, Cheng 1996) on three levels: lanes, the servers in a lane, the members of a
server. Each flow (a lane, a server, a member) gets device time in proportion to its weight while it has jobs waiting.
A flow's next job starts, in virtual time, where the flow's last one ended, or at the present if the flow was idle:

    start = max(v, finish of the flow)        finish = start + cost / weight        v = start of the last job sent

and the flow with the smallest start goes first. So a member who submits five hundred jobs fills only the own line; the
next member's job starts at the present, behind what runs and before the rest of the flood. Nobody saves up time.

Inside a server the start of a job (`turn`) is fixed when it arrives; of lanes and servers only the first start is
kept, since their next ones follow from the costs of their jobs in order. Hence the place of any job comes from sums of
costs (`ordered.py`) without walking the queue. What a job really cost is settled when it is known.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, OrderedDict
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from ..records import LANES, Entry, Lane, Needs
from .ordered import Key, Ordered

Flow = TypeVar("Flow")
#: Servers and members that are remembered though none of their jobs waits; the oldest are forgotten first.
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Ahead:
    """The waiting jobs that will be sent before one job."""

    #: Of the same member; of others in its server; of other servers; in the other lane.
    own: int = 0
    server: int = 0
    others: int = 0
    lane: int = 0
    #: Their device time in seconds.
    cost: float = 0.0

    @property
    def jobs(self) -> int:
        return self.own + self.server + self.others + self.lane


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
class _Lane:
    weight: float
    start: float = 0.0
    #: Virtual time between its servers.
    now: float = 0.0
    #: (start, name) of the servers with waiting jobs, in order.
    active: list[Key] = field(default_factory=list[Key])
    servers: OrderedDict[str, _Server] = field(default_factory=OrderedDict[str, _Server])
    jobs: int = 0
    needs: Counter[Needs] = field(default_factory=Counter[Needs])


class FairQueue:
    """The waiting jobs in fair order. Lives in memory; the job table, from which it is filled, is the truth."""

    def __init__(self, relax_share: float = 0.25) -> None:
        """`relax_share`: weight of the relaxed lane beside the fast one's 1."""
        self._lanes: dict[Lane, _Lane] = {"fast": _Lane(1.0), "relax": _Lane(relax_share)}
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
        lane, server, member = self._flows(entry)
        turn = max(server.now, member.finish)
        member.finish = turn + entry.cost / entry.weight
        self._insert(entry, turn, lane, server, member)

    def back(self, entry: Entry) -> None:
        """A job that was sent waits again, as its member's next; what it was charged is given back."""
        lane, server, member = self._flows(entry)
        self._charge(lane, server, -entry.cost)
        first = member.keys[0][0] if member.keys else max(server.now, member.finish - entry.cost / entry.weight)
        turn = min(first, max(server.now, first - entry.cost / entry.weight))
        self._insert(entry, turn, lane, server, member)

    def start(self, job: str) -> Entry:
        """A job leaves for a worker; the clocks move on. Raises: KeyError when it does not wait."""
        entry = self._entries[job]
        lane, server, _ = self._flows(entry)
        self._now = max(self._now, lane.start)
        lane.now = max(lane.now, server.start)
        server.now = max(server.now, self._keys[job][0])
        self._remove(entry)
        self._charge(lane, server, entry.cost)
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
        lane, server, member = self._flows(entry)
        difference = seconds - entry.cost
        self._charge(lane, server, difference)
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
        for name in sorted(LANES, key=lambda name: (self._lanes[name].start, LANES.index(name))):
            lane = self._lanes[name]
            if not any(fits(needs) for needs in lane.needs):
                continue
            for _, server_name in lane.active:
                server = lane.servers[server_name]
                if server_name in held or not any(fits(needs) for needs in server.needs):
                    continue
                for _, job in server.order:
                    entry = self._entries[job]
                    if fits(entry.needs) and not (full and full(entry)):
                        return entry
        return None

    def order(self) -> Iterator[Entry]:
        """All jobs as they would be sent if nothing changed. Slow: for tests and small queues."""
        for job in sorted(self._entries, key=lambda job: (self.ahead(job).jobs, job)):
            yield self._entries[job]

    def ahead(self, job: str) -> Ahead:
        """What goes before a job if nothing changes. Raises: KeyError when it does not wait."""
        entry, key = self._entries[job], self._keys[job]
        lane = self._lanes[entry.lane]
        home = lane.servers[entry.server]
        own = bisect_left(home.members[entry.member].keys, key)
        in_server, work = home.order.before(key)
        begins = home.start + work
        others = 0
        for start, name in lane.active:
            if start > begins:
                break
            if name != entry.server:
                number, cost = lane.servers[name].order.beginning_before(begins - start, ties=name < entry.server)
                others, work = others + number, work + cost
        in_lane, cost = self._in_other_lane(entry.lane, lane.start + work / lane.weight)
        return Ahead(own=own, server=in_server - own, others=others, lane=in_lane, cost=work + cost)

    # Inside

    def _in_other_lane(self, mine: Lane, begins: float) -> tuple[int, float]:
        """Jobs of the other lane that start before `begins`: found by bisecting that lane's own virtual time."""
        name: Lane = "relax" if mine == "fast" else "fast"
        lane = self._lanes[name]
        budget = (begins - lane.start) * lane.weight
        ties = LANES.index(name) < LANES.index(mine)
        if not lane.active or budget < 0 or (budget == 0 and not ties):
            return 0, 0.0

        def until(when: float) -> tuple[int, float]:
            number, cost = 0, 0.0
            for start, server in lane.active:
                if start > when:
                    break
                more, extra = lane.servers[server].order.beginning_before(when - start, ties=True)
                number, cost = number + more, cost + extra
            return number, cost

        low, high = lane.active[0][0] - 1.0, lane.active[-1][0] + budget + 1.0
        for _ in range(50):
            middle = (low + high) / 2
            if until(middle)[1] <= budget:
                low = middle
            else:
                high = middle
        number, cost = until(low)
        # The next job of each server begins at about the same time: one by one, until `begins` is reached.
        following: list[tuple[float, str, float]] = []
        for start, server in lane.active:
            order = lane.servers[server].order
            passed, spent = order.beginning_before(low - start, ties=True)
            if passed < len(order):
                following.append((start + spent, server, order.cost_at(passed)))
        for _, _, one in sorted(following):
            if cost < budget or (ties and cost == budget):
                number, cost = number + 1, cost + one
        return number, cost

    def _flows(self, entry: Entry) -> tuple[_Lane, _Server, _Member]:
        lane = self._lanes[entry.lane]
        server = lane.servers.get(entry.server)
        if server is None:
            server = lane.servers[entry.server] = _Server(entry.server)
            _forget(lane.servers, lambda known: not len(known.order))
        member = server.members.get(entry.member)
        if member is None:
            member = server.members[entry.member] = _Member()
            _forget(server.members, lambda known: not known.keys)
        return lane, server, member

    def _insert(self, entry: Entry, turn: float, lane: _Lane, server: _Server, member: _Member) -> None:
        key = (turn, entry.id)
        if not lane.jobs:
            lane.start = max(self._now, lane.start)
        if not len(server.order):
            server.start = max(lane.now, server.start)
            insort(lane.active, (server.start, server.name))
        self._entries[entry.id], self._keys[entry.id] = entry, key
        server.order.add(key, entry.cost)
        insort(member.keys, key)
        server.needs[entry.needs] += 1
        lane.needs[entry.needs] += 1
        lane.jobs += 1

    def _remove(self, entry: Entry) -> None:
        lane, server, member = self._flows(entry)
        key = self._keys.pop(entry.id)
        del self._entries[entry.id]
        server.order.remove(key)
        del member.keys[bisect_left(member.keys, key)]
        for counted in (server.needs, lane.needs):
            counted[entry.needs] -= 1
            if not counted[entry.needs]:
                del counted[entry.needs]
        lane.jobs -= 1
        if not len(server.order):
            del lane.active[bisect_left(lane.active, (server.start, server.name))]

    def _charge(self, lane: _Lane, server: _Server, cost: float) -> None:
        # What is given back moves nobody before the present: that would let one flow run for long alone.
        lane.start = max(lane.start + cost / lane.weight, min(lane.start, self._now))
        waits = len(server.order) > 0
        if waits:
            del lane.active[bisect_left(lane.active, (server.start, server.name))]
        server.start = max(server.start + cost, min(server.start, lane.now))
        if waits:
            insort(lane.active, (server.start, server.name))

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
