"""Train the recogniser on composites made on the fly, and measure it on drawings and combinations it never saw.

Nothing is shared with the models it judges but the drawings: its seed, network, loss and corruption are its own.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..common import Lines, Progress
from ..data import Scene, SpriteSet
from ..errors import DataMissing
from ..training import Ahead, Objective, State, Stop, never, train
from .composites import Composites
from .corruption import corrupt
from .recogniser import Recogniser, save
from .targets import detection_loss, targets
from .validate import Validation, choose_threshold, validate

Report = Callable[[str], None]
#: A concept with fewer drawings keeps all of them for training.
FEWEST = 4


@dataclass(frozen=True, slots=True)
class RecogniserRecipe:
    """Every number of a run; `seed` differs from that of every network it will judge."""

    widths: tuple[int, ...] = (32, 64, 128, 160)
    batch: int = 32
    steps: int = 2_400
    rate: float = 2e-3
    weight_decay: float = 0.02
    warmup: int = 100
    #: Share of the batches that are corrupted as generated pictures are.
    corrupted: float = 0.6
    #: Shapes of pictures, width ÷ height, one of which each batch has.
    aspects: tuple[float, ...] = (1.0, 1.0, 1.0, 1.5, 0.6666667)
    #: Pictures of each kind in the validation.
    questions: int = 200
    seed: int = 20_771
    save_minutes: float = 2.0


def split(rows: Sequence[Mapping[str, Any]], concepts: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """Rows to train on, and one row of each concept kept for validation, chosen by a hash of the concept's name.

    Only tier A and only the concepts; of a concept with fewer than four drawings none is kept. That is about one in
    eight, of every style.

    Raises:
        DataMissing: the set holds none of the concepts.
    """
    grouped: dict[str, list[Any]] = {}
    for row in rows:
        if row["caption_en"] in concepts and row["tier"] == "A":
            grouped.setdefault(row["caption_en"], []).append(row)
    if not grouped:
        raise DataMissing("The data set holds none of the concepts. Build it with: scripts/start data build")
    train: list[Any] = []
    kept: list[Any] = []
    for name, drawings in grouped.items():
        place = int(hashlib.sha256(name.encode()).hexdigest(), 16) % len(drawings) if len(drawings) >= FEWEST else -1
        train += [row for each, row in enumerate(drawings) if each != place]
        kept += [row for each, row in enumerate(drawings) if each == place]
    return train, kept


def train_recogniser(
    recipe: RecogniserRecipe,
    sprites: SpriteSet,
    concepts: Mapping[str, Any],
    run: Path,
    weights: Path,
    report: Report = print,
    stop: Stop = never,
) -> Recogniser:
    """Train to the recipe's last step, from `run`'s checkpoint where there is one; then validate and write `weights`.

    Raises:
        DataMissing: none of the concepts is in the set.
        TrainingError: the loss is not a number, or the checkpoint cannot be used.
    """
    learnt, kept = split(sprites.rows, concepts)
    scenes = Composites(sprites, learnt, concepts, recipe.aspects)
    recognising = Recognising(recipe, scenes, sorted({row["caption_en"] for row in learnt}))
    with recognising.batches:
        state = train(recognising, run, Lines(report), stop)
    model = recognising.model
    if state.step < recipe.steps:
        return model.eval()

    # Measure on what it never saw, and write.
    choose_threshold(model, scenes, recipe.questions, recipe.seed)
    held = Composites(sprites, kept, concepts, recipe.aspects) if kept else None
    measured = validate(model, scenes, held, recipe.questions, recipe.seed)
    report(measured.text())
    save(model, weights, _card(recipe, measured, state, len(learnt), kept))
    return model.eval()


class Recognising(Objective):
    """Composites made on the fly, many of them worsened as generated pictures are → what they show."""

    name = "recogniser"
    kept = ("step", "seconds")
    clip = 5.0
    model: Recogniser

    def __init__(self, recipe: RecogniserRecipe, scenes: Composites, names: Sequence[str]) -> None:
        super().__init__(recipe)
        self._scenes = scenes
        self._places = {name: place for place, name in enumerate(names)}
        #: Composing runs beside the update, in a thread of its own.
        self.batches = Ahead(self._batch)
        self._shown = -1.0
        torch.manual_seed(recipe.seed)
        self.model = Recogniser(names, recipe.widths).to(memory_format=torch.channels_last).train()
        self.optimizers = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay, fused=True
        )
        self.stepped = [self.optimizers]
        self.modules = {"model": self.model}

    def _batch(self, number: int) -> tuple[list[Scene], Tensor]:
        """Scenes of a step and their pictures; the same at every call."""
        choose = random.Random(f"recogniser/{self.recipe.seed}/{number}")
        drawn = self._scenes.draw(self.recipe.batch, choose)
        pictures = self._scenes.pictures(drawn)
        if choose.random() < self.recipe.corrupted:
            pictures = corrupt(pictures, choose, torch.Generator().manual_seed(choose.getrandbits(31)))
        return drawn, pictures.contiguous(memory_format=torch.channels_last)

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        drawn, pictures = self.batches(step)
        parts = detection_loss(self.model(pictures), targets(drawn, self._places, *pictures.shape[-2:]))
        return sum(parts.values(), torch.zeros(())), {name: value.item() for name, value in parts.items()}

    def tell(self, progress: Progress, state: State, scalars: Mapping[str, float]) -> None:
        """A line every 20 seconds."""
        now = time.monotonic()
        if now - self._shown > 20 or state.step == self.steps:
            self._shown = now
            pace = (state.step - state.first_step) * self.recipe.batch / (now - state.began)
            told = " ".join(f"{name} {value:.3f}" for name, value in scalars.items())
            progress.line(f"recogniser step {state.step}/{self.steps} {told} {pace:.1f} samples/s")


def _card(
    recipe: RecogniserRecipe, measured: Validation, state: State, drawings: int, kept: Sequence[Any]
) -> dict[str, object]:
    return {
        "recipe": asdict(recipe),
        "steps": state.step,
        "samples": state.step * recipe.batch,
        "minutes": round(state.seconds / 60, 1),
        "drawings": drawings,
        "kept_drawings": [f"{row['style']}/{row['name']}" for row in kept],
        "accuracy": measured.card(),
    }
