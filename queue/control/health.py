"""How the queue is, for owners and health checks. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Health:
    """How the queue is."""

    #: Jobs are accepted, kept, and handed to workers when there are any.
    ok: bool
    #: The job table and the picture store can be written.
    storage: bool
    #: nats-server is connected and takes jobs.
    broker: bool
    #: Workers heard of lately.
    workers: int
    #: What is wrong and what to do, for the owner; None if nothing is.
    problem: str | None
