"""What the denoiser learns to predict, and with what weight: flow matching, or the DDPM of the textbooks.

An objective owns its corruption of clean latents, its loss, and the stock scheduler that samples from what was
learnt. Latents are (B, 4, h, w) with unit variance; every random number comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from diffusers import DPMSolverMultistepScheduler, SchedulerMixin
from torch import Tensor

#: The network: noisy latents (B, 4, h, w), times (B,) in [0, 1000], tokens (B, L) → prediction (B, 4, h, w).
Network = Callable[[Tensor, Tensor, Tensor], Tensor]
#: Noisy latents, times and what the data say (all as above) → what is to be predicted (B, 4, h, w).
Target = Callable[[Tensor, Tensor, Tensor], Tensor]


def by_data(noisy: Tensor, times: Tensor, truth: Tensor) -> Tensor:
    """The data alone."""
    return truth


class NoiseObjective(Protocol):
    """One way of learning to denoise."""

    def loss(
        self, network: Network, clean: Tensor, tokens: Tensor, generator: torch.Generator, target: Target = by_data
    ) -> Tensor:
        """Scalar loss of one batch."""
        ...

    def scheduler(self) -> SchedulerMixin:
        """The stock sampler for networks trained so."""
        ...


@dataclass(frozen=True, slots=True)
class Flow:
    """Rectified flow (2209.03003; 2403.03206 eq. 13): x_σ = (1 − σ) x₀ + σ ε, the network predicts v = ε − x₀.

    Early training must spend its gradient at high noise, where the prompt decides: σ = sigmoid(N(shift, 1)), and the
    squared error of v is weighted by σ² / max(σ, 0.3), which is the error of the implied x₀ over max(σ, 0.3).
    """

    #: Mean of the logit-normal noise level; above 0 means more noise.
    shift: float = 0.8
    #: Share of the batch at uniform levels, so that the last steps of sampling are trained too.
    uniform: float = 0.1

    def levels(self, count: int, generator: torch.Generator) -> Tensor:
        """Noise levels σ in (0, 1), (count,)."""
        device = generator.device
        sigma = torch.sigmoid(torch.randn(count, generator=generator, device=device) + self.shift)
        anywhere = torch.rand(count, generator=generator, device=device)
        return torch.where(torch.rand(count, generator=generator, device=device) < self.uniform, anywhere, sigma)

    def loss(
        self, network: Network, clean: Tensor, tokens: Tensor, generator: torch.Generator, target: Target = by_data
    ) -> Tensor:
        """Weighted squared error of the velocity."""
        sigma = self.levels(len(clean), generator)
        noise = torch.randn(clean.shape, generator=generator, device=clean.device)
        level = sigma[:, None, None, None]
        noisy = ((1 - level) * clean + level * noise).contiguous(memory_format=torch.channels_last)
        wanted = target(noisy, sigma * 1000, noise - clean)
        velocity = network(noisy, sigma * 1000, tokens).float()
        error = (velocity - wanted).square().mean((1, 2, 3))
        return (error * sigma.square() / sigma.clamp(min=0.3)).mean()

    def scheduler(self) -> SchedulerMixin:
        """DPM-Solver++ 2M (2211.01095) on the flow's noise levels."""
        return DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, steps_offset=1)


@dataclass(frozen=True, slots=True)
class Epsilon:
    """DDPM (2006.11239): q(x_t | x₀) = N(√ᾱ_t x₀, (1 − ᾱ_t) I) (eq. 4), the network predicts ε (eq. 14).

    Times run from 0 to steps − 1, so the paper's t is ours plus one.
    """

    steps: int = 1000
    first: float = 1e-4
    last: float = 0.02

    def betas(self) -> Tensor:
        """Variances of the forward steps, linear from `first` to `last` (sec. 4), (steps,)."""
        return torch.linspace(self.first, self.last, self.steps)

    def kept(self) -> Tensor:
        """ᾱ_t = Π (1 − β_s): share of the clean picture's variance that is left at each time, (steps,)."""
        return torch.cumprod(1 - self.betas(), 0)

    def forward(self, clean: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """Eq. 4 in closed form: x_t for integer times (B,)."""
        kept = self.kept().to(clean.device)[times][:, None, None, None]
        return kept.sqrt() * clean + (1 - kept).sqrt() * noise

    def reverse(self, noisy: Tensor, time: int, predicted: Tensor, noise: Tensor) -> Tensor:
        """One ancestral step x_t → x_{t−1}: eq. 11's mean, plus σ_t z with σ_t² = β_t (sec. 3.2).

        μ = (x_t − β_t / √(1 − ᾱ_t) · ε_θ) / √α_t. A tutorial we learnt from prints (x_t − √β_t ε) / √α_t, which undoes
        one known step of noise; a network predicts the noise that has accumulated until t, of which this step's
        share is β_t / √(1 − ᾱ_t). With the printed formula pictures lose their variety (tested).
        At time 0 no noise is added.
        """
        beta = self.betas()[time]
        mean = (noisy - beta / (1 - self.kept()[time]).sqrt() * predicted) / (1 - beta).sqrt()
        return mean + beta.sqrt() * noise if time > 0 else mean

    def loss(
        self, network: Network, clean: Tensor, tokens: Tensor, generator: torch.Generator, target: Target = by_data
    ) -> Tensor:
        """L_simple, eq. 14: plain squared error of the noise at uniform times."""
        times = torch.randint(self.steps, (len(clean),), generator=generator, device=generator.device)
        noise = torch.randn(clean.shape, generator=generator, device=clean.device)
        noisy = self.forward(clean, times, noise).contiguous(memory_format=torch.channels_last)
        scaled = times.float() * 1000 / self.steps
        wanted = target(noisy, scaled, noise)
        predicted = network(noisy, scaled, tokens).float()
        return (predicted - wanted).square().mean()

    def scheduler(self) -> SchedulerMixin:
        """DPM-Solver++ 2M over the same betas."""
        return DPMSolverMultistepScheduler(
            num_train_timesteps=self.steps, beta_start=self.first, beta_end=self.last, beta_schedule="linear",
            prediction_type="epsilon", steps_offset=1,
        )  # fmt: skip


def objective(name: str, *, shift: float) -> NoiseObjective:
    """`flow` or `epsilon`."""
    if name == "flow":
        return Flow(shift)
    if name == "epsilon":
        return Epsilon()
    raise ValueError(f"no objective {name!r}; there are flow and epsilon")
