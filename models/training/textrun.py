"""The text stage by itself: `python -m daguerre.models.training.textrun RECIPE --run DIR`; run again, it goes on."""

from __future__ import annotations

import argparse
import dataclasses
import signal
from pathlib import Path
from typing import Any

import torch

from ..data import store
from ..data.describe import names_of
from ..data.firstlight import CONCEPTS
from ..data.sampler import SceneSampler
from ..evaluation.composites import looks_of
from . import recipes
from .lexicon import emojibase_rows
from .progress import Lines
from .text import TextRecipe
from .textstage import text_stage


def main(arguments: list[str] | None = None) -> None:
    """Train, examine, and print every figure.

    Raises:
        DataError, TrainingError: says what to do.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--sprites", type=Path, default=Path("runs/data/sprites64"), help="folder of the built data set"
    )
    parser.add_argument("--emojibase", type=Path, default=Path("runs/data/packages/emojibase-data-17.0.0"))
    parser.add_argument("--cache", type=Path, default=Path("runs/data/teacher"), help="folder of the teacher's vectors")
    parser.add_argument("--without-teacher", action="store_true", help="what the encoder learns without it, to compare")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: asked.append(number))

    recipe = recipes.section(given.recipe, "text", TextRecipe, recipes.read(given.recipe)["text"])
    if given.without_teacher:
        recipe = dataclasses.replace(recipe, teacher=False)
    sprites = store.load(given.sprites)
    rows: list[dict[str, Any]] = [row for row in sprites.rows if row["caption_en"] in CONCEPTS]
    sampler = SceneSampler(rows, CONCEPTS, looks=looks_of(sprites, rows))
    every = [*emojibase_rows(given.emojibase), *sprites.rows]
    progress = Lines()
    names = names_of(rows, CONCEPTS)
    text_stage(recipe, every, CONCEPTS, sampler, names, given.run, given.cache, progress, lambda: bool(asked))


if __name__ == "__main__":
    main()
