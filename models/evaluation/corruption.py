"""Make clean composites look like what a small generator draws: soft, noisy, wobbling, compressed."""

from __future__ import annotations

import io
import random

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from ..training.upscaler_pairs import blur


def corrupt(pictures: Tensor, choose: random.Random, generator: torch.Generator) -> Tensor:
    """Pictures (B, 3, H, W) in [-1, 1] → the same, a part of them each in some of these ways.

    Nothing here moves a thing by more than 2 px or changes a hue: what a scene says stays true.
    """
    pictures = _wobble(pictures, generator)
    each = [_one(picture, choose, generator) for picture in pictures]
    return torch.stack(each).clamp(-1, 1)


def _wobble(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Outlines of a generator waver: move pixels by a smooth random field, each picture by another amount."""
    count, _, height, width = pictures.shape
    coarse = torch.randn(count, 2, 5, 5, generator=generator)
    amount = 1.5 * torch.rand(count, 1, 1, 1, generator=generator).square()  # pixels; most pictures hardly
    field = functional.interpolate(coarse * amount, size=(height, width), mode="bicubic", align_corners=False)
    scale = torch.tensor([2 / width, 2 / height]).view(1, 2, 1, 1)
    identity = functional.affine_grid(torch.eye(2, 3).repeat(count, 1, 1), list(pictures.shape), align_corners=False)
    grid = identity + (field * scale).permute(0, 2, 3, 1)
    return functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _one(picture: Tensor, choose: random.Random, generator: torch.Generator) -> Tensor:
    if choose.random() < 0.4:
        picture = blur(picture, choose.uniform(0.3, 1.3))
    if choose.random() < 0.2:  # a codec that loses fine detail
        height, width = picture.shape[-2:]
        share = choose.uniform(0.4, 0.8)
        size = (round(height * share), round(width * share))
        small = functional.interpolate(picture[None], size=size, mode="area")
        picture = functional.interpolate(small, size=(height, width), mode="bicubic", align_corners=False)[0]
    if choose.random() < 0.3:  # patches of a latent that are a little off
        height, width = picture.shape[-2:]
        cells = torch.randn(1, 3, height // 4, width // 4, generator=generator) * choose.uniform(0.02, 0.1)
        picture = picture + functional.interpolate(cells, size=(height, width), mode="bilinear")[0]
    if choose.random() < 0.3:
        picture = picture + torch.randn(picture.shape, generator=generator) * choose.uniform(0.01, 0.12)
    if choose.random() < 0.4:  # contrast and lightness
        picture = picture * choose.uniform(0.85, 1.15) + choose.uniform(-0.08, 0.08)
    if choose.random() < 0.15:
        picture = jpeg(picture, choose.randint(30, 85))
    return picture


def jpeg(picture: Tensor, quality: int) -> Tensor:
    """One picture (3, H, W) through a JPEG file and back."""
    pixels = ((picture.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).contiguous().numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    again = np.asarray(Image.open(file).convert("RGB"))
    return torch.from_numpy(again.astype(np.float32)).permute(2, 0, 1) / 127.5 - 1
