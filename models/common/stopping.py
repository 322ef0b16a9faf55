"""A long run that ends at its next step when it is asked to."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[str], None]


@contextmanager
def stopping(report: Report) -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM or SIGINT came meanwhile; a second one ends the process as usual."""
    asked: list[int] = []

    def ask(number: int, _: object) -> None:
        asked.append(number)
        report("stopping after this step; the run is saved")
        signal.signal(number, before[number])

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
