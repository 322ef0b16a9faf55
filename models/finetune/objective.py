"""The loss of a fine-tune: the same prediction over the same forward process as the base was trained with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import DDPMScheduler, SchedulerMixin
from torch import Tensor

from ..errors import TrainingError
from ..training.objectives import Flow, Network, NoiseObjective
from .base import Base


@dataclass(frozen=True, slots=True)
class Diffusion:
    """The base's own forward process, x_t = √ᾱ_t x₀ + √(1 − ᾱ_t) ε (2006.11239 eq. 4), and plain squared error.

    The network predicts ε, or v = √ᾱ_t ε − √(1 − ᾱ_t) x₀ (2202.00512, sec. 2.4), as the base did.
    """

    #: ᾱ_t, (T,).
    kept: Tensor
    prediction: str
    sampler: SchedulerMixin

    def loss(self, network: Network, clean: Tensor, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Squared error at uniform times."""
        times = torch.randint(len(self.kept), (len(clean),), generator=generator, device=generator.device)
        noise = torch.randn(clean.shape, generator=generator, device=generator.device)
        kept = self.kept.to(clean.device)[times][:, None, None, None]
        signal, spread = kept.sqrt(), (1 - kept).sqrt()
        noisy = (signal * clean + spread * noise).contiguous(memory_format=torch.channels_last)
        target = signal * noise - spread * clean if self.prediction == "v_prediction" else noise
        return (network(noisy, times, tokens).float() - target).square().mean()

    def scheduler(self) -> SchedulerMixin:
        """The base's."""
        return self.sampler


def objective_of(base: Base, shift: float) -> NoiseObjective:
    """What the base learnt to predict, so that the adapter learns the same.

    Raises:
        TrainingError: its scheduler says something that has no training loss here.
    """
    scheduler = base.pipeline.scheduler
    if base.prediction == "flow_prediction" and scheduler.config.num_train_timesteps == 1000:
        return Flow(shift)
    if base.prediction in {"epsilon", "v_prediction"}:
        forward = DDPMScheduler.from_config(scheduler.config)
        return Diffusion(forward.alphas_cumprod, base.prediction, scheduler)
    raise TrainingError(
        f"The base predicts {base.prediction!r} over {scheduler.config.num_train_timesteps} times; fine-tuning knows "
        "epsilon and v_prediction, and flow_prediction over 1000."
    )
