"""Fair share: whose job is next. Pure.

Two levels of start-time fair queueing (Goyal, Vin, Cheng 1996): first between servers, then between the members of a
server. Each flow (a server, or a member inside it) has a line of jobs; a job starts where the one before it in its
line ends, or at the present virtual time if its line was empty. The job with the smallest start goes first. So a
member who submits twenty jobs fills only the own line; the next member's first job starts at the present.

A job carries two starts:

    turn  inside its server, between members:  turn = max(v_server, end of the member's line)
    tag   between servers, stored and sorted:  the server's jobs, in the order of their turns, one after the other

A job that is inserted among waiting ones of its server takes the tag of the first that it displaces, and those move
back by its cost. Other servers never notice: the server's line got longer at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from .requests import ImageRequest

#: Denoising steps that cost 1. A power of two, so that sums of costs are exact in binary.
STANDARD_STEPS = 16


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job stands: `turn` inside its server, `tag` among all."""

    turn: float
    tag: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """One queued job, as far as fairness cares."""

    id: str
    member: str
    cost: float
    place: Place


@dataclass(frozen=True, slots=True)
class Line:
    """The queued jobs of one server, summed up for one newcomer."""

    #: End (turn + cost) of the member's last queued job; None if the member has none.
    member_end: float | None
    #: End (tag + cost) of the server's last queued job; None if the server has none.
    server_end: float | None


@dataclass(slots=True)
class _Server:
    #: Turn of the job that was started last.
    now: float = 0.0
    #: End (tag + cost) of the jobs started so far.
    end: float = 0.0
    #: For each member: end (turn + cost) of the jobs started so far.
    members: dict[str, float] = field(default_factory=dict[str, float])


def cost(request: ImageRequest) -> float:
    """Device time that a request takes, in pictures of 16 steps."""
    return request.count * request.steps / STANDARD_STEPS


class FairShare:
    """The virtual clocks. Holds no jobs: those lie in the job table, from which it is rebuilt at start."""

    def __init__(self) -> None:
        #: Tag of the job that was started last.
        self.now = 0.0
        self._servers: dict[str, _Server] = {}

    def started(self, server: str, member: str, place: Place, cost: float) -> None:
        """A job left the queue for a worker."""
        self.restore(server, member, place, Place(turn=place.turn + cost, tag=place.tag + cost))

    def restore(self, server: str, member: str, place: Place, end: Place) -> None:
        """Rebuild the clocks: latest place and latest end of all jobs of one member that ever went to a worker."""
        self.now = max(self.now, place.tag)
        clock = self._servers.setdefault(server, _Server())
        clock.now = max(clock.now, place.turn)
        clock.end = max(clock.end, end.tag)
        clock.members[member] = max(clock.members.get(member, 0.0), end.turn)
        if len(clock.members) > 1_000:
            # A line that ended in the past starts at the present, whether it is remembered or not.
            clock.members = {name: turn for name, turn in clock.members.items() if turn > clock.now}

    def turn(self, server: str, member: str, line: Line) -> float:
        """Turn of a new job."""
        if line.member_end is not None:
            return line.member_end
        clock = self._servers.get(server, _Server())
        return max(clock.now, clock.members.get(member, 0.0))

    def tag(self, server: str, line: Line, displaced: float | None) -> float:
        """Tag of a new job; `displaced` is the smallest tag among its server's queued jobs with a later turn."""
        if displaced is not None:
            return displaced
        clock = self._servers.get(server, _Server())
        return max(self.now, clock.end, line.server_end or 0.0)

    def close_gap(self, waiting: Iterable[Waiting], gone: Waiting) -> list[Waiting]:
        """The server's queued jobs after `gone` (one of `waiting`) left without being started; only those that move.

        The member's later jobs move up inside the server, and the server's later jobs move up among all servers.
        """
        before = sorted(waiting, key=_order)
        after: list[Waiting] = []
        for job in before:
            if job.id == gone.id:
                continue
            later = job.member == gone.member and (job.place.turn, job.id) > (gone.place.turn, gone.id)
            turn = job.place.turn - gone.cost if later else job.place.turn
            after.append(replace(job, place=Place(turn=turn, tag=job.place.tag)))
        return self._chain(before, sorted(after, key=_order))

    def _chain(self, before: Sequence[Waiting], after: Sequence[Waiting]) -> list[Waiting]:
        """Give the jobs tags in their new order, from where the line began; never into the past of the clock."""
        tags = sorted(job.place.tag for job in before)
        old = {job.id: job for job in before}
        moved: list[Waiting] = []
        end: float | None = None
        for job, slot in zip(after, tags, strict=False):
            tag = slot if end is None else max(end, min(slot, self.now))
            end = tag + job.cost
            placed = replace(job, place=Place(turn=job.place.turn, tag=tag))
            if placed != old[job.id]:
                moved.append(placed)
        return moved


def _order(job: Waiting) -> tuple[float, str]:
    return (job.place.turn, job.id)
