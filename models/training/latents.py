"""Latents of many variants of every sprite, encoded once, so that the codec stays out of the training loop."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from ..data.build import SpriteSet
from ..data.captions import names
from ..data.scenes import BACKGROUNDS, Placement, colours, compose

Aliases = Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Shown:
    """What one latent's picture shows: enough for any caption of it."""

    english: tuple[str, ...]
    chinese: tuple[str, ...]
    style: str
    background: str


class LatentSet:
    """Means and standard deviations of latents (N, 4, h, w) in fp16, drawn afresh at every use."""

    def __init__(self, mean: Tensor, deviation: Tensor, shown: Sequence[Shown]) -> None:
        self.mean = mean
        self.deviation = deviation
        self.shown = shown

    def __len__(self) -> int:
        return len(self.shown)

    def draw(self, chosen: Tensor) -> Tensor:
        """A sample of the codec's posterior for each chosen row, fp32."""
        mean = self.mean[chosen].float()
        return mean + self.deviation[chosen].float() * torch.randn_like(mean)


@torch.no_grad()
def encode(
    codec: AutoencoderKL,
    sprites: SpriteSet,
    concepts: Aliases,
    *,
    variants: int = 16,
    size: int = 64,
    seed: int = 7,
    report: Callable[[str], None] = print,
) -> LatentSet:
    """Encode `variants` pictures of each sprite of the concepts: five eighths on white, the others on colours."""
    chosen = [row for row in sprites.rows if row["caption_en"] in concepts and row["tier"] == "A"]
    shown: list[Shown] = []
    means: list[Tensor] = []
    deviations: list[Tensor] = []
    generator = torch.Generator().manual_seed(seed)
    choose = random.Random(seed)
    coloured = [name for name in BACKGROUNDS if name != "white"]
    for done, row in enumerate(chosen):
        backgrounds = ["white" if v < variants * 5 // 8 else choose.choice(coloured) for v in range(variants)]
        pictures = compose(_repeat(sprites, row, variants), _placement(variants, backgrounds, generator), size)
        posterior = codec.encode(pictures.contiguous(memory_format=torch.channels_last)).latent_dist
        means.append(posterior.mean.half())
        deviations.append(posterior.std.half())
        english, chinese = names(row, concepts[row["caption_en"]])
        shown += [Shown(english, chinese, row["style"], background) for background in backgrounds]
        if (done + 1) % 200 == 0:
            report(f"encoded {done + 1} of {len(chosen)} sprites")
    return LatentSet(torch.cat(means), torch.cat(deviations), shown)


def normalise(codec: AutoencoderKL, latents: LatentSet) -> None:
    """Fold the latents' mean and deviation per channel into the codec, so that they are N(0, 1) for any pipeline.

    The stock pipelines apply one scaling factor only, so it becomes 1 and `quant_conv` and `post_quant_conv` carry
    the rest: z' = (z − m) / s, decoded as W(s z' + m) + b. `latents` is changed along.
    """
    values = latents.mean.float()
    mean, deviation = values.mean((0, 2, 3)), values.std((0, 2, 3))
    quant, post = codec.quant_conv, codec.post_quant_conv
    if not isinstance(quant, torch.nn.Conv2d) or not isinstance(post, torch.nn.Conv2d):
        raise TypeError("this codec has no quant_conv")
    with torch.no_grad():
        half = len(mean)
        post_bias = post.bias + (post.weight[:, :, 0, 0] @ mean)
        post.weight.mul_(deviation[None, :, None, None])
        post.bias.copy_(post_bias)
        quant.weight[:half].div_(deviation[:, None, None, None])
        quant.bias[:half].sub_(mean).div_(deviation)
        # Log-variance scales by −2 log s.
        quant.bias[half:].sub_(2 * deviation.log())
    codec.register_to_config(scaling_factor=1.0)
    scale = deviation[None, :, None, None]
    latents.mean = ((values - mean[None, :, None, None]) / scale).half()
    latents.deviation = (latents.deviation.float() / scale).half()


def _repeat(sprites: SpriteSet, row: Mapping[str, Any], times: int) -> Tensor:
    pixels = torch.from_numpy(np.array(sprites.images[row["i"]])).permute(2, 0, 1)
    return pixels.expand(times, -1, -1, -1)


def _placement(count: int, backgrounds: list[str], generator: torch.Generator) -> Placement:
    """Centred, nearly filling the picture: this first model draws one thing, large."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(count).uniform_(low, high, generator=generator)

    return Placement(
        scale=uniform(0.84, 0.94),
        x=uniform(-0.04, 0.04),
        y=uniform(-0.04, 0.04),
        mirrored=torch.rand(count, generator=generator) < 0.5,
        background=colours(backgrounds),
    )
