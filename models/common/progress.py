"""How a long run tells where it stands: a protocol, and lines for people."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from PIL import Image


class Progress(Protocol):
    """Where a training loop reports to; all of it may be ignored."""

    def line(self, text: str) -> None:
        """Something a person should read once."""
        ...

    def step(self, stage: str, step: int, steps: int, scalars: Mapping[str, float]) -> None:
        """The state after a step; called often, shown seldom."""
        ...

    def picture(self, stage: str, step: int, name: str, picture: Image.Image) -> None:
        """A sample grid."""
        ...


class Lines:
    """Plain lines through `report`, one each `every` seconds; what logs and tests use."""

    def __init__(self, report: Callable[[str], None] = print, every: float = 30.0) -> None:
        self._report = report
        self._every = every
        self._pace = Pace()
        self._said = 0.0

    def line(self, text: str) -> None:
        """See `Progress`."""
        self._report(text)

    def step(self, stage: str, step: int, steps: int, scalars: Mapping[str, float]) -> None:
        """See `Progress`."""
        self._pace.count(stage, step)
        if step < steps and time.monotonic() - self._said < self._every:
            return
        self._said = time.monotonic()
        told = " ".join(f"{name} {value:.4g}" for name, value in scalars.items())
        self._report(f"{stage} step {step}/{steps} {told} left {self._pace.left(steps)}")

    def picture(self, stage: str, step: int, name: str, picture: Image.Image) -> None:
        """See `Progress`."""


class Pace:
    """Steps per second of the stage that runs now."""

    def __init__(self) -> None:
        self._stage = ""
        self._first = self._now = 0
        self._began = 0.0

    def count(self, stage: str, step: int) -> None:
        """Note that `step` of `stage` is done."""
        if stage != self._stage:
            self._stage, self._first, self._began = stage, step, time.monotonic()
        self._now = step

    def left(self, steps: int) -> str:
        """Time until `steps`, as `1 h 05 min`; `?` before there is a pace."""
        done, passed = self._now - self._first, time.monotonic() - self._began
        if done <= 0 or passed <= 0:
            return "?"
        minutes = round((steps - self._now) * passed / done / 60)
        return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
