"""Drawings as a generator might make them: moved, recoloured, soft, noisy, on any background; whole batches at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .drawer_recogniser import SIDE, on_ground


def worsen(drawings: Tensor, tinted: Tensor, generator: torch.Generator) -> Tensor:
    """Straight RGBA (B, 4, S, S) in [0, 1] → pictures (B, 3, 64, 64) in [-1, 1].

    Nothing is mirrored: arrows and pointing hands would say something else. `tinted` (B,) bool may get other hues.
    """
    alpha = drawings[:, 3:]
    colour = torch.where(tinted[:, None, None, None], _tint(drawings[:, :3], generator), drawings[:, :3])
    moved = _move(torch.cat([colour * alpha, alpha], 1) * 2 - 1, generator)
    return _spoil(on_ground(moved, _grounds(len(moved), generator)), generator)


def _move(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Shift, scale, turn, and waver by a smooth random field, in one resampling; outside is clear."""
    count = len(pictures)
    angle = _normal(count, generator) * 0.14
    scale = torch.exp(_between(count, -0.3, 0.25, generator))
    stretch = torch.exp(_normal(count, generator) * 0.07)
    shift = _between((count, 2), -0.14, 0.14, generator)
    cosine, sine = angle.cos(), angle.sin()
    turned = torch.stack([cosine / (scale * stretch), -sine / scale, sine / scale, cosine * stretch / scale], 1)
    matrix = torch.cat([turned.view(count, 2, 2), shift[:, :, None]], 2)
    grid = functional.affine_grid(matrix, [count, 4, SIDE, SIDE], align_corners=False)
    amount = 1.8 * torch.rand(count, 1, 1, 1, generator=generator).square() * 2 / SIDE
    coarse = torch.randn(count, 2, 6, 6, generator=generator) * amount
    field = functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic", align_corners=False)
    # Zero padding would be half clear: shift the range so that 0 is clear, and back.
    drawn = functional.grid_sample(pictures + 1, grid + field.permute(0, 2, 3, 1), align_corners=False)
    return drawn - 1


def _tint(colour: Tensor, generator: torch.Generator) -> Tensor:
    """Turn the hues of each picture, and change how strong its colours are."""
    count = len(colour)
    angle = _between(count, -math.pi, math.pi, generator)
    strength = _between(count, 0.6, 1.3, generator)
    grey = colour.mean(1, keepdim=True)
    rest = colour - grey
    # A turn about the grey axis: rest · cos + (axis × rest) · sin.
    crossed = torch.stack([rest[:, 2] - rest[:, 1], rest[:, 0] - rest[:, 2], rest[:, 1] - rest[:, 0]], 1) / math.sqrt(3)
    c, s = ((angle.cos() * strength), (angle.sin() * strength))
    return (grey + rest * c[:, None, None, None] + crossed * s[:, None, None, None]).clamp(0, 1)


def _grounds(count: int, generator: torch.Generator) -> Tensor:
    """Plain backgrounds in [-1, 1], (B, 3, 1, 1): half of them as the evaluation's, the others anything."""
    colours = _between((count, 3), -1, 1, generator)
    greys = _between((count, 1), -1, 1, generator).expand(-1, 3)
    chance = torch.rand(count, 1, generator=generator)
    picked = torch.where(chance < 0.25, colours, torch.where(chance < 0.5, greys, torch.tensor(1.0)))
    return torch.where((chance >= 0.5) & (chance < 0.7), torch.tensor(-0.35), picked)[:, :, None, None]


def _spoil(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Softness, noise, patches that are off, contrast and lightness; each picture in its own measure."""
    count = len(pictures)
    share = float(torch.rand((), generator=generator)) * 0.5 + 0.4
    small = functional.interpolate(pictures, scale_factor=share, mode="bilinear", antialias=True)
    soft = functional.interpolate(small, (SIDE, SIDE), mode="bilinear")
    amount = (_between(count, -1, 1.2, generator).clamp(0, 1))[:, None, None, None]
    pictures = torch.lerp(pictures, soft, amount)
    patches = torch.randn(count, 3, 8, 8, generator=generator) * _rarely(count, 0.12, generator)
    pictures = pictures + functional.interpolate(patches, (SIDE, SIDE), mode="nearest")
    pictures = pictures + torch.randn(pictures.shape, generator=generator) * _rarely(count, 0.12, generator)
    contrast = _between(count, 0.8, 1.15, generator)[:, None, None, None]
    light = _between(count, -0.12, 0.12, generator)[:, None, None, None]
    return (pictures * contrast + light).clamp(-1, 1)


def _rarely(count: int, most: float, generator: torch.Generator) -> Tensor:
    """Amounts in [0, most], of which two thirds are 0; (B, 1, 1, 1)."""
    return (_between(count, -2, 1, generator).clamp(min=0) * most)[:, None, None, None]


def _between(shape: int | tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def _normal(count: int, generator: torch.Generator) -> Tensor:
    return torch.randn(count, generator=generator)
