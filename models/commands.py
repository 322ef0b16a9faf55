"""What `daguerre data`, `train` and `sheet` do; the command line itself is in app/."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from .data.build import build
from .engine import Engine
from .sheet import contact_sheet
from .training.run import read_recipe, train, use_cores

Report = Callable[[str], None]


def build_data(data: Path, size: int, report: Report) -> None:
    """Fetch the pinned packages and build the sprites below `data`.

    Raises:
        DataError: says what to do.
    """
    build(data / f"sprites{size}", data / "packages", size=size, report=report)


def train_recipe(
    recipe: Path, run: Path | None, data: Path, weights: Path | None, threads: int | None, report: Report
) -> None:
    """Run a recipe to its end, or until SIGTERM or SIGINT, which save first. The same command resumes.

    Raises:
        DataError, TrainingError: says what to do.
    """
    use_cores(threads)
    wanted = read_recipe(recipe)
    asked: list[int] = []

    def stop(number: int, _: object) -> None:
        asked.append(number)
        report("stopping after this step; the run is saved")

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    folder = run or Path("runs") / wanted.name
    try:
        train(wanted, folder, data, weights or folder / "export" / wanted.name, report, lambda: bool(asked))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def draw_sheet(
    weights: Path, prompts: Sequence[str], seeds: int, out: Path, font: Path | None, steps: int, guidance: float
) -> None:
    """Render a contact sheet of `prompts` with the seeds 0, 1, …

    Raises:
        EngineError: says what to do.
    """
    engine = Engine(weights)
    engine.load()
    out.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(engine, prompts, range(seeds), steps=steps, guidance=guidance, font=font).save(out)
