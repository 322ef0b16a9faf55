"""What `daguerre data` does: build the drawings, the bank of references, and data sets of one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from ..common.bars import progress
from ..data import load
from ..data.bank import build_bank
from ..data.build import build, chosen
from ..data.importer import import_folder
from ..drawer.assemble import text_encoder

Report = Callable[[str], None]


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
