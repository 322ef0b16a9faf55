"""Which faults strike, in which state of a job, drawn from a seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

KINDS = (
    "kill control",
    "kill worker",
    "kill nats",
    "stop worker",
    "stop nats",
    "stop control",
    "partition worker",
    "answer lost",
)
#: How often each kind comes: killing a control process takes a second or more until it is back.
SHARES = (3, 5, 3, 4, 2, 2, 4, 3)
#: States in which a fault is meant to strike; a job may have moved on by then.
STATES = ("queued", "sent", "running", "rendered")


@dataclass(frozen=True, slots=True)
class Fault:
    kind: str
    state: str
    #: Seconds for which something is stopped, cut off or left alone.
    seconds: float
    #: Which of the workers.
    worker: int


def plan(seed: int, number: int, workers: int) -> Sequence[Fault]:
    """`number` faults; every kind and every state is among the first ones."""
    chance = random.Random(seed)
    kinds = list(KINDS) + chance.choices(KINDS, SHARES, k=max(0, number - len(KINDS)))
    faults: list[Fault] = []
    for index, kind in enumerate(kinds[:number]):
        state = STATES[(index + index // len(STATES)) % len(STATES)]
        # Around the lease of one second: some are back in time, some are not.
        faults.append(Fault(kind, state, chance.uniform(0.4, 1.8), chance.randrange(workers)))
    chance.shuffle(faults)
    return faults
