"""Train the denoiser and its text encoder together: noise → latent, steered by words.

Rectified flow (2209.03003; 2403.03206 eq. 13): x_σ = (1 − σ) x₀ + σ ε, the network predicts v = ε − x₀.
Early training must spend its gradient at high noise, where the prompt decides: σ = sigmoid(N(shift, 1)), and the
squared error of v is weighted by σ² / max(σ, 0.3), which is the error of the implied x₀ over max(σ, 0.3).
"""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from .. import networks
from ..data.captions import caption
from ..errors import TrainingError
from . import checkpoints
from .latents import LatentSet
from .schedule import learning_rate
from .tokenizer import tokenize


@dataclass(frozen=True, slots=True)
class DenoiserRecipe:
    """Every number of a denoiser run; saved beside its results."""

    channels: tuple[int, ...] = (128, 128, 192)
    attention: tuple[bool, ...] = (False, True, True)
    batch: int = 32
    steps: int = 6_000
    rate: float = 8e-4
    #: The text encoder's share of the rate.
    text_rate: float = 0.2
    warmup: int = 200
    weight_decay: float = 0.01
    ema: float = 0.999
    #: Share of the captions that are dropped, for classifier-free guidance (2207.12598).
    dropout: float = 0.1
    #: Mean of the logit-normal noise level; above 0 means more noise.
    shift: float = 0.8
    seed: int = 1
    save_minutes: float = 2.0


class TextToLatent(nn.Module):
    """Text encoder and denoiser as one module, for one optimiser and one average."""

    def __init__(self, text: T5EncoderModel, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.text = text
        self.unet = unet

    def forward(self, noisy: Tensor, sigma: Tensor, tokens: Tensor) -> Tensor:
        """Velocity (B, 4, h, w) of noisy latents at noise levels sigma (B,) for tokens (B, 24)."""
        states = self.text(tokens)[0]
        velocity: Tensor = self.unet(noisy, sigma * 1000, states).sample
        return velocity


def build(recipe: DenoiserRecipe, text: T5EncoderModel) -> TextToLatent:
    """A fresh denoiser, drawn from torch's current random state, on a copy of `text`."""
    unet = networks.denoiser(recipe.channels, recipe.attention, text.config.d_model)
    nn.init.zeros_(unet.conv_out.weight)
    return TextToLatent(copy.deepcopy(text), unet.to(memory_format=torch.channels_last))


def train_denoiser(
    recipe: DenoiserRecipe,
    latents: LatentSet,
    text: T5EncoderModel,
    tokenizer: PreTrainedTokenizerFast,
    run: Path,
    report: Callable[[str], None] = print,
    stop: Callable[[], bool] = lambda: False,
    each_save: Callable[[TextToLatent, int, int], None] = lambda model, step, samples: None,
) -> TextToLatent:
    """Train to the recipe's last step, from `run`'s checkpoint where there is one; gives the averaged networks.

    Raises:
        TrainingError: the loss is not a number, or the checkpoint cannot be used.
    """
    # Set up.
    torch.manual_seed(recipe.seed)
    model = build(recipe, text)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
    optimizer = torch.optim.AdamW(
        [
            {"params": model.unet.parameters(), "share": 1.0},
            {"params": model.text.parameters(), "share": recipe.text_rate},
        ],
        lr=recipe.rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay, fused=True,
    )  # fmt: skip
    modules = {"model": model, "average": average}
    checkpoint = run / "denoiser.safetensors"
    step = samples = 0
    if checkpoint.is_file():
        numbers = checkpoints.load(checkpoint, modules, optimizer)
        # Counted, not multiplied: a recipe's batch may change from one stretch of a run to the next.
        step, samples = numbers["step"], numbers["samples"]
        report(f"resumed at step {step}")
    run.mkdir(parents=True, exist_ok=True)
    (run / "denoiser.json").write_text(json.dumps(asdict(recipe), indent=1))
    saved = began = time.monotonic()
    first, smooth = step, 0.0

    while step < recipe.steps and not stop():
        # One batch.
        factor = learning_rate(step, recipe.steps, recipe.warmup)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * factor * group["share"]
        chosen = torch.randint(len(latents), (recipe.batch,))
        tokens = tokenize(tokenizer, captions(latents, chosen.tolist(), recipe, step))
        loss = flow_loss(model, latents.draw(chosen), tokens, recipe.shift)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"The loss is {loss.item()} at step {step}. Lower `rate` and run again; {checkpoint} is good."
            )

        # Update.
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(model)
        step, samples = step + 1, samples + recipe.batch

        # Report and save.
        smooth = loss.item() if not smooth else 0.98 * smooth + 0.02 * loss.item()
        if step % 50 == 0:
            pace = (step - first) * recipe.batch / (time.monotonic() - began)
            report(f"denoiser step {step}/{recipe.steps} loss {smooth:.4f} {pace:.1f} samples/s")
        if time.monotonic() - saved > 60 * recipe.save_minutes:
            checkpoints.save(checkpoint, modules, optimizer, {"step": step, "samples": samples})
            each_save(average.module, step, samples)
            saved = time.monotonic()
    checkpoints.save(checkpoint, modules, optimizer, {"step": step, "samples": samples})
    finished: TextToLatent = average.module
    each_save(finished, step, samples)
    return finished


def flow_loss(model: TextToLatent, latent: Tensor, tokens: Tensor, shift: float) -> Tensor:
    """Weighted squared error of the velocity; latent (B, 4, h, w) with unit variance."""
    noise = torch.randn_like(latent)
    sigma = torch.sigmoid(torch.randn(len(latent)) + shift)
    # A tenth of the batch at any level, so that the last steps of sampling are trained too.
    sigma = torch.where(torch.rand(len(latent)) < 0.1, torch.rand(len(latent)), sigma)
    level = sigma[:, None, None, None]
    noisy = ((1 - level) * latent + level * noise).contiguous(memory_format=torch.channels_last)
    error = (model(noisy, sigma, tokens) - (noise - latent)).square().mean((1, 2, 3))
    return (error * sigma.square() / sigma.clamp(min=0.3)).mean()


def captions(latents: LatentSet, chosen: Sequence[int], recipe: DenoiserRecipe, step: int) -> list[str]:
    """One caption for each chosen latent, some empty; the same for the same step, whenever it runs."""
    choose = random.Random(f"{recipe.seed}/{step}")
    texts: list[str] = []
    for index in chosen:
        shown = latents.shown[index]
        text = caption(shown.english, shown.chinese, shown.style, shown.background, choose)
        texts.append("" if choose.random() < recipe.dropout else text)
    return texts
