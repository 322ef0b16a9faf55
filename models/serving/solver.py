"""DPM-Solver++ of order 1 and 2 as a table of numbers, so that every row of a batch can be at another step.

Source: Lu et al. 2022, 2211.01095, algorithms 1 and 2 (midpoint); noise levels and times are those of diffusers'
DPMSolverMultistepScheduler. Order 1 is DDIM with η = 0, and Euler in the picture's coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DPMSolverMultistepScheduler
from torch import Tensor

#: Named in the metadata by the order.
NAMES = {1: "DPM-Solver++ 1 (DDIM)", 2: "DPM-Solver++ 2M"}


@dataclass(frozen=True, slots=True)
class Row:
    """One step: x0 = keep · x + take · output, next = own · x + now · x0 + before · (x0 of the step before)."""

    time: float
    keep: float
    take: float
    own: float
    now: float
    before: float


@dataclass(frozen=True, slots=True)
class Table:
    """A whole schedule of n steps."""

    rows: tuple[Row, ...]
    #: (α, σ) of each of the n + 1 noise levels, highest first: x = α · picture + σ · noise.
    levels: tuple[tuple[float, float], ...]

    #: First step.
    begin: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def time(self, k: int) -> float:
        """What the network is told at step k."""
        return self.rows[k].time

    def scaled(self, k: int, sample: Tensor) -> Tensor:
        """What the network sees at step k."""
        return sample

    def first(self, noise: Tensor, latents: Tensor | None) -> Tensor:
        """The sample before the first step: pure noise, or latents with as much as there is then."""
        return noise if latents is None else self.noised(latents, noise, self.begin)

    def noised(self, latents: Tensor, noise: Tensor, k: int) -> Tensor:
        """Latents with the noise of level k."""
        alpha, sigma = self.levels[k]
        return alpha * latents + sigma * noise


def start(steps: int, strength: float) -> int:
    """First of `steps` for a picture that keeps all but `strength` of itself; `steps` where nothing is drawn.

    As stock image-to-image pipelines count.
    """
    return steps - min(int(steps * strength), steps)


def scheduler_for(found: Any) -> DPMSolverMultistepScheduler:
    """The sampler that takes the place of a pipeline's own: the same noise schedule and prediction type."""
    return DPMSolverMultistepScheduler.from_config(
        found.config, algorithm_type="dpmsolver++", solver_type="midpoint", solver_order=2, thresholding=False
    )


def table(scheduler: DPMSolverMultistepScheduler, steps: int, *, begin: int = 0, order: int = 2) -> Table:
    """All numbers of a run of `steps` that begins at step `begin`, which is always of first order.

    Raises:
        ValueError: the scheduler predicts something unknown.
    """
    scheduler.set_timesteps(steps)
    config: Any = scheduler.config
    sigmas = scheduler.sigmas.double()
    alpha, sigma = scheduler._sigma_to_alpha_sigma_t(sigmas)
    lambdas = torch.log(alpha) - torch.log(sigma)
    last_is_first_order = config.euler_at_final or config.final_sigmas_type == "zero"
    last_is_first_order = last_is_first_order or (config.lower_order_final and steps < 15)
    rows: list[Row] = []
    for k in range(steps):
        # k is the level now, k + 1 the next; h = λ(k+1) − λ(k), infinite where the picture is reached.
        h = lambdas[k + 1] - lambdas[k]
        factor = alpha[k + 1] * (torch.exp(-h) - 1)
        second = order > 1 and k > begin and not (k == steps - 1 and last_is_first_order)
        # D0 + D1 / 2 with D1 = (x0 − x0 before) / r0, r0 = h before / h.
        share = float(0.5 * h / (lambdas[k] - lambdas[k - 1])) if second else 0.0
        keep, take = to_picture(config.prediction_type, float(alpha[k]), float(sigma[k]))
        rows.append(
            Row(
                time=float(scheduler.timesteps[k]),
                keep=keep,
                take=take,
                own=float(sigma[k + 1] / sigma[k]),
                now=-float(factor) * (1 + share),
                before=float(factor) * share,
            )
        )
    return Table(tuple(rows), tuple((float(a), float(s)) for a, s in zip(alpha, sigma, strict=True)), begin)


def to_picture(kind: str, alpha: float, sigma: float) -> tuple[float, float]:
    """x0 = keep · x + take · output for what the network predicts."""
    if kind == "flow_prediction":
        return 1.0, -sigma
    if kind == "epsilon":
        return 1 / alpha, -sigma / alpha
    if kind == "v_prediction":
        return alpha, -sigma
    if kind == "sample":
        return 0.0, 1.0
    raise ValueError(f"prediction type {kind!r} is not known")


def step(samples: Tensor, outputs: Tensor, before: Tensor, rows: list[Row]) -> tuple[Tensor, Tensor]:
    """Advance every row of a batch by its own step.

    Args:
        samples: (B, C, h, w), float32; so are the others.
        outputs: what the network said, guidance included.
        before: the x0 of each row's step before; any finite values at its first.
        rows: B steps.

    Returns:
        The samples after the step, and the x0 estimates, both (B, C, h, w).
    """
    numbers = torch.tensor([(r.keep, r.take, r.own, r.now, r.before) for r in rows], dtype=torch.float32)
    # One copy to the device, which nothing waits for.
    numbers = numbers.to(samples.device, non_blocking=True)[:, :, None, None, None]
    keep, take, own, now, last = numbers.unbind(1)
    pictures = keep * samples + take * outputs
    return own * samples + now * pictures + last * before, pictures
