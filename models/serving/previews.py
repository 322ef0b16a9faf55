"""Previews: the estimate of the finished picture, shown by a linear map that was fitted to the codec.

Each block of pixels is a linear function of the 3 × 3 latents around it: a matrix product in place of the decoder, and
close to it (the benchmark prints how close).
"""

from __future__ import annotations

import io
import random
from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

from .network import Network
from .sources import pixels

#: Largest preview in bytes, and its side in pixels.
BYTES, SIDE = 30_000, 384
#: Drawings that the map is fitted to.
DRAWINGS = 12


class Sketch:
    """Latents (1, C, h, w) → small pictures, in about a thousandth of the decoder's time."""

    def __init__(self, network: Network) -> None:
        """Fits the map to simple drawings that go through the encoder."""
        factor = network.factor
        side = max(64, 8 * factor)
        drawings = [drawing(side, seed) for seed in range(DRAWINGS)]
        shown = torch.cat([pixels(each, (side, side)) for each in drawings])
        seen = torch.cat([_neighbours(network.encode(shown[k : k + 1]).cpu()) for k in range(DRAWINGS)])
        blocks = functional.pixel_unshuffle(shown, factor).permute(0, 2, 3, 1).flatten(0, 2)
        wide = torch.cat([seen, torch.ones(len(seen), 1)], 1).double()
        # Ridge regression: a little of the identity keeps rarely seen directions quiet.
        square = wide.T @ wide + 1e-3 * len(wide) * torch.eye(wide.shape[1], dtype=torch.float64)
        self._map = torch.linalg.solve(square, wide.T @ blocks.double()).float()
        self._factor = factor

    def picture(self, latents: Tensor) -> Tensor:
        """(1, C, h, w) → (1, 3, H, W), about [-1, 1]."""
        height, width = latents.shape[-2:]
        seen = _neighbours(latents.cpu().float())
        blocks = torch.cat([seen, torch.ones(len(seen), 1)], 1) @ self._map
        return functional.pixel_shuffle(blocks.view(1, height, width, -1).permute(0, 3, 1, 2), self._factor)


def _neighbours(latents: Tensor) -> Tensor:
    """(1, C, h, w) → (h · w, 9 C)."""
    wide = functional.pad(latents, (1, 1, 1, 1), mode="replicate")
    return functional.unfold(wide, 3)[0].T


def grid_file(pictures: Sequence[Image.Image], size: tuple[int, int]) -> bytes:
    """One JPEG of all pictures of a job, two beside each other, of at most `BYTES`; `size`: of each when delivered."""
    columns = 1 if len(pictures) == 1 else 2
    rows = -(-len(pictures) // columns)
    scale = min(1.0, SIDE / (columns * size[0]), SIDE / (rows * size[1]))
    width, height = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    whole = Image.new("RGB", (columns * width, rows * height), "white")
    for k, each in enumerate(pictures):
        whole.paste(
            each.resize((width, height), Image.Resampling.BICUBIC), (k % columns * width, k // columns * height)
        )
    for quality in (80, 60, 40, 20):
        file = io.BytesIO()
        whole.save(file, "JPEG", quality=quality)
        if file.tell() <= BYTES:
            break
    return file.getvalue()


def drawing(side: int, seed: int) -> Image.Image:
    """A few discs and boxes in random colours, the same for the same seed."""
    choose = random.Random(seed)

    def colour() -> tuple[int, int, int]:
        return choose.randrange(256), choose.randrange(256), choose.randrange(256)

    made = Image.new("RGB", (side, side), "white" if seed % 2 else colour())
    pen = ImageDraw.Draw(made)
    for _ in range(5):
        x, y, size = (choose.randrange(side) for _ in range(3))
        draw = choose.choice((pen.ellipse, pen.rectangle))
        draw((x - size // 3, y - size // 3, x + size // 3, y + size // 3), fill=colour())
    return made
