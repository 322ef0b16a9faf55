"""Pictures composed for training without captions (codec, baselines), and grids of them for the eye."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..data import SpriteSet
from ..data.scenes import Placement, compose
from .upscaler_sprites import held_out


def random_pictures(images: Tensor, batch: int, size: int, zoom: float = 1.0) -> Tensor:
    """Sprites at random sizes and places over white or any colour, (B, 3, size, size), channels last.

    With `zoom` above 1 the picture is a window of 1/zoom of the whole. `images` are (N, S, S, 4) uint8; all chances
    come from torch's CPU generator, on whatever device the images lie.
    """
    chosen = images[torch.randint(len(images), (batch,)).to(images.device)].permute(0, 3, 1, 2)
    white = torch.rand(batch, 1) < 0.5
    placement = Placement(
        scale=torch.empty(batch).uniform_(0.6, 1.0) * zoom,
        x=torch.empty(batch).uniform_(-0.25, 0.25) + (zoom - 1) * torch.empty(batch).uniform_(-0.8, 0.8),
        y=torch.empty(batch).uniform_(-0.25, 0.25) + (zoom - 1) * torch.empty(batch).uniform_(-0.8, 0.8),
        mirrored=torch.rand(batch) < 0.5,
        background=torch.where(white, 1.0, torch.rand(batch, 3) * 2 - 1),
    )
    return _composed(chosen, placement, size)


def single_pictures(images: Tensor, batch: int, size: int) -> Tensor:
    """One sprite each, centred and nearly filling a white picture, (B, 3, size, size): the `single` scenes."""
    chosen = images[torch.randint(len(images), (batch,)).to(images.device)].permute(0, 3, 1, 2)
    placement = Placement(
        scale=torch.empty(batch).uniform_(0.84, 0.94),
        x=torch.empty(batch).uniform_(-0.04, 0.04),
        y=torch.empty(batch).uniform_(-0.04, 0.04),
        mirrored=torch.rand(batch) < 0.5,
        background=torch.ones(batch, 3),
    )
    return _composed(chosen, placement, size)


def split(sprites: SpriteSet) -> tuple[Tensor, Tensor]:
    """(N, S, S, 4) uint8 of the sprites a codec is trained on, and of those it is measured on.

    A set too small to have any held-out drawing (a test's, a folder of one's own) is used whole for both.
    """
    held = [row["i"] for row in sprites.rows if held_out(row)]
    kept = [row["i"] for row in sprites.rows if not held_out(row)]
    return _images(sprites, kept or held), _images(sprites, held or kept)


def heldout_pictures(sprites: SpriteSet, count: int = 64, size: int = 64, seed: int = 1234) -> Tensor:
    """(count, 3, size, size), always the same for the same sprite set: placed at random over white or any colour."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return random_pictures(split(sprites)[1], count, size)


def of_concepts(sprites: SpriteSet, concepts: Container[str]) -> Tensor:
    """(N, S, S, 4) uint8 of the tier A sprites of some concepts."""
    chosen = [row["i"] for row in sprites.rows if row["caption_en"] in concepts and row["tier"] == "A"]
    return _images(sprites, chosen)


def grid(pictures: Tensor, columns: int, zoom: int = 1, gap: int = 2) -> Image.Image:
    """One picture of many, (B, 3, H, W) in [-1, 1] row by row, each pixel repeated `zoom` times."""
    pixels = to_bytes(pictures).repeat(zoom, axis=1).repeat(zoom, axis=2)
    count, height, width, _ = pixels.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 200, np.uint8)
    for index, each in enumerate(pixels):
        top, left = gap + index // columns * (height + gap), gap + index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = each
    return Image.fromarray(sheet)


def save_grid(pictures: Tensor, columns: int, file: Path, zoom: int = 1) -> None:
    """Write a grid as PNG; a reader never sees half a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    grid(pictures, columns, zoom).save(part, format="PNG")
    part.replace(file)


def to_bytes(pictures: Tensor) -> np.ndarray:
    """(B, 3, H, W) in [-1, 1] as uint8 (B, H, W, 3)."""
    levels = ((pictures.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).cpu().numpy()


def _composed(chosen: Tensor, placement: Placement, size: int) -> Tensor:
    device = chosen.device
    moved = Placement(
        scale=placement.scale.to(device),
        x=placement.x.to(device),
        y=placement.y.to(device),
        mirrored=placement.mirrored.to(device),
        background=placement.background.to(device),
    )
    return compose(chosen, moved, size).contiguous(memory_format=torch.channels_last)


def _images(sprites: SpriteSet, chosen: Sequence[int]) -> Tensor:
    return torch.from_numpy(np.array(sprites.images[list(chosen)]))
