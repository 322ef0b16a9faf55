"""A waiting job as far as the order of the queue cares. Pure; dispatch/fair.py says whose is next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .capability import Needs

Lane = Literal["fast", "relax"]
LANES: tuple[Lane, ...] = ("fast", "relax")


@dataclass(frozen=True, slots=True)
class Entry:
    """One waiting job, as far as fairness cares."""

    #: Ids decide between equal starts, so the order in which equals arrive does not.
    id: str
    server: str
    member: str
    #: Device time in seconds, as estimated.
    cost: float
    lane: Lane = "fast"
    #: Share of the member among the members of its server.
    weight: float = 1.0
    needs: Needs = field(default_factory=Needs)
