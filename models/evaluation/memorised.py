"""Is a generated picture a copy? Its nearest drawing of the training set against the second nearest (2310.02664).

Training pictures are composed on the fly, so a drawing may lie anywhere, at any size, mirrored, on any background.
Both sides are therefore brought to one form first: cut to what is not background, square, and the drawing laid over
the background that the picture has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

#: Side that pictures are compared at, in pixels.
SIDE = 32
#: A picture is a copy if its nearest drawing is nearer than this share of the second nearest (2310.02664, sec. 2).
COPIED = 1 / 3
#: Drawings of two sets that differ by less (root mean square, of 2) are one drawing that both took over.
SAME = 0.12
#: A pixel differs from the background if some channel does by more, of 2.
VISIBLE = 0.16


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The two nearest distinct drawings of one picture."""

    #: Places in the list of drawings.
    first: int
    second: int
    #: L2 distances in the common form.
    nearest: float
    next: float

    @property
    def ratio(self) -> float:
        return self.nearest / self.next if self.next > 0 else 1.0

    @property
    def copied(self) -> bool:
        return self.ratio < COPIED


@torch.inference_mode()
def neighbours(pictures: Sequence[Tensor], drawings: NDArray, side: int = SIDE) -> list[Neighbours]:
    """Compare pictures (3, H, W) in [-1, 1] of one thing each with drawings (M, S, S, 4) uint8, straight alpha.

    Raises:
        ValueError: fewer than two drawings.
    """
    if len(drawings) < 2:
        raise ValueError("there is no second nearest of fewer than two drawings")
    colour, alpha = _drawings(drawings, side)
    results: list[Neighbours] = []
    for picture in pictures:
        cut, background = cut_out(picture, side)
        both = torch.stack([cut, cut.flip(-1)])
        laid = colour + background[None, :, None, None] * (1 - alpha)
        # (2, M): the picture as it is and mirrored.
        distance = torch.cdist(both.flatten(1), laid.flatten(1)).amin(0)
        first = int(distance.argmin())
        own = (laid - laid[first]).square().flatten(1).mean(1).sqrt()
        mirrored = (laid - laid[first].flip(-1)).square().flatten(1).mean(1).sqrt()
        others = torch.where(torch.minimum(own, mirrored) < SAME, torch.inf, distance)
        second = int(others.argmin())
        results.append(Neighbours(first, second, float(distance[first]), float(others[second])))
    return results


def cut_out(picture: Tensor, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """What lies on the background (3, H, W), as (3, side, side) in the middle of a square, and the background (3,)."""
    border = torch.cat([picture[:, 0], picture[:, -1], picture[:, :, 0], picture[:, :, -1]], 1)
    background = border.median(1).values
    visible = ((picture - background[:, None, None]).abs() > VISIBLE).any(0)
    # A line in which a single pixel stands out is noise of the generator.
    rows = (visible.sum(1) > 1).nonzero().flatten()
    columns = (visible.sum(0) > 1).nonzero().flatten()
    if not len(rows) or not len(columns):
        return background[:, None, None].expand(3, side, side), background
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    part = picture[:, top:bottom, left:right] - background[:, None, None]
    return _squared(part, side) + background[:, None, None], background


def _drawings(drawings: NDArray, side: int) -> tuple[Tensor, Tensor]:
    """Premultiplied colour (M, 3, side, side) in [-1, 1] and alpha (M, 1, side, side), each cut to its alpha."""
    colours: list[Tensor] = []
    alphas: list[Tensor] = []
    for drawing in drawings:
        pixels = torch.tensor(drawing).permute(2, 0, 1).float()
        alpha = pixels[3:] / 255
        seen = alpha[0] > VISIBLE / 2
        rows, columns = seen.any(1).nonzero().flatten(), seen.any(0).nonzero().flatten()
        layers = torch.cat([(pixels[:3] / 127.5 - 1) * alpha, alpha])
        if len(rows):
            layers = layers[:, int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1]
        layers = _squared(layers, side)
        colours.append(layers[:3])
        alphas.append(layers[3:])
    return torch.stack(colours), torch.stack(alphas)


def _squared(part: Tensor, side: int) -> Tensor:
    """Pad (C, h, w) with zeros to a square and scale it."""
    height, width = part.shape[-2:]
    larger = max(height, width)
    left, top = (larger - width) // 2, (larger - height) // 2
    square = functional.pad(part, (left, larger - width - left, top, larger - height - top))
    return functional.interpolate(square[None], size=(side, side), mode="bilinear", antialias=True)[0]
