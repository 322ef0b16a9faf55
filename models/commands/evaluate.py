"""What `daguerre evaluate` does, for weights of either kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from ..data import CONCEPTS
from ..evaluation import Folders, evaluate_weights
from ..evaluation.drawer.command import draws_from_drawings, evaluate_drawer_weights
from ..evaluation.drawer.painter import DrawerSampling
from ..evaluation.painter import Sampling

Report = Callable[[str], None]


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
