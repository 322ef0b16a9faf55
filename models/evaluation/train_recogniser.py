"""Train the recogniser on composites made on the fly, and measure it on drawings and combinations it never saw.

Nothing is shared with the models it judges but the drawings: its seed, network, loss and corruption are its own.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.build import SpriteSet
from ..data.scene import Scene
from ..errors import DataMissing, TrainingError
from ..training import checkpoints
from ..training.schedule import learning_rate
from .composites import Composites
from .corruption import corrupt
from .recogniser import Recogniser, save
from .targets import detection_loss, targets
from .validate import Validation, choose_threshold, validate

Report = Callable[[str], None]
Stop = Callable[[], bool]
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
    stop: Stop = lambda: False,
) -> Recogniser:
    """Train to the recipe's last step, from `run`'s checkpoint where there is one; then validate and write `weights`.

    Raises:
        DataMissing: none of the concepts is in the set.
        TrainingError: the loss is not a number, or the checkpoint cannot be used.
    """
    # Set up.
    train, kept = split(sprites.rows, concepts)
    scenes = Composites(sprites, train, concepts, recipe.aspects)
    names = sorted({row["caption_en"] for row in train})
    places = {name: place for place, name in enumerate(names)}
    torch.manual_seed(recipe.seed)
    model = Recogniser(names, recipe.widths).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay, fused=True
    )
    checkpoint = run / "recogniser.safetensors"
    step, seconds = 0, 0.0
    if checkpoint.is_file():
        numbers = checkpoints.load(checkpoint, {"model": model}, optimizer)
        step, seconds = numbers["step"], numbers["seconds"]
        report(f"resumed at step {step}")
    run.mkdir(parents=True, exist_ok=True)
    (run / "recogniser.json").write_text(json.dumps(asdict(recipe), indent=1))
    saved = began = time.monotonic()
    first, before, shown = step, seconds, -1.0
    model.train()

    def keep() -> None:
        checkpoints.save(checkpoint, {"model": model}, optimizer, {"step": step, "seconds": seconds})

    def batch(number: int) -> tuple[list[Scene], Tensor]:
        """Scenes of a step and their pictures, made worse as generated ones are; the same at every call."""
        choose = random.Random(f"recogniser/{recipe.seed}/{number}")
        drawn = scenes.draw(recipe.batch, choose)
        pictures = scenes.pictures(drawn)
        if choose.random() < recipe.corrupted:
            pictures = corrupt(pictures, choose, torch.Generator().manual_seed(choose.getrandbits(31)))
        return drawn, pictures.contiguous(memory_format=torch.channels_last)

    # One batch ahead: composing runs beside the update, in a thread of its own.
    with ThreadPoolExecutor(1) as composer:
        coming = composer.submit(batch, step)
        while step < recipe.steps and not stop():
            drawn, pictures = coming.result()
            coming = composer.submit(batch, step + 1)

            # Update.
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate * learning_rate(step, recipe.steps, recipe.warmup)
            truth = targets(drawn, places, *pictures.shape[-2:])
            parts = detection_loss(model(pictures), truth)
            loss = sum(parts.values(), torch.zeros(()))
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"The loss is {loss.item()} at step {step}. Lower `rate` and run again; {checkpoint} is good."
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            step += 1

            # Report and save.
            seconds = before + time.monotonic() - began
            if time.monotonic() - shown > 20 or step == recipe.steps:
                shown = time.monotonic()
                pace = (step - first) * recipe.batch / (shown - began)
                told = " ".join(f"{name} {value.item():.3f}" for name, value in parts.items())
                report(f"recogniser step {step}/{recipe.steps} {told} {pace:.1f} samples/s")
            if time.monotonic() - saved > 60 * recipe.save_minutes:
                keep()
                saved = time.monotonic()
    keep()
    if step < recipe.steps:
        return model.eval()

    # Measure on what it never saw, and write.
    choose_threshold(model, scenes, recipe.questions, recipe.seed)
    held = Composites(sprites, kept, concepts, recipe.aspects) if kept else None
    measured = validate(model, scenes, held, recipe.questions, recipe.seed)
    report(measured.text())
    save(model, weights, _card(recipe, measured, step, seconds, len(train), kept))
    return model.eval()


def _card(
    recipe: RecogniserRecipe, measured: Validation, step: int, seconds: float, drawings: int, kept: Sequence[Any]
) -> dict[str, object]:
    return {
        "recipe": asdict(recipe),
        "steps": step,
        "samples": step * recipe.batch,
        "minutes": round(seconds / 60, 1),
        "drawings": drawings,
        "kept_drawings": [f"{row['style']}/{row['name']}" for row in kept],
        "accuracy": measured.card(),
    }
