"""The life of a job: its states, and every way from one to another. Pure; the job table enforces it.

             ┌────────── given back, or its message was lost ──────────┐
             ▼                                                         │
    ┌──▶ queued ───────────▶ sent ───────────▶ running ────────────────┤
    │      │                  │                   │                    │
    │      │                  ├───────────────────┼──▶ rendered ──▶ delivered
    │      │                  │                   │
    │      ├──────────────────┴───────────────────┼──▶ cancelled      by the member or a moderator
    │      └──────────────────────────────────────┼──▶ failed ──┐     can never be rendered
    │                                             └──▶ dead ────┤     every attempt broke
    └───────────────────── tried again ─────────────────────────┘

News travel by ways that lose or double them, so a job may be rendered, or end otherwise, while the table still thinks
it `sent` or even `queued`. Whatever comes after the end changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class JobState(StrEnum):
    QUEUED = "queued"
    SENT = "sent"
    RUNNING = "running"
    RENDERED = "rendered"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    FAILED = "failed"
    DEAD = "dead"


#: States in which the job may still produce pictures.
LIVE = frozenset({JobState.QUEUED, JobState.SENT, JobState.RUNNING})
#: With a worker, as far as the table knows.
OUT = frozenset({JobState.SENT, JobState.RUNNING})
#: States after which the worker has nothing more to do.
FINISHED = frozenset(set(JobState) - LIVE)
#: Ends without pictures after which an owner may have the job tried again.
BROKEN = frozenset({JobState.FAILED, JobState.DEAD})

#: For each state, those that a job may come from. Staying where it is is no move.
COMES_FROM: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: OUT | BROKEN,
    JobState.SENT: frozenset({JobState.QUEUED}),
    JobState.RUNNING: LIVE,
    JobState.RENDERED: LIVE,
    JobState.DELIVERED: frozenset({JobState.RENDERED}),
    JobState.CANCELLED: LIVE,
    JobState.FAILED: LIVE,
    JobState.DEAD: LIVE,
}


def may(before: JobState, after: JobState) -> bool:
    """Whether a job may go from one state to the other."""
    return before in COMES_FROM[after]
