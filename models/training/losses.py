"""Losses of the codec: L = L_recon + L_KL + L_G for the autoencoder, L_D for its discriminators."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

#: Features of one discriminator, layer by layer.
Features = Sequence[Tensor]


def reconstruction(decoded: Tensor, target: Tensor, edges: float) -> Tensor:
    """L1 of the pixels plus `edges` × L1 of the differences between neighbours, pictures (B, 3, H, W)."""
    error = decoded - target
    across, down = error.diff(dim=-1).abs().mean(), error.diff(dim=-2).abs().mean()
    return error.abs().mean() + edges * (across + down)


def decibels(decoded: Tensor, target: Tensor) -> Tensor:
    """Mean over the pictures (B, 3, H, W) of the logarithm of their squared error: up to a factor minus their PSNR.

    A picture that is nearly right counts as much as one that is far off.
    """
    return ((decoded - target).square().mean((1, 2, 3)) + 1e-4).log().mean()


def overflow(decoded: Tensor) -> Tensor:
    """Mean of what pixels (B, 3, H, W) leave [-1, 1] by: what no picture can show, and clipping would hide."""
    return functional.relu(decoded.abs() - 1).mean()


def divergence(mean: Tensor, log_variance: Tensor, noise: float) -> Tensor:
    """KL from N(0, 1) of posteriors whose deviation is drawn to `noise`, per latent number, without constants."""
    spread = (log_variance - 2 * math.log(noise)).square().mean()
    return 0.5 * mean.square().mean() + spread


def hinge_discriminator(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """L_D = E max(0, 1 − D(x)) + E max(0, 1 + D(x̂)), mean over scales (1705.02894, 1805.08318)."""
    losses = [functional.relu(1 - r).mean() + functional.relu(1 + f).mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(losses).mean()


def hinge_generator(fake: Sequence[Tensor]) -> Tensor:
    """L_G = −E D(x̂), mean over scales."""
    return -torch.stack([scores.mean() for scores in fake]).mean()


def feature_matching(real: Sequence[Features], fake: Sequence[Features]) -> Tensor:
    """L1 between what the discriminators feel at the picture and at its reconstruction (1711.11585, eq. 4).

    Mean over scales and layers; real features are constants.
    """
    pairs = [
        functional.l1_loss(f, r.detach())
        for scale_r, scale_f in zip(real, fake, strict=True)
        for r, f in zip(scale_r, scale_f, strict=True)
    ]
    return torch.stack(pairs).mean()


def adaptive_weight(base: Tensor, adversarial: Tensor, last: Tensor, share: float, cap: float) -> Tensor:
    """λ = share × ‖∇ base‖ / ‖∇ adversarial‖ at the decoder's last weight, at most `cap` (VQGAN, 2012.09841, eq. 7).

    The adversarial gradient is then `share` of the reconstruction's where it enters the decoder. A constant (0-dim).
    """
    (ours,) = torch.autograd.grad(base, last, retain_graph=True)
    (theirs,) = torch.autograd.grad(adversarial, last, retain_graph=True)
    return (share * ours.norm() / (theirs.norm() + 1e-6)).clamp(0, cap).detach()


def psnr(mean_squared_error: Tensor | float) -> float:
    """Peak signal-to-noise ratio in dB for pictures in [-1, 1] (peak-to-peak 2)."""
    return 10 * math.log10(4 / max(float(mean_squared_error), 1e-12))
