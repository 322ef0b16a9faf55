"""Is a picture of the drawer's denoiser a copy? Its nearest drawing against the next, and what other drawings change.

As `memorised` does for pictures on a background (2310.02664), but with alpha: both sides are cut to what is visible,
square, and compared as premultiplied RGBA, mirrored too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..intervals import Share
from ..memorised import SAME, Neighbours
from .features import canonical, layers_of
from .questions import Question

#: Side that pictures are compared at, in pixels.
SIDE = 32


class Drawings:
    """All drawings of a set in the common form: 0.3 GB for sixteen thousand."""

    def __init__(self, images: NDArray[np.uint8], batch: int = 512) -> None:
        """`images`: (M, S, S, 4) uint8, straight alpha."""
        parts = []
        for begin in range(0, len(images), batch):
            pixels = torch.from_numpy(np.array(images[begin : begin + batch])).permute(0, 3, 1, 2).float() / 255
            layers = torch.cat([pixels[:, :3] * pixels[:, 3:], pixels[:, 3:]], 1)
            parts.append(_small(layers * 2 - 1).half())
        self.vectors = torch.cat(parts)
        self.squares = torch.cat([part.float().square().sum(1) for part in self.vectors.split(batch)])

    @torch.inference_mode()
    def distances(self, vectors: Tensor) -> Tensor:
        """Squared L2 of (B, D) to every drawing, (B, M)."""
        products = torch.cat([vectors @ part.float().T for part in self.vectors.split(2048)], 1)
        return (vectors.square().sum(1)[:, None] + self.squares[None] - 2 * products).clamp(min=0)

    def of(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (B, 4, S, S) in the common form, as they are and mirrored."""
        return _small(pictures), _small(pictures.flip(-1))


@torch.inference_mode()
def nearest(
    pictures: Tensor, drawings: Drawings, without: Sequence[Sequence[int]] | None = None, batch: int = 32
) -> list[Neighbours]:
    """Compare pictures (B, 4, S, S) in [-1, 1], premultiplied, with all drawings but those of `without` for each.

    Raises:
        ValueError: fewer than two drawings.
    """
    if len(drawings.vectors) < 2:
        raise ValueError("there is no second nearest of fewer than two drawings")
    found: list[Neighbours] = []
    # Root mean square over all numbers of a drawing, in [-1, 1].
    alike = SAME**2 * drawings.vectors.shape[1] / 4
    for begin in range(0, len(pictures), batch):
        plain, mirrored = drawings.of(pictures[begin : begin + batch])
        squares = torch.minimum(drawings.distances(plain), drawings.distances(mirrored))
        for at, left_out in enumerate((without or [()] * len(pictures))[begin : begin + len(plain)]):
            squares[at, list(left_out)] = torch.inf
        first = squares.argmin(1)
        own = drawings.distances(drawings.vectors[first].float())
        second = squares.masked_fill(own < alike, torch.inf)
        for at in range(len(plain)):
            other = int(second[at].argmin())
            found.append(
                Neighbours(int(first[at]), other, float(squares[at, first[at]].sqrt()), float(second[at, other].sqrt()))
            )
    return found


def copies(near: Sequence[Neighbours]) -> Share:
    """How many are copies."""
    return Share(sum(each.copied for each in near), len(near))


def copies_of_references(asks: Sequence[Question], near: Sequence[Neighbours]) -> Share:
    """How many are copies of a drawing that they were drawn from."""
    return Share(
        sum(each.copied and each.first in ask.references for ask, each in zip(asks, near, strict=True)), len(near)
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Swap:
    """How much pictures change, root mean square of premultiplied RGBA in [0, 1], averaged."""

    #: The same words and noise, other drawings of the thing.
    references: float
    #: The same words and drawings, other noise.
    seeds: float
    #: Two real drawings of one thing, for comparison.
    drawings: float
    pictures: int


def swap(
    paint: Callable[[Sequence[Question]], Tensor], pairs: Sequence[tuple[Question, Question]],
    again: Sequence[Question], real: tuple[Tensor, Tensor],
) -> tuple[Swap, tuple[Tensor, Tensor, Tensor]]:  # fmt: skip
    """Draw each first of `pairs`, its second, and `again` (the firsts with other seeds); and the pictures."""
    one, two, other = paint([a for a, _ in pairs]), paint([b for _, b in pairs]), paint(again)
    return Swap(_apart(one, two), _apart(one, other), _apart(*real), len(pairs)), (one, two, other)


def _apart(one: Tensor, two: Tensor) -> float:
    return float(((one - two) / 2).square().flatten(1).mean(1).sqrt().mean()) if len(one) else 0.0


def _small(pictures: Tensor) -> Tensor:
    """Common form, flat: (B, 4 · SIDE²) in [0, 1]."""
    return functional.interpolate(
        canonical(layers_of(pictures)), (SIDE, SIDE), mode="bilinear", antialias=True
    ).flatten(1)  # fmt: skip
