"""Train the denoiser that draws from drawings: noise → RGBA picture, steered by words and references.

Every random number of a step comes from the run's seed and the step: a run that was stopped goes on to the same bits.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from ..data.drawer import drawer
from ..data.store import SpriteSet
from ..drawer.network import Context, DrawerDenoiser
from ..errors import TrainingError
from . import checkpoints
from .drawer_feed import Batch, Feed, FeedRecipe
from .progress import Progress
from .schedule import learning_rate
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
    #: Multiply in bfloat16, where the processor has instructions for it.
    bfloat16: bool = True


def train_drawer(
    recipe: DrawerRecipe,
    said: FeedRecipe,
    sprites: SpriteSet,
    text: T5EncoderModel,
    tokenizer: PreTrainedTokenizerFast,
    run: Path,
    progress: Progress,
    stop: Callable[[], bool] = lambda: False,
    each_save: Callable[[DrawerDenoiser, int, int], None] = lambda model, step, samples: None,
    start: DrawerDenoiser | None = None,
) -> DrawerDenoiser:
    """Train to the recipe's last step, from `run`'s checkpoint where there is one; gives the averaged network.

    Raises:
        TrainingError: the loss is not a number, or the checkpoint cannot be used.
    """
    # Set up.
    torch.manual_seed(recipe.seed)
    feed = Feed(sprites, drawer(sprites.rows), said)
    words = Words(text, tokenizer)
    model = DrawerDenoiser(
        size=recipe.size, patch=recipe.patch, width=recipe.width, depth=recipe.depth, heads=max(1, recipe.width // 64),
        inner=4 * recipe.width, words_width=text.config.d_model,
    )  # fmt: skip
    if start is not None:
        model.load_state_dict(start.state_dict())
    average = AveragedModel(model, multi_avg_fn=averaging(recipe.ema))
    optimizers = optimizers_of(model, recipe)
    rates = {name: [group["lr"] for group in one.param_groups] for name, one in optimizers.items()}
    modules = {"model": model, "average": average}
    checkpoint = run / "drawer.safetensors"
    step = samples = 0
    if checkpoint.is_file():
        numbers = checkpoints.load(checkpoint, modules, optimizers)
        step, samples = numbers["step"], numbers["samples"]
        progress.line(f"resumed at step {step}")
    run.mkdir(parents=True, exist_ok=True)
    (run / "drawer.json").write_text(json.dumps(asdict(recipe) | {"feed": asdict(said)}, indent=1))
    tiles = recipe.bfloat16 and multiplies_bfloat16()
    began = saved = time.monotonic()
    first, smooth = samples, 0.0

    while step < recipe.steps and not stop():
        # One batch.
        factor = learning_rate(step, recipe.steps, recipe.warmup, recipe.decay)
        for name, optimizer in optimizers.items():
            for group, rate in zip(optimizer.param_groups, rates[name], strict=True):
                group["lr"] = rate * factor
        choose = random.Random(f"{recipe.seed}/{step}")
        generator = torch.Generator().manual_seed(choose.getrandbits(60))
        batch = feed.batch(recipe.batch, choose)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=tiles):
            loss = loss_of(model, batch, words, recipe, generator)
        if not torch.isfinite(loss):
            raise TrainingError(f"The loss is {loss.item()} at step {step}. Lower the rates; {checkpoint} is good.")

        # Update.
        for optimizer in optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers.values():
            optimizer.step()
        average.update_parameters(model)
        step, samples = step + 1, samples + recipe.batch

        # Report and save.
        smooth = loss.item() if not smooth else 0.98 * smooth + 0.02 * loss.item()
        pace = (samples - first) / (time.monotonic() - began)
        progress.step("drawer", step, recipe.steps, {"loss": smooth, "rate": recipe.rate * factor, "samples/s": pace})
        if time.monotonic() - saved > 60 * recipe.save_minutes:
            checkpoints.save(checkpoint, modules, optimizers, {"step": step, "samples": samples})
            each_save(average.module, step, samples)
            saved = time.monotonic()
    checkpoints.save(checkpoint, modules, optimizers, {"step": step, "samples": samples})
    each_save(average.module, step, samples)
    return average.module


class Words:
    """Texts → what the denoiser reads of them, by an encoder that is not trained here."""

    def __init__(self, text: T5EncoderModel, tokenizer: PreTrainedTokenizerFast) -> None:
        self._text = text.eval().requires_grad_(False).float()
        self._tokenizer = tokenizer

    @torch.no_grad()
    def __call__(self, texts: tuple[str, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """States (B, L, W), which are words (B, L), and their mean (B, W)."""
        tokens = tokenize(self._tokenizer, texts)
        known = tokens != self._tokenizer.pad_token_id
        states = self._text(tokens, attention_mask=known.long())[0].float()
        share = known[:, :, None] / known.sum(1).clamp(min=1)[:, None, None]
        return states, known, (states * share).sum(1)


def read(model: DrawerDenoiser, batch: Batch, words: Words) -> Context:
    """What a batch is drawn from."""
    states, known, pooled = words(batch.texts)
    return model.read(states, known, pooled, batch.references, batch.roles, batch.known)


def loss_of(
    model: DrawerDenoiser, batch: Batch, words: Words, recipe: DrawerRecipe, generator: torch.Generator,
    times: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Rectified flow x_t = (1 − t) x₀ + t ε with the clean picture predicted; over random backgrounds, and alpha."""
    clean = batch.targets
    if times is None:
        drawn = torch.randn(len(clean), generator=generator)
        times = torch.sigmoid(recipe.mean + recipe.deviation * drawn)
    noise = torch.randn(clean.shape, generator=generator)
    t = times[:, None, None, None]
    predicted = model((1 - t) * clean + t * noise, times, read(model, batch, words)).float()
    wrong = predicted - clean
    # Over a background b the picture is rgb + (1 − α) b: what is wrong there is wrong(rgb) − b wrong(α).
    ground = torch.rand(len(clean), 3, 1, 1, generator=generator)
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


def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16; on others it is two hundred times slower than float32."""
    known = torch.cpu.get_capabilities()
    return bool(known.get("amx_bf16") or known.get("avx512_bf16"))
