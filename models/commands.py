"""What `daguerre data`, `train` and `evaluate` do; the command line itself is in app/."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from .bars import progress
from .common.progress import Lines
from .common.stopping import stopping
from .data.bank import build_bank
from .data.build import build, chosen, load
from .data.firstlight import CONCEPTS
from .data.importer import import_folder
from .drawer.assemble import text_encoder
from .evaluation.command import Folders, evaluate_weights
from .evaluation.drawer_command import draws_from_drawings, evaluate_drawer_weights
from .evaluation.drawer_painter import DrawerSampling
from .evaluation.painter import Sampling
from .evaluation.train_drawer_recogniser import DrawerRecogniserRecipe, train_drawer_recogniser
from .evaluation.train_recogniser import RecogniserRecipe, train_recogniser
from .training import recipes
from .training.processes import Processes
from .training.progress import TensorBoard
from .training.run import Part, Task, name_of, run_task

Report = Callable[[str], None]
#: Kinds of recipes that are trained outside of `training`, which knows nothing of those who judge its results.
FURTHER = {
    "recogniser": Part(RecogniserRecipe, train_recogniser),
    # It learns every thing of the drawer, not a list of concepts.
    "recogniser-drawer": Part(
        DrawerRecogniserRecipe, lambda recipe, sprites, _, *rest: train_drawer_recogniser(recipe, sprites, *rest)
    ),
}


def build_data(data: Path, size: int, also: Sequence[str], without: Sequence[str], report: Report) -> None:
    """Fetch the pinned packages and build the sprites below `data`.

    Raises:
        DataError: says what to do.
    """
    with progress(report) as told:
        build(
            data / f"sprites{size}", data / "packages", size=size, sources=chosen(without, also), report=told.line,
            progress=lambda name, done, count: told.step(f"drawing {name}", done, count, {}),
        )  # fmt: skip


def build_reference_bank(data: Path, size: int, weights: Path, folder: Path, report: Report) -> None:
    """Write the bank of drawings of the sprites below `data` to `folder`, with vectors of the weights' text encoder.

    Raises:
        DataError: the sprites were not built, or a package cannot be fetched; says what to do.
        WeightsRefused: the text encoder cannot be read.
    """
    encoder = text_encoder(weights)
    build_bank(load(data / f"sprites{size}"), data / "packages", folder, encoder=encoder, report=report)


def import_data(
    pictures: Path, out: Path, size: int, *, crop: bool, skip_broken: bool, licence: str, tier: Literal["A", "B"],
    report: Report,
) -> None:  # fmt: skip
    """Make a data set of a folder of pictures with captions.

    Raises:
        DataError: lists what is wrong with the folder.
    """
    with progress(report) as told:
        import_folder(
            pictures, out, size=size, crop=crop, skip_broken=skip_broken, licence=licence, tier=tier, report=told.line,
            progress=lambda name, done, count: told.step(name, done, count, {}),
        )  # fmt: skip


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


def evaluate_folder(
    weights: Path,
    data: Path,
    out: Path | None,
    *,
    quick: bool,
    each: int | None,
    steps: int,
    guidance: float,
    dcgan: Path | None,
    vae: Path | None,
    crisp: Path | None,
    threads: int | None,
    report: Report,
    reference_guidance: float | None = None,
) -> None:
    """Evaluate a pipeline folder and print its figures. `reference_guidance` is for weights that draw from drawings.

    Raises:
        DataError, EngineError: says what to do.
    """
    if draws_from_drawings(weights):
        if threads is not None:
            torch.set_num_threads(threads)
        drawn = DrawerSampling(8 if quick else steps, reference_guidance or guidance, guidance)
        found = evaluate_drawer_weights(
            weights, data, out=out, each=each, quickly=quick, sampling=drawn, report=report
        )  # fmt: skip
        _tell(found, report)
        return
    folders = Folders(data / "sprites64", data / "features", dcgan=dcgan, vae=vae, crisp=crisp)
    found = evaluate_weights(
        weights, folders, CONCEPTS, out=out, quick=quick, each=each, sampling=Sampling(steps, guidance),
        threads=threads, report=report,
    )  # fmt: skip
    _tell(found, report)


def _tell(found: Mapping[str, Any], report: Report) -> None:
    for name, value in found.items():
        if name != "details":
            report(f"{name:22} {'not measured' if value is None else value}")
