"""Rich progress bars for whoever watches a run on a terminal; plain lines for a log file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from .progress import Lines
from .progress import Progress as Told


class Bars:
    """A `common.progress.Progress` with one bar for each stage."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def line(self, text: str) -> None:
        """See `Progress`."""
        self._bars.console.print(text, markup=False, highlight=False)

    def step(self, stage: str, step: int, steps: int, scalars: Mapping[str, float]) -> None:
        """See `Progress`."""
        if stage not in self._tasks:
            # Begun where it goes on: what an earlier run did is not part of this one's pace.
            self._tasks[stage] = self._bars.add_task(stage, total=steps, completed=step, told="")
        told = " ".join(f"{name} {value:.4g}" for name, value in scalars.items())
        self._bars.update(self._tasks[stage], completed=step, total=steps, told=told)

    def picture(self, stage: str, step: int, name: str, picture: Image.Image) -> None:
        """See `Progress`."""


@contextmanager
def progress(report: Callable[[str], None], console: Console | None = None) -> Iterator[Told]:
    """Bars where standard error is a terminal, otherwise lines through `report`."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield Lines(report)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[told]}"),
    )  # fmt: skip
    with Progress(*columns, console=console) as bars:
        yield Bars(bars)
