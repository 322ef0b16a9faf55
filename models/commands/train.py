"""What `daguerre train` does: a recipe of any kind, with progress on the terminal and signals that stop it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from ..common import Lines, stopping
from ..common.bars import progress
from ..evaluation import RecogniserRecipe, train_recogniser
from ..evaluation.drawer import DrawerRecogniserRecipe, train_drawer_recogniser
from ..training import Processes, TensorBoard, recipes
from .kinds import Part, Task, name_of, run_task

Report = Callable[[str], None]
#: Kinds of recipes that are trained outside of `training`, which knows nothing of those who judge its results.
FURTHER = {
    "recogniser": Part(RecogniserRecipe, train_recogniser),
    # It learns every thing of the drawer, not a list of concepts.
    "recogniser-drawer": Part(
        DrawerRecogniserRecipe, lambda recipe, sprites, _, *rest: train_drawer_recogniser(recipe, sprites, *rest)
    ),
}


def train_recipe(task: Task, run: Path | None, threads: int | None, tensorboard: Path | None, report: Report) -> None:
    """Run a recipe to its end, or until SIGTERM or SIGINT, which save first. The same command resumes.

    Raises:
        DataError, TrainingError: says what to do.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    folder = run or Path("runs") / name_of(task.file, recipes.read(task.file))
    several = Processes()
    if several.main:
        with progress(report) as told, stopping(told.line) as stop:
            run_task(replace(task, run=folder), TensorBoard(tensorboard, told) if tensorboard else told, stop, FURTHER)
    else:
        # Of several processes one reports; the others hear the signals all the same.
        with stopping(lambda _: None) as stop:
            run_task(replace(task, run=folder), Lines(lambda _: None), stop, FURTHER)
    several.leave()
