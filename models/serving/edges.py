"""Edges of a picture as ControlNets for canny were trained on: Canny's detector (1986) in torch.

The steps and thresholds of OpenCV's `Canny(picture, 100, 200)`, which the published ones were trained with: gradients
by Sobel's filter in the channel where they are steepest, their size as |x| + |y|, thinned to lines of one pixel across
the gradient, and those kept that are strong or hang together with strong ones.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

#: Size of a gradient from which it is an edge if it hangs together with another; and from which it is one by itself.
WEAK, STRONG = 100, 200
#: Tangents of 22.5° and 67.5°: the directions between which a gradient counts as level, sloping or upright.
_FLAT, _STEEP = 0.41421356, 2.41421356


def edges(picture: Image.Image) -> Image.Image:
    """White lines on black, RGB, as large as the picture."""
    pixels = torch.from_numpy(np.array(picture.convert("RGB"), np.float32)).permute(2, 0, 1)[:, None]
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    around = functional.pad(pixels, (1, 1, 1, 1), mode="replicate")
    found = functional.conv2d(around, torch.stack([sobel, sobel.T])[:, None])  # (3, 2, H, W)
    steepest = found.abs().sum(1).argmax(0)[None, None].expand(1, 2, -1, -1)
    across, down = found.gather(0, steepest)[0]
    size = across.abs() + down.abs()
    thin = (size > WEAK) & _peaks(size, across, down)
    lines = _joined(thin, thin & (size > STRONG))
    return Image.fromarray(lines.numpy() * np.uint8(255)).convert("RGB")


def _peaks(size: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Where no neighbour along the gradient is steeper, (H, W)."""
    padded = functional.pad(size[None, None], (1, 1, 1, 1))[0, 0]
    height, width = size.shape

    def beside(x: int, y: int) -> Tensor:
        return padded[1 + y : 1 + y + height, 1 + x : 1 + x + width]

    level = down.abs() < _FLAT * across.abs()
    upright = down.abs() > _STEEP * across.abs()
    falling = across * down >= 0
    before = torch.where(level, beside(-1, 0), torch.where(upright, beside(0, -1),
                         torch.where(falling, beside(-1, -1), beside(1, -1))))  # fmt: skip
    behind = torch.where(level, beside(1, 0), torch.where(upright, beside(0, 1),
                         torch.where(falling, beside(1, 1), beside(-1, 1))))  # fmt: skip
    # Of two that are equal, level or upright, the first one is kept.
    straight = level | upright
    return (size > before) & torch.where(straight, size >= behind, size > behind)


def _joined(weak: Tensor, strong: Tensor) -> Tensor:
    """The weak ones that hang together with strong ones, corners included, (H, W)."""
    height, width = weak.shape
    # With an edge all round, so that no neighbour lies beyond it.
    wide = width + 2
    waiting = bytearray(functional.pad(weak.to(torch.uint8), (1, 1, 1, 1)).numpy().tobytes())
    kept = bytearray(len(waiting))
    stack = functional.pad(strong, (1, 1, 1, 1)).flatten().nonzero().flatten().tolist()
    around = (-wide - 1, -wide, -wide + 1, -1, 1, wide - 1, wide, wide + 1)
    while stack:
        at = stack.pop()
        kept[at] = 1
        for step in around:
            if waiting[at + step]:
                waiting[at + step] = 0
                stack.append(at + step)
    lines = torch.frombuffer(kept, dtype=torch.uint8).view(height + 2, wide)
    return lines[1:-1, 1:-1].bool()
