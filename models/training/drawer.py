"""Train the denoiser that draws from drawings: noise → RGBA picture, steered by words and references.

Every random number of a step comes from the run's seed and the step: a run that was stopped goes on to the same bits.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from ..data import SpriteSet, drawer
from ..drawer.network import Context, DrawerDenoiser
from .drawer_feed import Batch, Feed, FeedRecipe
from .loop import BROKEN, Ahead, Objective, State, Stop, never, train
from .progress import Progress
from .tokenizer import tokenize


@dataclass(frozen=True, slots=True)
class DrawerRecipe:
    """Every number of a run; saved beside its results."""

    size: int = 64
    patch: int = 8
    width: int = 320
    depth: int = 8
    batch: int = 32
    steps: int = 40_000
    #: Rate of AdamW for embeddings, norms and biases; of Muon for the hidden matrices (Jordan 2024; 2502.16982).
    rate: float = 1e-3
    muon_rate: float = 4e-3
    muon: bool = False
    warmup: int = 200
    #: Share of the steps, at the end, in which the rates go to zero.
    decay: float = 0.2
    weight_decay: float = 0.01
    ema: float = 0.999
    #: Times are sigmoid(N(mean, deviation)); 1 is noise.
    mean: float = 0.5
    deviation: float = 1.1
    #: The loss of the clean picture is divided by the time, at least by this.
    floor: float = 0.25
    seed: int = 1
    save_minutes: float = 4.0
    #: Compute in bfloat16, where the device has it natively.
    bfloat16: bool = True


#: Called with the averaged network, steps and samples so far.
EachSave = Callable[[DrawerDenoiser, int, int], None]


def train_drawer(
    recipe: DrawerRecipe,
    said: FeedRecipe,
    sprites: SpriteSet,
    text: T5EncoderModel,
    tokenizer: PreTrainedTokenizerFast,
    run: Path,
    progress: Progress,
    stop: Stop = never,
    each_save: EachSave = lambda model, step, samples: None,
    start: DrawerDenoiser | None = None,
    device: torch.device | str = "cpu",
) -> DrawerDenoiser:
    """Train to the recipe's last step, from `run`'s checkpoint where there is one; gives the averaged network.

    Raises:
        TrainingError: the loss is not a number, or the checkpoint cannot be used.
    """
    torch.manual_seed(recipe.seed)
    drawing = Drawing(recipe, said, sprites, text, tokenizer, each_save, start, torch.device(device))
    with drawing.batches:
        train(drawing, run, progress, stop)
    return drawing.average.module


class Drawing(Objective):
    """Noise → the clean RGBA picture, in bfloat16 where the device has it."""

    name = "drawer"
    kept = ("step", "samples")
    broken = BROKEN.replace("`rate` and run again", "the rates")
    model: DrawerDenoiser
    average: AveragedModel

    def __init__(
        self, recipe: DrawerRecipe, said: FeedRecipe, sprites: SpriteSet, text: T5EncoderModel,
        tokenizer: PreTrainedTokenizerFast, each_save: EachSave, start: DrawerDenoiser | None, device: torch.device,
    ) -> None:  # fmt: skip
        super().__init__(recipe)
        self._said, self._each_save, self._device = said, each_save, device
        self.count = recipe.batch
        self._native = recipe.bfloat16 and (device.type != "cpu" or native_bfloat16())
        self._feed = Feed(sprites, drawer(sprites.rows), said, device)
        #: The next batch is made while a GPU computes; processors have no time to spare.
        self.batches = Ahead(self._batch, threads=int(device.type != "cpu"))
        self._words = Words(text.to(device), tokenizer)
        self.model = model = DrawerDenoiser(
            size=recipe.size, patch=recipe.patch, width=recipe.width, depth=recipe.depth,
            heads=max(1, recipe.width // 64), inner=4 * recipe.width, words_width=text.config.d_model,
        )  # fmt: skip
        if start is not None:
            model.load_state_dict(start.state_dict())
        model.to(device)
        self.average = AveragedModel(model, multi_avg_fn=averaging(recipe.ema))
        self.optimizers = optimizers_of(model, recipe)
        self.stepped = list(self.optimizers.values())
        self.modules = {"model": model, "average": self.average}

    def _batch(self, step: int) -> tuple[Batch, int]:
        """Of a step, with the seed of its noise."""
        choose = random.Random(f"{self.recipe.seed}/{step}")
        seed = choose.getrandbits(60)
        return self._feed.batch(self.recipe.batch, choose), seed

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        batch, seed = self.batches(step)
        generator = torch.Generator(self._device).manual_seed(seed)
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._native):
            loss = loss_of(self.model, batch, self._words, self.recipe, generator)
        return loss, {"loss": loss.item()}

    def saved(self, state: State, *, last: bool) -> None:
        self._each_save(self.average.module, state.step, state.samples)

    def about(self) -> dict[str, Any]:
        return asdict(self.recipe) | {"feed": asdict(self._said)}


class Words:
    """Texts → what the denoiser reads of them, by an encoder that is not trained here."""

    def __init__(self, text: T5EncoderModel, tokenizer: PreTrainedTokenizerFast) -> None:
        self._text = text.eval().requires_grad_(False).float()
        self._tokenizer = tokenizer

    @torch.no_grad()
    def __call__(self, texts: tuple[str, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """States (B, L, W), which are words (B, L), and their mean (B, W)."""
        tokens = tokenize(self._tokenizer, texts).to(self._text.device)
        known = tokens != self._tokenizer.pad_token_id
        states = self._text(tokens, attention_mask=known.long())[0].float()
        share = known[:, :, None] / known.sum(1).clamp(min=1)[:, None, None]
        return states, known, (states * share).sum(1)


def read(model: DrawerDenoiser, batch: Batch, words: Words) -> Context:
    """What a batch is drawn from."""
    states, known, pooled = words(batch.texts)
    return model.read(states, known, pooled, batch.references, batch.roles, batch.known)


def loss_of(
    model: DrawerDenoiser, batch: Batch, words: Words, recipe: DrawerRecipe, generator: torch.Generator
) -> Tensor:  # fmt: skip
    """Rectified flow x_t = (1 − t) x₀ + t ε with the clean picture predicted; over random backgrounds, and alpha."""
    clean = batch.targets
    drawn = torch.randn(len(clean), generator=generator, device=clean.device)
    times = torch.sigmoid(recipe.mean + recipe.deviation * drawn)
    noise = torch.randn(clean.shape, generator=generator, device=clean.device)
    t = times[:, None, None, None]
    predicted = model((1 - t) * clean + t * noise, times, read(model, batch, words)).float()
    wrong = predicted - clean
    # Over a background b the picture is rgb + (1 − α) b: what is wrong there is wrong(rgb) − b wrong(α).
    ground = torch.rand(len(clean), 3, 1, 1, generator=generator, device=clean.device)
    error = (wrong[:, :3] - ground * wrong[:, 3:]).square().mean((1, 2, 3)) + 0.5 * wrong[:, 3].square().mean((1, 2))
    return (error / times.clamp(min=recipe.floor)).mean()


def averaging(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor], None]:
    """An exponential average that is short at first, so that early exports are not of random weights."""

    def update(averaged: list[Tensor], current: list[Tensor], seen: Tensor) -> None:
        number = int(seen)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + number) / (10 + number)))

    return update


def optimizers_of(model: DrawerDenoiser, recipe: DrawerRecipe) -> dict[str, torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for all else."""
    hidden = [
        weight for name, weight in model.named_parameters()
        if recipe.muon and weight.ndim == 2 and "blocks." in name and not name.endswith("table")
    ]  # fmt: skip
    inside = set(map(id, hidden))
    rest = [weight for weight in model.parameters() if id(weight) not in inside]
    found: dict[str, torch.optim.Optimizer] = {
        "adam": torch.optim.AdamW(rest, lr=recipe.rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay, fused=True)
    }
    if hidden:
        found["muon"] = torch.optim.Muon(hidden, lr=recipe.muon_rate, momentum=0.95, weight_decay=recipe.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        )  # fmt: skip
    return found


def native_bfloat16() -> bool:
    """Whether this processor has native bfloat16; on others it is two hundred times slower than float32."""
    known = torch.cpu.get_capabilities()
    return bool(known.get("amx_bf16") or known.get("avx512_bf16"))
