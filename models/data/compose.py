"""Scenes → pictures: sprites laid over backgrounds in painter's order, on any torch device."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..common import BACKGROUNDS
from .colours import recolour
from .scene import Scene, Thing

#: Both sides of a picture are multiples of this, so that latents can be halved twice.
STEP = 16


def shape_of(aspect: float, size: int) -> tuple[int, int]:
    """Height and width in pixels of a picture whose shorter side is `size`; the longer one is rounded to `STEP`."""

    def rounded(length: float) -> int:
        return max(size, STEP * round(length / STEP))

    return (size, rounded(size * aspect)) if aspect >= 1 else (rounded(size / aspect), size)


def render(
    scenes: Sequence[Scene], images: NDArray[np.uint8], size: int, *, device: torch.device | str = "cpu"
) -> Tensor:
    """Compose a batch.

    Args:
        scenes: all of one aspect.
        images: (N, S, S, 4) sprites with straight alpha; `Thing.sprite` is the row.
        size: shorter side of the pictures in pixels.

    Returns:
        (B, 3, H, W) in [-1, 1].

    Raises:
        ValueError: scenes of several aspects.
    """
    if len({scene.aspect for scene in scenes}) > 1:
        raise ValueError("scenes of one call must share one aspect")
    height, width = shape_of(scenes[0].aspect, size)
    picture = _backgrounds(scenes, height, width, device)
    # Painter's order: the first things of all scenes at once, then the second ones, …
    for place in range(max(len(scene.things) for scene in scenes)):
        rows = [row for row, scene in enumerate(scenes) if place < len(scene.things)]
        things = [scenes[row].things[place] for row in rows]
        layers = _sprites(things, images, device)
        layer = _placed(layers, things, size, height, width)
        below = picture[rows]
        picture[rows] = layer[:, :3] + below * (1 - layer[:, 3:])
    return picture * 2 - 1


def _backgrounds(scenes: Sequence[Scene], height: int, width: int, device: torch.device | str) -> Tensor:
    """(B, 3, H, W) in [0, 1]; gradients run from top to bottom."""
    top = torch.tensor([BACKGROUNDS[s.background][1] for s in scenes], dtype=torch.float32, device=device)
    bottom = torch.tensor(
        [BACKGROUNDS[s.gradient or s.background][1] for s in scenes], dtype=torch.float32, device=device
    )
    share = torch.linspace(0, 1, height, device=device)[None, None, :, None]
    colours = torch.lerp(top[:, :, None, None], bottom[:, :, None, None], share) / 255
    return colours.expand(-1, -1, -1, width).clone()


def _sprites(things: Sequence[Thing], images: NDArray[np.uint8], device: torch.device | str) -> Tensor:
    """(B, 4, S, S) in [0, 1], recoloured where asked, premultiplied so that edges keep their own colour."""
    chosen = torch.from_numpy(np.stack([images[thing.sprite] for thing in things])).to(device)
    pixels = chosen.permute(0, 3, 1, 2).float() / 255
    tinted = [row for row, thing in enumerate(things) if thing.colour]
    if tinted:
        words = [things[row].colour or "" for row in tinted]
        pixels[tinted, :3] = recolour(pixels[tinted, :3], pixels[tinted, 3:], words)
    return torch.cat([pixels[:, :3] * pixels[:, 3:], pixels[:, 3:]], 1)


def _placed(layers: Tensor, things: Sequence[Thing], size: int, height: int, width: int) -> Tensor:
    """Resample premultiplied sprites (B, 4, S, S) to where they lie in pictures (B, 4, H, W)."""
    result = layers.new_zeros(len(things), 4, height, width)
    side = layers.shape[-1]
    # Bilinear sampling skips pixels below half size, so far smaller things are halved first.
    halvings = [max(0, math.floor(math.log2(side / (thing.scale * size) + 1e-6))) for thing in things]
    for level in sorted(set(halvings)):
        rows = [row for row, halving in enumerate(halvings) if halving == level]
        group = layers[rows]
        if level:
            group = functional.avg_pool2d(group, 2**level, ceil_mode=True)
        matrix = torch.tensor(
            [_inverse(things[row], size, height, width) for row in rows], dtype=torch.float32, device=layers.device
        )
        grid = functional.affine_grid(matrix, [len(rows), 4, height, width], align_corners=False)
        result[rows] = functional.grid_sample(group, grid, "bilinear", "zeros", align_corners=False)
    return result


def _inverse(thing: Thing, size: int, height: int, width: int) -> list[list[float]]:
    """Picture coordinates in [-1, 1] → sprite coordinates in [-1, 1]."""
    across = width / size / thing.scale * (-1 if thing.mirrored else 1)
    down = height / size / thing.scale
    return [[across, 0.0, -thing.x * across], [0.0, down, -thing.y * down]]
