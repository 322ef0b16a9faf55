"""`daguerre train` of a recipe of kind `drawer`: the denoiser that draws from drawings, exported at each save."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from ..common import replacing
from ..data import SpriteSet
from ..drawer.network import DrawerDenoiser
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
    #: An exported denoiser to begin from; empty for a run from nothing.
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
    if not run.name or not run.words:
        raise TrainingError(f'{file}: a recipe of this kind needs a name = "…" and words = "folder of weights".')
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
    train_drawer(wanted.drawer, wanted.feed, sprites, text, tokenizer, run, progress, stop, each_save, start, device)


def open_start(wanted: DrawerRun) -> tuple[PreTrainedTokenizerFast, T5EncoderModel, DrawerDenoiser | None]:
    """What reads the words, and the denoiser to begin from, where the recipe names one.

    Raises:
        TrainingError: they cannot be read.
    """
    words = Path(wanted.words)
    read = {"local_files_only": True, "use_safetensors": True}
    with explained(TrainingError, "Cannot begin from these weights: {problem}"):
        tokenizer = PreTrainedTokenizerFast.from_pretrained(words / "tokenizer", local_files_only=True)
        text = T5EncoderModel.from_pretrained(words / "text_encoder", **read)
        start = DrawerDenoiser.from_pretrained(wanted.start, **read) if wanted.start else None
    return tokenizer, text, start


def export_denoiser(model: DrawerDenoiser, folder: Path) -> None:
    """Write half-precision weights; an older folder is replaced at the end only."""
    halved = DrawerDenoiser.from_config(model.config)
    halved.load_state_dict(model.state_dict())
    with replacing(folder) as part:
        halved.to(torch.float16).save_pretrained(part, safe_serialization=True, max_shard_size=SHARD)
