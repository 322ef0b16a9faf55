"""Scenes as numbers, so that a GPU composes a batch of any size in a few dozen kernels and no Python per picture.

`compose.render` walks through scenes in Python, which a GPU would wait for. Here `layers` does that walk, in another
process, and `paint` draws what it gave; the pictures are those of `compose.render` (tested).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..common.colours import BACKGROUNDS, WORDS
from ..data.colours import recolour
from ..data.compose import shape_of
from ..data.scene import Scene


@dataclass(frozen=True, slots=True)
class Layer:
    """The first things of all scenes, or the second ones, …; n of B scenes have one."""

    #: Scene, sprite and halvings before sampling, int64 (n,).
    rows: NDArray[np.int64]
    sprites: NDArray[np.int64]
    halvings: NDArray[np.int64]
    #: Place in `colours.WORDS`, -1 for the drawing's own colours, int64 (n,).
    colours: NDArray[np.int64]
    #: Picture coordinates → sprite coordinates, float32 (n, 2, 3).
    matrices: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layers:
    """A batch of scenes of one shape."""

    height: int
    width: int
    #: Colours of the upper and the lower border, float32 (B, 3) in [0, 1].
    top: NDArray[np.float32]
    bottom: NDArray[np.float32]
    #: Painter's order.
    layers: tuple[Layer, ...]


def layers(scenes: Sequence[Scene], size: int, sprite: int) -> Layers:
    """The numbers of scenes of one aspect.

    Args:
        size: shorter side of the pictures in pixels.
        sprite: side of the sprites in pixels.
    """
    height, width = shape_of(scenes[0].aspect, size)
    most = max(len(scene.things) for scene in scenes)
    return Layers(
        height,
        width,
        np.array([BACKGROUNDS[s.background][1] for s in scenes], np.float32) / 255,
        np.array([BACKGROUNDS[s.gradient or s.background][1] for s in scenes], np.float32) / 255,
        tuple(_layer(scenes, place, size, sprite, height, width) for place in range(most)),
    )


def _layer(scenes: Sequence[Scene], place: int, size: int, sprite: int, height: int, width: int) -> Layer:
    rows = [row for row, scene in enumerate(scenes) if place < len(scene.things)]
    things = [scenes[row].things[place] for row in rows]
    scale = np.array([thing.scale for thing in things])
    x, y = np.array([thing.x for thing in things]), np.array([thing.y for thing in things])
    across = width / size / scale * np.where([thing.mirrored for thing in things], -1.0, 1.0)
    down = height / size / scale
    nothing = np.zeros(len(things))
    upper, lower = np.stack([across, nothing, -x * across], 1), np.stack([nothing, down, -y * down], 1)
    return Layer(
        np.array(rows, np.int64),
        np.array([thing.sprite for thing in things], np.int64),
        np.maximum(0, np.floor(np.log2(sprite / (scale * size) + 1e-6))).astype(np.int64),
        np.array([WORDS.index(thing.colour) if thing.colour else -1 for thing in things], np.int64),
        np.stack([upper, lower], 1).astype(np.float32),
    )


def paint(batch: Layers, images: Tensor) -> Tensor:
    """Compose on the device of `images`, uint8 (N, S, S, 4) with straight alpha: (B, 3, H, W) in [-1, 1].

    Nothing here waits for the device.
    """
    device = images.device
    share = torch.linspace(0, 1, batch.height, device=device)[None, None, :, None]
    top, bottom = (_placed(each, device)[:, :, None, None] for each in (batch.top, batch.bottom))
    picture = torch.lerp(top, bottom, share).expand(-1, -1, -1, batch.width).clone()
    for layer in batch.layers:
        sprites = _sprites(layer, images)
        drawn = sprites.new_empty(len(layer.rows), 4, batch.height, batch.width)
        for level in np.unique(layer.halvings):
            chosen = np.flatnonzero(layer.halvings == level)
            here = _placed(chosen, device)
            # Bilinear sampling skips pixels below half size, so far smaller things are halved first.
            group = sprites[here]
            if level:
                group = functional.avg_pool2d(group, 2 ** int(level), ceil_mode=True)
            matrices = _placed(layer.matrices[chosen], device)
            grid = functional.affine_grid(matrices, [len(chosen), 4, batch.height, batch.width], align_corners=False)
            drawn[here] = functional.grid_sample(group, grid, "bilinear", "zeros", align_corners=False)
        rows = _placed(layer.rows, device)
        picture[rows] = drawn[:, :3] + picture[rows] * (1 - drawn[:, 3:])
    return picture * 2 - 1


def _sprites(layer: Layer, images: Tensor) -> Tensor:
    """(n, 4, S, S) in [0, 1], recoloured where asked, premultiplied."""
    pixels = images[_placed(layer.sprites, images.device)].permute(0, 3, 1, 2).float() / 255
    tinted = np.flatnonzero(layer.colours >= 0)
    if len(tinted):
        here = _placed(tinted, images.device)
        words = [WORDS[place] for place in layer.colours[tinted]]
        chosen = pixels[here]
        pixels[here, :3] = recolour(chosen[:, :3], chosen[:, 3:], words)
    return torch.cat([pixels[:, :3] * pixels[:, 3:], pixels[:, 3:]], 1)


def _placed(values: NDArray, device: torch.device) -> Tensor:
    return torch.from_numpy(values).to(device, non_blocking=True)
