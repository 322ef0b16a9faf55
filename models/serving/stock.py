"""One picture's own stock scheduler: stepped as the stock pipeline steps it, whatever scheduler it is."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch
from torch import Tensor

from . import solver


class Run:
    """A whole schedule for one picture, its history included."""

    def __init__(self, scheduler: Any, steps: int, strength: float | None = None) -> None:
        """`scheduler` is copied. `strength`: only the last part of the run, as stock image-to-image pipelines count."""
        self._scheduler: Any = copy.deepcopy(scheduler)
        self._scheduler.set_timesteps(steps)
        order = int(getattr(self._scheduler, "order", 1) or 1)
        self.times: Tensor = self._scheduler.timesteps
        begin = 0 if strength is None else min(solver.start(steps, strength), steps - 1) * order
        self.begin: int = min(begin, len(self.times) - 1)
        if hasattr(self._scheduler, "set_begin_index"):
            self._scheduler.set_begin_index(self.begin)
        takes = inspect.signature(self._scheduler.step).parameters
        self._takes = {name for name in ("eta", "generator") if name in takes}
        self.generator: torch.Generator | None = None

    def __len__(self) -> int:
        return len(self.times)

    def fresh(self) -> Run:
        """Another picture's, with no history."""
        return copy.deepcopy(self)

    def time(self, k: int) -> float:
        """What the network is told at step k."""
        return float(self.times[k])

    def scaled(self, k: int, sample: Tensor) -> Tensor:
        """What the network sees at step k."""
        scale = getattr(self._scheduler, "scale_model_input", None)
        return sample if scale is None else scale(sample, self.times[k])

    def first(self, noise: Tensor, latents: Tensor | None) -> Tensor:
        """The sample before the first step: pure noise, or latents with as much as there is then."""
        if latents is None:
            return noise * float(getattr(self._scheduler, "init_noise_sigma", 1.0))
        return self.noised(latents, noise, self.begin)

    def noised(self, latents: Tensor, noise: Tensor, k: int) -> Tensor:
        """Latents with the noise of level k; at the last one there is none."""
        if k >= len(self.times):
            return latents
        # Begun in the middle a scheduler counts from there; asked afresh it looks the level up.
        other = copy.copy(self._scheduler)
        other._step_index = None
        if hasattr(other, "set_begin_index"):
            other.set_begin_index(k)
        add = getattr(other, "add_noise", None)
        if add is None:
            return other.scale_noise(latents, self.times[k : k + 1], noise)
        return add(latents, noise, self.times[k : k + 1])

    def step(self, k: int, output: Tensor, sample: Tensor) -> tuple[Tensor, Tensor]:
        """The sample after step k, and the estimate of the finished picture, (1, C, h, w) each."""
        told: dict[str, Any] = {"eta": 0.0, "generator": self.generator}
        index = getattr(self._scheduler, "step_index", None)
        made = self._scheduler.step(
            output, self.times[k], sample, **{name: told[name] for name in self._takes}, return_dict=True
        )
        estimate = getattr(made, "pred_original_sample", None)
        if estimate is None:
            estimate = self._estimate(k, k if index is None else index, output, sample)
        return made.prev_sample, estimate

    def _estimate(self, k: int, index: int, output: Tensor, sample: Tensor) -> Tensor:
        """x0 by what the network predicts at that level of noise."""
        scheduler = self._scheduler
        kind = str(scheduler.config.get("prediction_type", "epsilon"))
        sigmas = getattr(scheduler, "sigmas", None)
        history = getattr(scheduler, "model_outputs", None)
        if type(scheduler).__name__.startswith("FlowMatch"):
            assert sigmas is not None
            return sample - float(sigmas[min(index, len(sigmas) - 1)]) * output
        if history and history[-1] is not None and _keeps_pictures(scheduler):
            return history[-1]
        if hasattr(scheduler, "init_noise_sigma") and sigmas is not None:
            # x = picture + σ · noise: brought to α² + σ² = 1 first.
            sigma = float(sigmas[min(index, len(sigmas) - 1)])
            alpha = (1 + sigma**2) ** -0.5
            keep, take = solver.to_picture(kind, alpha, sigma * alpha)
            return keep * alpha * sample + take * output
        kept = float(scheduler.alphas_cumprod[int(self.times[k])])
        keep, take = solver.to_picture(kind, kept**0.5, (1 - kept) ** 0.5)
        return keep * sample + take * output

    def try_out(self) -> None:
        """One step of numbers, so that what cannot be stepped is known before anybody waits for it."""
        other = self.fresh()
        other.generator = torch.Generator("cpu").manual_seed(0)
        sample = other.first(torch.ones(1, 4, 4, 4), None)
        other.scaled(0, sample)
        other.step(other.begin, torch.ones(1, 4, 4, 4), sample)
        self.noised(sample, sample, self.begin)


def _keeps_pictures(scheduler: Any) -> bool:
    """Whether its history holds estimates of the picture, not of the noise."""
    return "++" in str(scheduler.config.get("algorithm_type", "")) or bool(scheduler.config.get("predict_x0"))
