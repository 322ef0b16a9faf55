"""How much the codec and the upscaler lose of real pictures, in dB."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor
from torch.nn import functional

from ..training import psnr
from .intervals import Z95


@dataclass(frozen=True, slots=True)
class Decibels:
    """A figure over some pictures and its 95 % interval, in dB."""

    value: float
    interval: tuple[float, float]
    pictures: int


@torch.inference_mode()
def reconstruct(codec: AutoencoderKL, pictures: Tensor, batch: int = 16) -> Tensor:
    """Pictures (N, 3, H, W) in [-1, 1] through the codec and back, from the mean of each posterior."""
    device, kind = next(codec.parameters()).device, next(codec.parameters()).dtype
    parts: list[Tensor] = []
    for part in pictures.split(batch):
        placed = part.to(device, kind).contiguous(memory_format=torch.channels_last)
        parts.append(codec.decode(codec.encode(placed).latent_dist.mean).sample.float().cpu().clamp(-1, 1))
    return torch.cat(parts)


def codec_psnr(codec: AutoencoderKL, pictures: Tensor) -> Decibels:
    """PSNR of the reconstructions of pictures (N, 3, H, W) in [-1, 1], all their pixels together."""
    errors = torch.stack(_errors(reconstruct(codec, pictures), pictures)).double()
    spread = Z95 * float(errors.std()) / len(errors) ** 0.5 if len(errors) > 1 else float(errors.mean())
    mean = float(errors.mean())
    return Decibels(psnr(mean), (psnr(mean + spread), psnr(max(mean - spread, 1e-12))), len(errors))


def upscaler_gain(upscale: Callable[[Tensor], Tensor], large: Tensor, factor: int) -> Decibels:
    """PSNR of `upscale` minus that of Lanczos, averaged over pictures.

    They are `large` (N, 3, H, W) in [-1, 1], shrunk by a box filter.
    Lanczos is Pillow's, as the engine delivers pictures without an upscaler.
    """
    small = functional.avg_pool2d(large, factor)
    # Both start from what a picture file can hold.
    small = ((small + 1) * 127.5).round() / 127.5 - 1
    learnt = _errors(upscale(small).float().cpu(), large)
    plain = _errors(torch.stack([_lanczos(picture, factor) for picture in small]), large)
    gains = torch.tensor([psnr(a) - psnr(b) for a, b in zip(learnt, plain, strict=True)], dtype=torch.float64)
    mean = float(gains.mean())
    spread = Z95 * float(gains.std()) / len(gains) ** 0.5 if len(gains) > 1 else float("inf")
    return Decibels(mean, (mean - spread, mean + spread), len(gains))


def _lanczos(picture: Tensor, factor: int) -> Tensor:
    pixels = ((picture.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).contiguous().numpy()
    image = Image.fromarray(pixels)
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1) / 127.5 - 1


def _errors(found: Tensor, wanted: Tensor) -> list[Tensor]:
    return list((found - wanted).square().flatten(1).mean(1))
