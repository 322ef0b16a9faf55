"""`daguerre train` of a recipe of kind `drawer`: the denoiser that draws from drawings, exported at each save."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from ..common import replacing, without_paths
from ..data import SpriteSet
from ..drawer.network import DrawerDenoiser, opened
from ..errors import TrainingError, explained
from . import recipes
from .drawer import DrawerRecipe, train_drawer
from .drawer_feed import FeedRecipe
from .progress import Progress

#: Weights in the repository are cut into files below 16 MB.
SHARD = "15MB"


@dataclass(frozen=True, slots=True)
class DrawerRun:
    """A recipe, whole."""

    name: str = ""
    #: A pipeline folder whose text encoder and tokenizer read the words.
    words: str = ""
    #: What to begin from, a folder with `unet` and `vae`: an exported denoiser, or a pipeline whose U-Net reads no
    #: drawings yet.
    start: str = ""
    drawer: DrawerRecipe = field(default_factory=DrawerRecipe)
    feed: FeedRecipe = field(default_factory=FeedRecipe)


def read_drawer(file: Path) -> DrawerRun:
    """Read a recipe of kind `drawer`.

    Raises:
        TrainingError: the file is missing, or holds an unknown key or a wrong value; says which.
    """
    content = recipes.read(file)
    content.pop("kind", None)
    sections: dict[str, Any] = {
        "drawer": recipes.section(file, "drawer", DrawerRecipe, content.pop("drawer", {})),
        "feed": recipes.section(file, "feed", FeedRecipe, content.pop("feed", {})),
    }
    run: DrawerRun = recipes.section(file, "recipe", DrawerRun, content)
    if not (run.name and run.words and run.start):
        raise TrainingError(
            f'{file}: a recipe of this kind needs a name = "…", words = "folder of weights" and start = "folder of '
            'weights".'
        )
    return replace(run, **sections)


def drawer_run(
    wanted: DrawerRun, sprites: SpriteSet, run: Path, out: Path, progress: Progress,
    stop: Callable[[], bool] = lambda: False,
) -> None:  # fmt: skip
    """Train to the recipe's end; the averaged network lies in `out` after each save.

    Raises:
        TrainingError: the words' weights or the start cannot be read.
    """
    tokenizer, text, start = open_start(wanted)

    def each_save(model: DrawerDenoiser, step: int, samples: int) -> None:
        export_denoiser(model, out)

    device = "cuda" if torch.cuda.is_available() else "cpu"
    train_drawer(wanted.drawer, wanted.feed, sprites, text, tokenizer, start, run, progress, stop, each_save, device)


def open_start(wanted: DrawerRun) -> tuple[PreTrainedTokenizerFast, T5EncoderModel, DrawerDenoiser]:
    """What reads the words, and the denoiser to begin from.

    Raises:
        TrainingError: they cannot be read.
    """
    words = Path(wanted.words)
    with explained(TrainingError, "Cannot begin from these weights: {problem}"):
        tokenizer = PreTrainedTokenizerFast.from_pretrained(words / "tokenizer", local_files_only=True)
        text = T5EncoderModel.from_pretrained(words / "text_encoder", local_files_only=True, use_safetensors=True)
        start = opened(Path(wanted.start), widen=True)
    return tokenizer, text, start


def export_denoiser(model: DrawerDenoiser, folder: Path) -> None:
    """Write `unet/` and `vae/` in half precision, stock classes; an older folder is replaced at the end only."""
    with replacing(folder) as part:
        for name, each in (("unet", model.unet), ("vae", model.vae)):
            copy.deepcopy(each).half().save_pretrained(part / name, safe_serialization=True, max_shard_size=SHARD)
        without_paths(part)
