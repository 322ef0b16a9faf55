"""Train the denoiser that draws from drawings: noise → a picture's latents, steered by words and references.

Every random number of a step comes from the run's seed and the step: a run that was stopped goes on to the same bits.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from ..data import SpriteSet, drawer
from ..drawer.network import Context, DrawerDenoiser
from ..errors import TrainingError
from .drawer_feed import Batch, Feed, FeedRecipe
from .drawer_latents import FILE, Drawings
from .loop import Ahead, Objective, State, Stop, never, train
from .progress import Progress
from .tokenizer import tokenize


@dataclass(frozen=True, slots=True)
class DrawerRecipe:
    """Every number of a run; saved beside its results."""

    #: Of the drawings, in pixels.
    size: int = 64
    batch: int = 32
    steps: int = 20_000
    rate: float = 4e-4
    warmup: int = 100
    #: Share of the steps, at the end, in which the rate goes to zero.
    decay: float = 0.2
    weight_decay: float = 0.01
    ema: float = 0.999
    #: Times are sigmoid(N(mean, deviation)); 1 is noise.
    mean: float = 0.5
    deviation: float = 1.0
    #: The loss of the clean latents is divided by the time, at least by this.
    floor: float = 0.3
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
    start: DrawerDenoiser,
    run: Path,
    progress: Progress,
    stop: Stop = never,
    each_save: EachSave = lambda model, step, samples: None,
    device: torch.device | str = "cpu",
) -> DrawerDenoiser:
    """Train `start`, in place, to the recipe's last step, or from `run`'s checkpoint where there is one.

    Gives the averaged network.

    Raises:
        TrainingError: the loss is not a number, the checkpoint cannot be used, or the drawings are of another size.
    """
    if not sprites.images.shape[1] == recipe.size == start.size:
        raise TrainingError(
            f"The weights to begin from draw at {start.size} px, the recipe's size is {recipe.size} px, the drawings "
            f"have {sprites.images.shape[1]} px. Make them alike: [drawer] size, scripts/start data build --size."
        )
    torch.manual_seed(recipe.seed)
    start.to(device)
    drawings = Drawings(sprites, start, run / FILE, progress)
    feed = Feed(sprites, drawer(sprites.rows), said)
    drawing = Drawing(recipe, feed, drawings, Words(text.to(device), tokenizer), start, each_save)
    with drawing.batches:
        train(drawing, run, progress, stop)
    return drawing.averaged()


@dataclass(frozen=True, slots=True)
class Lesson:
    """One batch as latents."""

    #: (B, C, h, w) and (B, SLOTS, C, h, w), float32; (B, SLOTS) which of these are there.
    targets: Tensor
    references: Tensor
    known: Tensor
    texts: tuple[str, ...]

    @classmethod
    def of(cls, batch: Batch, drawings: Drawings) -> Lesson:
        """Encoded."""
        targets = drawings.targets(batch)
        return cls(targets, drawings.references(batch), batch.known.to(targets.device), batch.texts)


class Drawing(Objective):
    """Noise → the clean latents, in bfloat16 where the device has it. The codec is not trained."""

    name = "drawer"
    kept = ("step", "samples")
    average: AveragedModel

    def __init__(
        self, recipe: DrawerRecipe, feed: Feed, drawings: Drawings, words: Words, start: DrawerDenoiser,
        each_save: EachSave,
    ) -> None:  # fmt: skip
        super().__init__(recipe)
        self._feed, self._drawings, self._words, self._each_save = feed, drawings, words, each_save
        self.count = recipe.batch
        self._device = start.device
        self._native = recipe.bfloat16 and (self._device.type != "cpu" or native_bfloat16())
        #: The next batch is made while a GPU computes; processors have no time to spare.
        self.batches = Ahead(self._lesson, threads=int(self._device.type != "cpu"))
        self._denoiser = start
        start.unet.train().requires_grad_(True).to(memory_format=torch.channels_last)
        # Few places attend to few words: the fused kernel only costs on processors.
        if self._device.type == "cpu":
            start.unet.set_attn_processor(AttnProcessor())
        self.model = start.unet
        self.average = AveragedModel(start.unet, multi_avg_fn=averaging(recipe.ema))
        self.optimizers = torch.optim.AdamW(
            start.unet.parameters(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay, fused=True
        )
        self.stepped = [self.optimizers]
        self.modules = {"model": start.unet, "average": self.average}

    def averaged(self) -> DrawerDenoiser:
        """The averaged network, with the codec."""
        return DrawerDenoiser(self.average.module, self._denoiser.vae)

    def _lesson(self, step: int) -> tuple[Lesson, int]:
        """Of a step, with the seed of its noise."""
        choose = random.Random(f"{self.recipe.seed}/{step}")
        seed = choose.getrandbits(60)
        return Lesson.of(self._feed.batch(self.recipe.batch, choose), self._drawings), seed

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        lesson, seed = self.batches(step)
        generator = torch.Generator(self._device).manual_seed(seed)
        context = read(lesson, self._words)
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._native):
            loss = loss_of(self._denoiser, lesson, context, self.recipe, generator)
        return loss, {"loss": loss.item()}

    def saved(self, state: State, *, last: bool) -> None:
        self._each_save(self.averaged(), state.step, state.samples)

    def about(self) -> dict[str, Any]:
        return asdict(self.recipe) | {"feed": asdict(self._feed.recipe)}

    def made_of(self) -> dict[str, Any]:
        return self._drawings.made_of


class Words:
    """Texts → what the denoiser reads of them, by an encoder that is not trained here."""

    def __init__(self, text: T5EncoderModel, tokenizer: PreTrainedTokenizerFast) -> None:
        self._text = text.eval().requires_grad_(False).float()
        self._tokenizer = tokenizer

    @torch.no_grad()
    def __call__(self, texts: tuple[str, ...]) -> Tensor:
        """States (B, L, W)."""
        tokens = tokenize(self._tokenizer, texts).to(self._text.device)
        words = (tokens != self._tokenizer.pad_token_id).long()
        return self._text(tokens, attention_mask=words)[0].float()


def read(lesson: Lesson, words: Words) -> Context:
    """What a batch is drawn from."""
    return Context.of(words(lesson.texts), lesson.references, lesson.known)


def loss_of(
    model: DrawerDenoiser, lesson: Lesson, context: Context, recipe: DrawerRecipe, generator: torch.Generator
) -> Tensor:  # fmt: skip
    """Rectified flow x_t = (1 − t) x₀ + t ε, the error of the clean latents over max(t, floor).

    x̂₀ − x₀ = −t (v̂ − v): of the velocity it is the error times t² / max(t, floor).
    """
    clean = lesson.targets
    drawn = torch.randn(len(clean), generator=generator, device=clean.device)
    times = torch.sigmoid(recipe.mean + recipe.deviation * drawn)
    noise = torch.randn(clean.shape, generator=generator, device=clean.device)
    t = times[:, None, None, None]
    wrong = model((1 - t) * clean + t * noise, times, context) - clean
    return (wrong.square().mean((1, 2, 3)) / times.clamp(min=recipe.floor)).mean()


def averaging(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor], None]:
    """An exponential average that is short at first, so that early exports are not of random weights."""

    def update(averaged: list[Tensor], current: list[Tensor], seen: Tensor) -> None:
        number = int(seen)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + number) / (10 + number)))

    return update


def native_bfloat16() -> bool:
    """Whether this processor has native bfloat16; on others it is two hundred times slower than float32."""
    known = torch.cpu.get_capabilities()
    return bool(known.get("amx_bf16") or known.get("avx512_bf16"))
