"""Teach a finished model one more style or subject: LoRA (2106.09685) on the user's own pictures.

The base's weights are frozen; small matrices beside them are trained and written as an adapter. As in denoiser.py
every random number of a step comes from the seed, the step and the process, so a stopped run goes on to the same bits.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..data import SpriteSet
from ..data.importer import import_folder
from ..errors import TrainingError
from ..training import Objective, Processes, Progress, State, Stop, never, recipes, train
from .adapter import write_adapter
from .base import Base, check_base, native_size, open_base, picture_size, tokenize
from .card import card
from .figures import Comparison, as_function
from .lora import FinetuneRecipe, adapt, as_written, trainable
from .objective import objective_of
from .pictures import Latents, Pictures, latents, prepare


@dataclass(frozen=True, slots=True)
class Finetune:
    """A fine-tune recipe file, whole."""

    name: str
    #: Pipeline folder to start from; the command line may name another.
    base: Path
    recipe: FinetuneRecipe


def read_finetune(file: Path) -> Finetune:
    """Read `finetune.toml` or one like it.

    Raises:
        TrainingError: the file is missing, or holds an unknown key or a wrong value; says which.
    """
    content = recipes.read(file)
    recipe = recipes.section(file, "finetune", FinetuneRecipe, content.pop("finetune", {}))
    if unknown := set(content) - {"kind", "name", "base"}:
        raise TrainingError(f"{file}: unknown key {min(unknown)!r}.")
    for key in ("name", "base"):
        if not isinstance(content.get(key), str):
            raise TrainingError(f'{file}: a fine-tune recipe needs a {key} = "…".')
    return Finetune(content["name"], Path(content["base"]), recipe)


def finetune_folder(wanted: Finetune, pictures: Path, run: Path, progress: Progress, stop: Stop = never) -> Path:
    """Import a folder of pictures with captions at the base's size (`run/imported`), then `train_finetune`.

    Raises:
        DataError: the folder holds no pictures, or captions with holes; and as `train_finetune`.
    """
    check_base(wanted.base)
    size = wanted.recipe.size or native_size(wanted.base)

    def imported() -> SpriteSet:
        return import_folder(
            pictures, run / "imported", size=size, crop=wanted.recipe.crop, report=progress.line,
            progress=lambda _, done, count: progress.step("pictures", done, count, {}),
        )  # fmt: skip

    sprites = Processes().first(imported)
    assert sprites is not None  # Nothing stops in it.
    return train_finetune(wanted.recipe, sprites, wanted.base, run, progress, stop)


def train_finetune(
    recipe: FinetuneRecipe,
    sprites: SpriteSet,
    weights: Path,
    run: Path,
    progress: Progress,
    stop: Stop = never,
) -> Path:
    """Train to the recipe's last step, from `run`'s checkpoint where there is one; gives the adapter's folder.

    Args:
        sprites: pictures, (N, S, S, 4) uint8, and rows with `i` and `caption_<language>`; shown on white.
        weights: pipeline folder of the base; it is only read.
        run: where checkpoint, encoded pictures, `before-after.png` and the folder `adapter` are written.

    Raises:
        DataMissing: no pictures, or pictures without captions.
        WeightsMissing, WeightsRefused: the base cannot be used.
        TrainingError: the loss is not a number, the disk is full, or the checkpoint is of another run.
    """
    pictures = prepare(sprites, recipe.held_out)
    base = open_base(weights)
    tuning = Tuning(recipe, base, pictures, run, progress)
    train(tuning, run, progress, stop)
    return run / "adapter"


class Tuning(Objective):
    """The base's own objective, on the user's pictures; only the adapter learns."""

    name = "finetune"
    kept = ("step", "samples")
    accelerator: Accelerator
    several: Processes

    def __init__(self, recipe: FinetuneRecipe, base: Base, pictures: Pictures, run: Path, progress: Progress) -> None:
        super().__init__(recipe)
        self._base, self._pictures, self._run, self._progress = base, pictures, run, progress
        self._size = picture_size(recipe.size, base)
        # bf16 where the GPU computes in it: on processors it is far slower than fp32.
        quick = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
        self.several = Processes()
        self.accelerator = Accelerator(mixed_precision="bf16" if quick else "no")
        self.count = recipe.batch * self.accelerator.num_processes
        run.mkdir(parents=True, exist_ok=True)
        self._encoded = self.several.first(self._encode) or {}
        learnt, kept = len(pictures.learnt), len(pictures.held_out)
        progress.line(f"{learnt} pictures of {self._size} px to learn from, {kept} kept out")

        # The adapter, which adds nothing yet: the moment to see what the base does.
        torch.manual_seed(recipe.seed)
        self._adapted = adapt(recipe, base)
        base.pipeline.to(self.accelerator.device)
        self._aim = objective_of(base, recipe.shift)
        self._comparison = Comparison(recipe, base, self._aim, pictures, self._size, self.accelerator.device)
        if self.several.main:
            self._comparison.before(self._encoded)

        # Its average and optimiser.
        self.model = nn.ParameterList([weight for part in self._adapted.values() for weight in trainable(part)])
        self.average = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema)) if recipe.ema else None
        shares = {"unet": 1.0, "text_encoder": recipe.text_rate}
        self.optimizers = torch.optim.AdamW(
            [{"params": trainable(part), "share": shares[name]} for name, part in self._adapted.items()],
            lr=recipe.rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay, fused=True,
        )  # fmt: skip
        self.stepped = [self.optimizers]
        self.modules = {"adapter": self.model} | ({"average": self.average} if self.average else {})

    def _encode(self) -> dict[str, Latents]:
        parts = {"learnt": self._pictures.learnt, "held_out": self._pictures.held_out}
        return {
            name: latents(
                self._run / f"{name}.safetensors", self._base, self._pictures, rows, self._size,
                mirror=self.recipe.mirror, device=self.accelerator.device,
            )
            for name, rows in parts.items()
            if rows
        }  # fmt: skip

    def made_of(self) -> dict[str, Any]:
        base, pictures = self._base.digest, self._pictures.digest
        return {"made_of": {"base": base, "pictures": pictures, "size": self._size, "held_out": self.recipe.held_out}}

    def ready(self) -> None:
        parts = {name: self.accelerator.prepare(part) for name, part in self._adapted.items()}
        self._network = as_function(self._base, **parts)
        self.stepped = [self.accelerator.prepare(self.optimizers)]

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        recipe, accelerator = self.recipe, self.accelerator
        choose = random.Random(f"{recipe.seed}/{step}/{accelerator.process_index}")
        generator = torch.Generator(accelerator.device).manual_seed(choose.getrandbits(60))
        clean, texts = self._encoded["learnt"].batch(recipe.batch, choose, generator, recipe.trigger, recipe.dropout)
        with accelerator.autocast():
            tokens = tokenize(self._base, texts).to(accelerator.device)
            loss = self._aim.loss(self._network, clean, tokens, generator)
        return loss, {"loss": loss.item()}

    def save_due(self, seconds: float, took: float) -> bool:
        """Drawing takes long on slow machines: at most a tenth of the time goes into saving."""
        return seconds > max(60 * self.recipe.save_minutes, 9 * took)

    def saved(self, state: State, *, last: bool) -> None:
        """Measure, show and write what the checkpoint holds."""
        recipe, base, pictures = self.recipe, self._base, self._pictures
        with as_written(self.model, self.average):
            loss, sheet = self._comparison.after(self._encoded)
            settings = {
                "kind": "lora", "base": base.name, "base_digest": base.digest,
                "prediction": base.prediction, "rank": recipe.rank, "alpha": recipe.alpha,
                "parts": list(self._adapted), "trigger": recipe.trigger, "size": self._size, "steps": state.step,
                "samples": state.samples, "pictures": len(pictures.captions), "pictures_digest": pictures.digest,
                "loss": loss, "recipe": asdict(recipe),
            }  # fmt: skip
            write_adapter(self._run / "adapter", self._adapted, settings, card(settings, self._comparison.prompts))
        sheet.save(self._run / "before-after.png")
        self._progress.picture("finetune", state.step, "before and after", sheet)
        told = (f"{name.replace('_', ' ')} {a['base']:.4f} → {a['adapter']:.4f}" for name, a in loss.items())
        self._progress.line(f"step {state.step}: loss of base → adapter: " + ", ".join(told))
