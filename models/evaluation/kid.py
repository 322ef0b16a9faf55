"""Kernel Inception Distance (1801.01401): how far two sets of pictures lie apart, without bias for small sets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Distance:
    """An estimate and its standard error; negative estimates happen where the two distributions are the same."""

    value: float
    error: float
    #: Pictures of either set.
    generated: int
    real: int


def kid(generated: Tensor, real: Tensor, *, rounds: int = 50, seed: int = 0) -> Distance:
    """Squared maximum mean discrepancy with the kernel (x·y/d + 1)³ (eq. 4 there), features (N, d) and (M, d).

    The standard error is the delete-half jackknife's: the deviation of the estimate over random halves (Shao and Wu
    1989, eq. 2.1, where both factors cancel for d = n/2).

    Raises:
        ValueError: fewer than four pictures in a set, of which no half could be compared.
    """
    if min(len(generated), len(real)) < 4:
        raise ValueError("KID needs at least four pictures in each set")
    x, y = generated.double(), real.double()
    within_x, within_y, across = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    generator = torch.Generator().manual_seed(seed)
    halves: list[float] = []
    for _ in range(rounds):
        i = torch.randperm(len(x), generator=generator)[: len(x) // 2]
        j = torch.randperm(len(y), generator=generator)[: len(y) // 2]
        halves.append(_discrepancy(within_x[i][:, i], within_y[j][:, j], across[i][:, j]))
    error = torch.tensor(halves).std().item()
    return Distance(_discrepancy(within_x, within_y, across), error, len(x), len(y))


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _discrepancy(within_x: Tensor, within_y: Tensor, across: Tensor) -> float:
    """Unbiased MMD² (Gretton et al. 2012, eq. 3): the diagonal is left out."""
    n, m = len(within_x), len(within_y)
    alike = (within_x.sum() - within_x.trace()) / (n * (n - 1)) + (within_y.sum() - within_y.trace()) / (m * (m - 1))
    return float(alike - 2 * across.mean())
