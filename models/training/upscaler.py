"""Train the upscaler: small decoded pictures → the drawings they are of, four times as large.

Loss = smooth L1 + smooth edge L1. On a share of the batches the small pictures come out of the real codec, from noisy
latents, so that its softness is repaired as well.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..common.upscaler import Upscaler, load
from ..data.store import SpriteSet
from ..errors import TrainingError
from . import checkpoints
from .losses import psnr, require_finite
from .schedule import learning_rate
from .upscaler_pairs import degrade, large_pictures, shrink, through_codec, windows
from .upscaler_sprites import held_out


@dataclass(frozen=True, slots=True)
class UpscalerRecipe:
    """Every number of an upscaler run; saved beside its results."""

    #: Channels and residual blocks; 48 and 6 give 0.27 M parameters.
    width: int = 48
    blocks: int = 6
    factor: int = 4
    #: Vector drawings, and the side in pixels that pictures are composed at: `factor` times what the decoder gives.
    drawings: int = 2_560
    size: int = 256
    #: Small pictures are cut to windows of this side, `windows` from each of `pictures` pictures a step; for the first
    #: `crop_share` of the steps to half of it, twice as many: more updates for the same time, early.
    window: int = 32
    windows: int = 2
    pictures: int = 4
    crop_share: float = 0.85
    steps: int = 1_200
    rate: float = 2e-3
    warmup: int = 100
    #: Share of the steps, at the end, over which the rate goes down to zero.
    decay: float = 0.4
    ema: float = 0.99
    #: Weight of the L1 between neighbouring-pixel differences.
    edges: float = 0.25
    #: Errors below this count by their square. With plain L1 the network stays at the bicubic picture for hundreds of
    #: steps: most errors are nearly nothing there, and each holds the rest in place (measured, docs/training-log.md).
    smooth: float = 0.2
    #: Share of the batches that go through the codec, and the largest noise on their latents (deviation 1).
    codec_share: float = 0.4
    latent_noise: float = 0.25
    #: Share of the other pictures that are not made worse at all.
    clean: float = 0.4
    seed: int = 1
    save_minutes: float = 2.0


def train_upscaler(
    recipe: UpscalerRecipe,
    sprites: SpriteSet,
    run: Path,
    codec: AutoencoderKL | None = None,
    report: Callable[[str], None] = print,
    stop: Callable[[], bool] = lambda: False,
    start: Path | None = None,
    device: str = "cpu",
) -> Upscaler:
    """Train to the recipe's last step, from `run`'s checkpoint where there is one; gives the averaged network.

    Args:
        sprites: crisp ones (`upscaler_sprites`) of `recipe.size` pixels; held-out ones are not used.
        codec: makes small pictures as soft as real ones are; without it blur and noise alone make them worse.
        start: a folder that `upscaler.save` wrote, to begin from in place of fresh weights.

    Raises:
        TrainingError: the loss is not a number, the sprites or `start` do not fit, or the checkpoint cannot be used.
        WeightsRefused: `start` cannot be read.
    """
    # Set up.
    images = training_images(recipe, sprites).to(device)
    if codec is not None:
        codec = codec.to(device, memory_format=torch.channels_last).eval()
    torch.manual_seed(recipe.seed)
    model = begin(recipe, start).to(device, memory_format=torch.channels_last)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    modules = {"model": model, "average": average}
    checkpoint = run / "upscaler.safetensors"
    step = 0
    if checkpoint.is_file():
        step = checkpoints.load(checkpoint, modules, optimizer)["step"]
        report(f"resumed at step {step}")
    run.mkdir(parents=True, exist_ok=True)
    (run / "upscaler.json").write_text(json.dumps(asdict(recipe), indent=1))
    saved = began = time.monotonic()
    first = step

    while step < recipe.steps and not stop():
        # One batch.
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * learning_rate(step, recipe.steps, recipe.warmup, recipe.decay)
        small, large = pairs(recipe, images, codec, cropped=step < recipe.crop_share * recipe.steps)
        made = model(small)
        loss = upscaler_loss(made, large, recipe.edges, recipe.smooth)
        require_finite(loss, step, checkpoint)

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
            error = functional.mse_loss(made.detach(), large)
            report(
                f"upscaler step {step}/{recipe.steps} loss {loss.item():.4f} psnr {psnr(error):.2f} dB "
                f"{pace:.2f} steps/s"
            )
        if time.monotonic() - saved > 60 * recipe.save_minutes:
            checkpoints.save(checkpoint, modules, optimizer, {"step": step})
            saved = time.monotonic()
    checkpoints.save(checkpoint, modules, optimizer, {"step": step})
    finished: Upscaler = average.module.eval()
    return finished


def begin(recipe: UpscalerRecipe, start: Path | None) -> Upscaler:
    """Fresh weights, or those of `start`.

    Raises:
        TrainingError: `start` has another shape.
        WeightsRefused: it cannot be read.
    """
    fresh = Upscaler(width=recipe.width, blocks=recipe.blocks, factor=recipe.factor)
    if start is not None:
        try:
            fresh.load_state_dict(load(start).state_dict())
        except RuntimeError as problem:
            raise TrainingError(f"{start} holds an upscaler of another shape than the recipe's.") from problem
    return fresh


def training_images(recipe: UpscalerRecipe, sprites: SpriteSet) -> Tensor:
    """The sprites that may be learnt from, uint8 (N, size, size, 4), in memory.

    Raises:
        TrainingError: they have another size, or windows larger than the small pictures were asked for.
    """
    if sprites.images.shape[1] != recipe.size or recipe.size % recipe.factor:
        raise TrainingError(
            f"The sprites have {sprites.images.shape[1]} pixels, the recipe wants size = {recipe.size}, a multiple of "
            f"factor = {recipe.factor}. Change [upscaler] size, or build the sprites again."
        )
    if recipe.window > recipe.size // recipe.factor:
        raise TrainingError(
            f"[upscaler] window = {recipe.window}, but small pictures have {recipe.size // recipe.factor} pixels."
        )
    kept = [row["i"] for row in sprites.rows if row["tier"] == "A" and not held_out(row)]
    if not kept:
        raise TrainingError("No tier A sprite is left to learn from once the held-out ones are taken away.")
    return torch.from_numpy(np.asarray(sprites.images)[kept])


def pairs(
    recipe: UpscalerRecipe, images: Tensor, codec: AutoencoderKL | None, *, cropped: bool = False
) -> tuple[Tensor, Tensor]:
    """One batch of windows: small as they come, large as they should be."""
    large = large_pictures(images, recipe.pictures)
    small = shrink(large, recipe.factor)
    if codec is not None and torch.rand(()) < recipe.codec_share:
        small = through_codec(codec, small, recipe.latent_noise)
    else:
        small = degrade(small, recipe.clean)
    if cropped:
        return windows(small, large, recipe.window // 2, 2 * recipe.windows)
    return windows(small, large, recipe.window, recipe.windows)


def upscaler_loss(made: Tensor, large: Tensor, edges: float, smooth: float) -> Tensor:
    """Charbonnier penalty √(e² + smooth²) − smooth of the pixels (1710.01992, eq. 2) + `edges` × that of the
    differences between neighbours, whose jumps say where edges are; pictures (B, 3, H, W).
    """

    def penalty(error: Tensor) -> Tensor:
        return ((error.square() + smooth**2).sqrt() - smooth).mean()

    error = made - large
    return penalty(error) + edges * (penalty(error.diff(dim=-1)) + penalty(error.diff(dim=-2)))
