"""A compiled U-Net, and what it can be given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .exact import padded

#: Rows of one call. diffusers' upsampling goes another way from 64 rows on; a single row would be a case of its own.
FEWEST, MOST = 2, 63


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled U-Net."""

    run: Callable[..., Tensor]
    #: What both sides of the latents are multiples of, and the most that they can be.
    multiple: int
    largest: int
    #: Rows that it takes at least; fewer are filled up. See `exact.rows_apart`.
    fewest: int = FEWEST

    def fits(self, height: int, width: int) -> bool:
        """Whether it draws latents of this size."""
        return all(2 * self.multiple <= side <= self.largest and not side % self.multiple for side in (height, width))

    def __call__(self, samples: Tensor, times: Tensor, states: Tensor, *others: Tensor) -> Tensor:
        """As the U-Net: (R, C, h, w), (R,), (R, length, width) and SDXL's two → (R, C, h, w); at most `MOST` rows."""
        rows = len(samples)
        # The program takes the order of numbers in memory for granted.
        filled = [padded(each, self.fewest).contiguous() for each in (times, states, *others)]
        first = padded(samples, self.fewest).contiguous(memory_format=torch.channels_last)
        return self.run(first, *filled)[:rows]
