"""Train the codec: pictures ⇄ latents (LDM, 2112.10752).

Loss = L1 + edge L1 + KL, and on a share of the batches the same at half size from a half-size latent, which makes
latents scale with pictures (2502.14831) and easier to denoise.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .. import networks
from ..data.build import SpriteSet
from ..data.scenes import Placement, compose
from ..errors import TrainingError
from . import checkpoints
from .schedule import learning_rate


@dataclass(frozen=True, slots=True)
class CodecRecipe:
    """Every number of a codec run; saved beside its results."""

    channels: tuple[int, ...] = (32, 64, 64)
    #: Pictures are cut to `crop` pixels and twice as many for the first `crop_share` of the steps: many small updates
    #: early. The rest is trained at `size`, since group norm sees other statistics there.
    size: int = 64
    crop: int = 32
    crop_share: float = 0.7
    batch: int = 8
    steps: int = 4_400
    rate: float = 8e-4
    warmup: int = 100
    ema: float = 0.998
    #: Weight of the L1 between neighbouring-pixel differences.
    edges: float = 0.5
    #: Weight of the KL divergence from N(0, 1), per latent number, the deviation held at `noise`.
    kl: float = 5e-4
    noise: float = 0.1
    #: Share of the batches that are trained at half size as well.
    equivariance: float = 0.25
    seed: int = 1
    save_minutes: float = 2.0


def train_codec(
    recipe: CodecRecipe,
    sprites: SpriteSet,
    run: Path,
    report: Callable[[str], None] = print,
    stop: Callable[[], bool] = lambda: False,
) -> AutoencoderKL:
    """Train to the recipe's last step, from `run`'s checkpoint where there is one; gives the averaged codec.

    Raises:
        TrainingError: the loss is not a number, or the checkpoint cannot be used.
    """
    # Set up.
    torch.manual_seed(recipe.seed)
    model = networks.codec(recipe.channels).to(memory_format=torch.channels_last)
    quiet_residuals(model)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    modules = {"model": model, "average": average}
    checkpoint = run / "codec.safetensors"
    step = 0
    if checkpoint.is_file():
        step = checkpoints.load(checkpoint, modules, optimizer)["step"]
        report(f"resumed at step {step}")
    run.mkdir(parents=True, exist_ok=True)
    (run / "codec.json").write_text(json.dumps(asdict(recipe), indent=1))
    images = torch.from_numpy(np.array(sprites.images))
    saved = began = time.monotonic()
    first = step

    while step < recipe.steps and not stop():
        # One batch.
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * learning_rate(step, recipe.steps, recipe.warmup)
        cropped = step < recipe.crop_share * recipe.steps
        count, side = (2 * recipe.batch, recipe.crop) if cropped else (recipe.batch, recipe.size)
        pictures = random_pictures(images, count, side, zoom=recipe.size / side)
        half = bool(torch.rand(()) < recipe.equivariance)
        loss, error = codec_loss(model, pictures, recipe, half=half)
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
        step += 1

        # Report and save.
        if step % 50 == 0:
            pace = (step - first) / (time.monotonic() - began)
            report(
                f"codec step {step}/{recipe.steps} loss {loss.item():.4f} psnr {psnr(error):.2f} dB {pace:.2f} steps/s"
            )
        if time.monotonic() - saved > 60 * recipe.save_minutes or step == recipe.steps:
            checkpoints.save(checkpoint, modules, optimizer, {"step": step})
            saved = time.monotonic()
    checkpoints.save(checkpoint, modules, optimizer, {"step": step})
    finished: AutoencoderKL = average.module
    return finished


def codec_loss(model: AutoencoderKL, pictures: Tensor, recipe: CodecRecipe, *, half: bool) -> tuple[Tensor, Tensor]:
    """Loss of one batch, and the mean squared error of its reconstruction (pictures in [-1, 1])."""
    posterior = model.encode(pictures).latent_dist
    # A fixed small deviation trains sooner than a learnt one, which begins at 1 and drowns the picture; `logvar` is
    # drawn to the same value, so that stock programs sample what was trained.
    latent = posterior.mean + recipe.noise * torch.randn_like(posterior.mean)
    target = pictures
    if half:
        latent = functional.interpolate(latent, scale_factor=0.5, mode="area")
        target = functional.interpolate(pictures, scale_factor=0.5, mode="area")
    decoded = model.decode(latent).sample
    across = (decoded - target).diff(dim=-1).abs().mean()
    down = (decoded - target).diff(dim=-2).abs().mean()
    spread = (posterior.logvar - 2 * math.log(recipe.noise)).square().mean()
    divergence = 0.5 * posterior.mean.square().mean() + spread
    loss = functional.l1_loss(decoded, target) + recipe.edges * (across + down) + recipe.kl * divergence
    return loss, functional.mse_loss(decoded.detach(), target)


def quiet_residuals(model: nn.Module) -> None:
    """Begin every residual block as the identity (zero-init of its last convolution, 1901.09321)."""
    for name, module in model.named_modules():
        if name.endswith("conv2") and isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)


def random_pictures(images: Tensor, batch: int, size: int, zoom: float = 1.0) -> Tensor:
    """Sprites at random sizes and places over white or any colour, (B, 3, size, size), channels last.

    With `zoom` above 1 the picture is a window of 1/zoom of the whole.
    """
    chosen = images[torch.randint(len(images), (batch,))].permute(0, 3, 1, 2)
    white = torch.rand(batch, 1) < 0.5
    placement = Placement(
        scale=torch.empty(batch).uniform_(0.6, 1.0) * zoom,
        x=torch.empty(batch).uniform_(-0.25, 0.25) + (zoom - 1) * torch.empty(batch).uniform_(-0.8, 0.8),
        y=torch.empty(batch).uniform_(-0.25, 0.25) + (zoom - 1) * torch.empty(batch).uniform_(-0.8, 0.8),
        mirrored=torch.rand(batch) < 0.5,
        background=torch.where(white, 1.0, torch.rand(batch, 3) * 2 - 1),
    )
    return compose(chosen, placement, size).contiguous(memory_format=torch.channels_last)


def psnr(mean_squared_error: Tensor) -> float:
    """Peak signal-to-noise ratio in dB for pictures in [-1, 1] (peak-to-peak 2)."""
    return 10 * math.log10(4 / max(float(mean_squared_error), 1e-12))
