"""Why a job is not rendered yet, for the one who asked: its place, who is before it by class, and for how long. Pure.

Never whose jobs they are, and never what they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .fair import Ahead

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


def foresee(ahead: Ahead, *, cost: float, left_running: float, free_slots: int, slots: int) -> tuple[float, float]:
    """Seconds until a waiting job begins, and until it is done.

    `left_running`: device time that jobs with workers still need; `slots`: of workers that the job fits.
    """
    if free_slots > ahead.jobs:
        return 0.0, cost
    begins = (ahead.cost + left_running) / max(slots, 1)
    return begins, begins + cost
