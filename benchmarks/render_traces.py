"""The traces that `benchmarks/render.py` plays: who asks for what and when, what became of it, and its figures."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from daguerre.models.serving import RenderRequest

PROMPTS = ("a red apple", "a pizza", "a rocket", "a cat face", "two lemons", "a house on a blue background")
#: Completed within so many times what it takes alone on an idle machine.
GOOD = 4.0
#: A picture as most ask for it.
USUAL = RenderRequest(PROMPTS[0], (1,), 16, 3.0, 256, 256, raw=True)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request of a trace."""

    at: float
    ask: RenderRequest
    #: Seconds after its arrival at which it is cancelled; inf for never.
    cancel: float = float("inf")


@dataclass(slots=True)
class Outcome:
    """What became of a request."""

    arrival: Arrival
    done: float = float("nan")
    preview: float = float("nan")
    cancelled: bool = False

    @property
    def seconds(self) -> float:
        return self.done - self.arrival.at


class Clock:
    """Goes on by what this process computes, and jumps where it would only wait.

    With several threads the time of day counts instead: what one thread waits for another is part of the cost.
    """

    def __init__(self, device: str) -> None:
        self.cpu = device == "cpu" and torch.get_num_threads() == 1
        self.cuda = device != "cpu"
        self.jumped = 0.0
        self.zero = self.spent()

    def spent(self) -> float:
        if self.cpu:
            return time.process_time()
        if self.cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    def __call__(self) -> float:
        return self.spent() - self.zero + self.jumped

    def wait_until(self, when: float) -> None:
        self.jumped += max(0.0, when - self())


def make_trace(load: float, capacity: float, count: int, *, mixed: bool, seed: int) -> list[Arrival]:
    """`count` requests at `load` × `capacity` pictures per second; inf for all at once."""
    choose = random.Random(f"{load}/{mixed}/{seed}")
    now, made = 0.0, list[Arrival]()
    members = [1 / (k + 1) for k in range(8)]
    for number in range(count):
        now += 0.0 if load == float("inf") else choose.expovariate(load * capacity)
        sides = choose.choices([(256, 256), (256, 384), (384, 384)], [50, 30, 20])[0] if mixed else (256, 256)
        ask = RenderRequest(
            choose.choice(PROMPTS), (choose.randrange(2**32),), choose.choice([4, 8, 20, 30]) if mixed else 16,
            3.0 if not mixed or choose.random() < 0.7 else 1.0, *sides,
            raw=True, member=f"m{choose.choices(range(8), members)[0]}",
        )  # fmt: skip
        cancel = choose.uniform(0.05, 1.0) if mixed and choose.random() < 0.1 else float("inf")
        made.append(Arrival(now, replace(ask, seeds=(number + 1,)), cancel))
    return made


def figures(outcomes: Sequence[Outcome], idle: float) -> dict[str, float]:
    """Of one trace: seconds unless the name says otherwise."""
    done = [each for each in outcomes if not each.cancelled]
    seconds = sorted(each.seconds for each in done)
    span = max(each.done for each in done) - min(each.arrival.at for each in done)
    members = {each.arrival.ask.member for each in done}
    rates = [statistics.fmean(each.seconds for each in done if each.arrival.ask.member == one) for one in members]
    first = [each.preview - each.arrival.at for each in done if each.preview == each.preview]

    def at(share: float) -> float:
        return seconds[min(len(seconds) - 1, int(share * len(seconds)))]

    return {
        "p50": at(0.5),
        "p95": at(0.95),
        "p99": at(0.99),
        "pictures_per_s": len(done) / span,
        "goodput_per_s": sum(each <= GOOD * idle for each in seconds) / span,
        # Jain's index over the members' mean waiting times: 1 is the same for all.
        "fairness": sum(rates) ** 2 / (len(rates) * sum(rate**2 for rate in rates)),
        "first_preview_p50": statistics.median(first) if first else float("nan"),
    }
