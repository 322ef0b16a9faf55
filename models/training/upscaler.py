"""Train the upscaler: small decoded pictures → the drawings they are of, four times as large.

Loss = smooth L1 + smooth edge L1. On a share of the batches the small pictures come out of the real codec, from noisy
latents, so that its softness is repaired as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..common import Lines, Progress
from ..common.upscaler import Upscaler, load
from ..data import SpriteSet
from ..errors import TrainingError
from .loop import Objective, State, Stop, never, train
from .losses import psnr
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
    stop: Stop = never,
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
    images = training_images(recipe, sprites).to(device)
    torch.manual_seed(recipe.seed)
    model = begin(recipe, start).to(device, memory_format=torch.channels_last)
    if codec is not None:
        codec = codec.to(device, memory_format=torch.channels_last).eval()
    enlarging = Enlarging(recipe, model, images, codec)
    train(enlarging, run, Lines(report), stop)
    return enlarging.average.module.eval()


class Enlarging(Objective):
    """Small pictures → large ones."""

    name = "upscaler"
    model: Upscaler
    average: AveragedModel

    def __init__(self, recipe: UpscalerRecipe, model: Upscaler, images: Tensor, codec: AutoencoderKL | None) -> None:
        super().__init__(recipe)
        self._images, self._codec = images, codec
        self.model = model
        self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
        self.optimizers = torch.optim.AdamW(
            model.parameters(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True
        )
        self.stepped = [self.optimizers]
        self.modules = {"model": model, "average": self.average}

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        recipe = self.recipe
        small, large = pairs(recipe, self._images, self._codec, cropped=step < recipe.crop_share * recipe.steps)
        made = self.model(small)
        loss = upscaler_loss(made, large, recipe.edges, recipe.smooth)
        return loss, {"loss": loss.item(), "psnr": psnr(functional.mse_loss(made.detach(), large))}

    def tell(self, progress: Progress, state: State, scalars: Mapping[str, float]) -> None:
        """A line every 50 steps."""
        if state.step % 50 == 0:
            pace = (state.step - state.first_step) / (time.monotonic() - state.began)
            progress.line(
                f"upscaler step {state.step}/{self.steps} loss {scalars['loss']:.4f} psnr {scalars['psnr']:.2f} dB "
                f"{pace:.2f} steps/s"
            )


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
