"""Put sprites into pictures: placement, mirroring, background. Everything said in a caption is true of the picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..common import BACKGROUNDS


@dataclass(frozen=True)
class Placement:
    """How each sprite of a batch lies in its picture; all tensors (B,)."""

    #: Side of the sprite ÷ side of the picture.
    scale: Tensor
    #: Centre, in [-1, 1] of the picture.
    x: Tensor
    y: Tensor
    mirrored: Tensor
    #: sRGB in [-1, 1], (B, 3).
    background: Tensor


def compose(sprites: Tensor, placement: Placement, size: int) -> Tensor:
    """Lay sprites over their backgrounds.

    Args:
        sprites: (B, 4, S, S) uint8 with straight alpha.
        placement: where each goes.
        size: side of the picture in pixels.

    Returns:
        (B, 3, size, size) in [-1, 1].
    """
    pixels = sprites.float() / 255
    alpha = pixels[:, 3:]
    # Premultiplied while resampling, so that edges do not take the colour of invisible pixels.
    layers = torch.cat([(pixels[:, :3] * 2 - 1) * alpha, alpha], 1)
    mirror = torch.where(placement.mirrored, -1.0, 1.0)
    zero = torch.zeros_like(placement.scale)
    inverse = 1 / placement.scale
    matrix = torch.stack(
        [
            torch.stack([inverse * mirror, zero, -placement.x * inverse * mirror], -1),
            torch.stack([zero, inverse, -placement.y * inverse], -1),
        ],
        1,
    )
    grid = functional.affine_grid(matrix, [len(sprites), 4, size, size], align_corners=False)
    layers = functional.grid_sample(layers, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return layers[:, :3] + placement.background[:, :, None, None] * (1 - layers[:, 3:])


def colours(names: list[str]) -> Tensor:
    """sRGB of background words in [-1, 1], (B, 3)."""
    return torch.tensor([BACKGROUNDS[name][1] for name in names], dtype=torch.float32) / 127.5 - 1
