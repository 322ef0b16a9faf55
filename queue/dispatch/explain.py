"""Why a job is not rendered yet, for the one who asked: its place, who is before it by class, and for how long. Pure.

Never whose jobs they are, and never what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..records import FINISHED, LIVE, Job, JobState
from .fair import Ahead
from .line import WaitingLine
from .worker_registry import WorkerRegistry

Reason = Literal["line", "next", "sent", "running", "paused", "server_paused", "no_worker", "no_fitting_worker", "over"]


@dataclass(frozen=True, slots=True)
class Why:
    """How a job stands."""

    #: What it waits for: jobs before it, a worker, an owner who paused the queue, or nothing any more.
    reason: Reason
    #: Jobs before it; 0 when it is next, runs or is over.
    place: int
    #: Who those belong to: the same member, others in the server, other servers, the other lane.
    ahead: Ahead
    #: Seconds until it begins and until it is done, as far as can be told.
    begins_in: float | None
    done_in: float | None


def explain(
    job: Job, line: WaitingLine, registry: WorkerRegistry, share_done: Callable[[str], float], now: float
) -> Why:
    """Why a job is not done yet, at monotonic time `now`. `share_done`: how much of a running job is, 0 to 1."""
    ahead, needs = line.ahead(job.id), line.needs(job.id)
    if ahead is None or needs is None:
        left = job.cost * (1 - share_done(job.id))
        reason: Reason = "over" if job.state in FINISHED else "running" if job.state is JobState.RUNNING else "sent"
        live = job.state in LIVE
        return Why(reason, 0, Ahead(), 0.0 if live else None, left if live else None)
    if line.paused or job.server in line.paused_servers:
        return Why("paused" if line.paused else "server_paused", ahead.jobs, ahead, None, None)
    slots = sum(group.slots for group in registry.groups(now) if group.capability.fits(needs))
    if not slots:
        nobody: Reason = "no_fitting_worker" if registry.slots(now) else "no_worker"
        return Why(nobody, ahead.jobs, ahead, None, None)
    left = sum(cost * (1 - share_done(one)) for one, cost in line.costs_out().items())
    free = max(0, slots - len(line.out))
    begins, done = foresee(ahead, cost=job.cost, left_running=left, free_slots=free, slots=slots)
    return Why("line" if ahead.jobs else "next", ahead.jobs, ahead, begins, done)


def foresee(ahead: Ahead, *, cost: float, left_running: float, free_slots: int, slots: int) -> tuple[float, float]:
    """Seconds until a waiting job begins, and until it is done.

    `left_running`: device time that jobs with workers still need; `slots`: of workers that the job fits.
    """
    if free_slots > ahead.jobs:
        return 0.0, cost
    begins = (ahead.cost + left_running) / max(slots, 1)
    return begins, begins + cost
