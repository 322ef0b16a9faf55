"""Drawings as a generator might make them: moved, recoloured, soft, noisy, wavering; whole batches at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .features import SIDE


def worsen(drawings: Tensor, tinted: Tensor, generator: torch.Generator) -> Tensor:
    """Straight RGBA (B, 4, S, S) in [0, 1] → premultiplied (B, 4, 64, 64) in [-1, 1].

    Nothing is mirrored: arrows and pointing hands would say something else. `tinted` (B,) bool may get other hues.
    """
    alpha = drawings[:, 3:]
    colour = torch.where(tinted[:, None, None, None], _tint(drawings[:, :3], generator), drawings[:, :3])
    light = _between(len(colour), 0.85, 1.12, generator)[:, None, None, None]
    layers = torch.cat([(colour * light).clamp(0, 1) * alpha, alpha], 1)
    spoilt = _spoil(_move(layers, generator), generator).clamp(0, 1)
    return torch.cat([torch.minimum(spoilt[:, :3], spoilt[:, 3:]), spoilt[:, 3:]], 1) * 2 - 1


def _move(layers: Tensor, generator: torch.Generator) -> Tensor:
    """Shift, scale, turn, and waver by a smooth random field, in one resampling; outside is clear."""
    count = len(layers)
    angle = _normal(count, generator) * 0.1
    scale = torch.exp(_between(count, -0.15, 0.15, generator))
    stretch = torch.exp(_normal(count, generator) * 0.06)
    shift = _between((count, 2), -0.08, 0.08, generator)
    cosine, sine = angle.cos(), angle.sin()
    turned = torch.stack([cosine / (scale * stretch), -sine / scale, sine / scale, cosine * stretch / scale], 1)
    matrix = torch.cat([turned.view(count, 2, 2), shift[:, :, None]], 2)
    grid = functional.affine_grid(matrix, [count, 4, SIDE, SIDE], align_corners=False)
    amount = 1.8 * torch.rand(count, 1, 1, 1, generator=generator).square() * 2 / SIDE
    coarse = torch.randn(count, 2, 6, 6, generator=generator) * amount
    field = functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic", align_corners=False)
    return functional.grid_sample(layers, grid + field.permute(0, 2, 3, 1), align_corners=False)


def _tint(colour: Tensor, generator: torch.Generator) -> Tensor:
    """Turn the hues of each picture, and change how strong its colours are."""
    count = len(colour)
    angle = _between(count, -math.pi, math.pi, generator)
    strength = _between(count, 0.6, 1.3, generator)
    grey = colour.mean(1, keepdim=True)
    rest = colour - grey
    # A turn about the grey axis: rest · cos + (axis × rest) · sin.
    crossed = torch.stack([rest[:, 2] - rest[:, 1], rest[:, 0] - rest[:, 2], rest[:, 1] - rest[:, 0]], 1) / math.sqrt(3)
    cosine, sine = (angle.cos() * strength)[:, None, None, None], (angle.sin() * strength)[:, None, None, None]
    return (grey + rest * cosine + crossed * sine).clamp(0, 1)


def _spoil(layers: Tensor, generator: torch.Generator) -> Tensor:
    """Softness, noise and patches that are off; each picture in its own measure, a third of them hardly."""
    count = len(layers)
    share = float(torch.rand((), generator=generator)) * 0.5 + 0.4
    small = functional.interpolate(layers, scale_factor=share, mode="bilinear", antialias=True)
    soft = functional.interpolate(small, (SIDE, SIDE), mode="bilinear")
    amount = (_between(count, -1, 1.2, generator).clamp(0, 1))[:, None, None, None]
    layers = torch.lerp(layers, soft, amount)
    patches = torch.randn(count, 4, 8, 8, generator=generator) * _rarely(count, 0.04, generator)
    layers = layers + functional.interpolate(patches, (SIDE, SIDE), mode="nearest") * layers[:, 3:]
    return layers + torch.randn(layers.shape, generator=generator) * _rarely(count, 0.05, generator)


def _rarely(count: int, most: float, generator: torch.Generator) -> Tensor:
    """Amounts in [0, most], of which two thirds are 0; (B, 1, 1, 1)."""
    return (_between(count, -2, 1, generator).clamp(min=0) * most)[:, None, None, None]


def _between(shape: int | tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def _normal(count: int, generator: torch.Generator) -> Tensor:
    return torch.randn(count, generator=generator)
