"""Pipelines whose rows cannot share a step (FLUX, SD3 and other families): one request after the other.

Each runs in its stock pipeline; progress, previews, cancelling and deadlines come through `callback_on_step_end`.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from PIL import Image
from torch import Tensor

from ..common.cutout import cut_out
from ..common.folder import native_size
from ..errors import Unfit, Unrenderable
from .asks import Ask, Drawn, Progress
from .drawing import last_step
from .inbox import Inbox
from .jobs import Cancelled, Job
from .previews import grid_file
from .schedule import preview_due

#: Fields of a request that stock pipelines know nothing of, and their names where those differ.
UNKNOWN = ("parts", "tile", "draft", "source", "adapters", "chaos")
NAMES = {"parts": "parts with weights (::)"}


class Jobwise(Inbox):
    """Looks like `Loop` from outside."""

    def __init__(
        self, pipeline: Any, device: str, *, about: Mapping[str, Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(clock)
        self._pipeline = pipeline
        self._device = device
        self._about = dict(about)
        self._takes = set(inspect.signature(pipeline.__call__).parameters)
        self._now: Job | None = None
        #: Steps and rows so far, for measurements.
        self.forwards = self.rows = 0

    def tick(self) -> bool:
        """One whole request; False where none waits."""
        self._leave()
        if not self._waiting:
            return False
        job = self._now = self._waiting.pop(0)
        try:
            begun = time.perf_counter()
            drawn = self._draw(job)
            job.finish(replace(drawn, seconds=time.perf_counter() - begun))
        except torch.OutOfMemoryError:
            job.fail(
                Unrenderable(f"{job.ask.width} × {job.ask.height} does not fit into {self._device}; ask for less.")
            )
        except BaseException as error:
            job.fail(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._now = None
        return True

    def _begun(self) -> set[Job]:
        return {self._now} if self._now is not None else set()

    def _check(self, job: Job) -> None:
        """Whoever waits may have left, and the one that is drawn."""
        self._leave()
        if job.result.done() or self._closed:
            raise Cancelled

    @torch.inference_mode()
    def _draw(self, job: Job) -> Drawn:
        ask, pipeline = job.ask, self._pipeline
        end = self._end(ask)
        width, height = self._size(ask)
        told = {
            "prompt": ask.prompt if not ask.style else f"{ask.prompt}, {ask.style} style",
            "negative_prompt": ask.negative,
            "num_images_per_prompt": len(ask.seeds),
            "num_inference_steps": ask.steps,
            "guidance_scale": ask.guidance,
            "width": width,
            "height": height,
            "generator": [torch.Generator("cpu").manual_seed(seed) for seed in ask.seeds],
            "callback_on_step_end": self._each_step(job, end, (width, height)),
            "output_type": "pil",
        }
        if ask.negative:
            # Guidance that FLUX learnt to take as a number knows no negative prompt; this one asks the network twice.
            told["true_cfg_scale"] = ask.guidance
        found: list[Image.Image] = pipeline(
            **{name: value for name, value in told.items() if name in self._takes}
        ).images
        size = (ask.width, ask.height)
        pictures = [each if each.size == size else each.resize(size, Image.Resampling.LANCZOS) for each in found]
        if ask.transparent:
            pictures = [cut_out(each) for each in pictures]
        about = {
            **self._about, "sampler": type(pipeline.scheduler).__name__, "steps": ask.steps, "guidance": ask.guidance,
            "drawn": [width, height], "canonical": f"job of {len(ask.seeds)}",
        }  # fmt: skip
        return Drawn(tuple(pictures), about)

    def _end(self, ask: Ask) -> int:
        """The step before which drawing ends.

        Raises:
            Unfit: the request has something in it that this pipeline does not know.
        """
        pipeline = self._pipeline
        refused = [NAMES.get(name, name) for name in UNKNOWN if getattr(ask, name)]
        if ask.negative and "negative_prompt" not in self._takes:
            refused.append("negative prompt")
        # Only along a flow's straight lines do two steps tell the picture that they lead to.
        if ask.stop < 100 and not (
            isinstance(pipeline.scheduler, FlowMatchEulerDiscreteScheduler) and hasattr(pipeline, "interrupt")
        ):
            refused.append("stop")
        if refused:
            raise Unfit(f"{type(pipeline).__name__} is drawn job by job and knows no {', '.join(refused)}.")
        return ask.steps if ask.stop == 100 else min(ask.steps, max(2, last_step(0, ask.steps, ask.stop)))

    def _size(self, ask: Ask) -> tuple[int, int]:
        pipeline = self._pipeline
        part = pipeline.components.get("transformer") or pipeline.components.get("unet")
        factor = int(getattr(pipeline, "vae_scale_factor", 8))
        native = getattr(pipeline, "default_sample_size", None) or getattr(part.config, "sample_size", 64)
        return native_size(ask.width, ask.height, int(native) * factor, 2 * factor)

    def _each_step(self, job: Job, end: int, size: tuple[int, int]) -> Callable[..., dict[str, Any]]:
        before: list[tuple[float, Tensor]] = []

        def after(pipeline: Any, index: int, _: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            if index >= end:
                return tensors  # Nothing is drawn any more; some pipelines still call.
            self.forwards += 1
            self.rows += len(job.ask.seeds)
            self._check(job)
            now = self._clock()
            preview = None
            due = index + 1 < end and preview_due(now, job.shown, others=bool(self._waiting))
            estimate = _estimate(pipeline, index, tensors["latents"], before)
            if due and estimate is not None:
                preview = grid_file(_decoded(pipeline, estimate, size), (job.ask.width, job.ask.height))
                job.shown = self._clock()
            try:
                job.on_progress(Progress(index + 1, end, preview))
            except Exception:
                job.cancelled = True
            self._check(job)
            if index + 1 == end < job.ask.steps:
                assert estimate is not None, "two steps were taken"
                tensors["latents"] = estimate
                pipeline._interrupt = True  # It goes on to its codec.
            return tensors

        return after


def _estimate(pipeline: Any, index: int, latents: Tensor, before: list[tuple[float, Tensor]]) -> Tensor | None:
    """x0 by the slope of the last step: exact for Euler on a flow, where x moves along v; None at the first step."""
    sigmas = getattr(pipeline.scheduler, "sigmas", None)
    if sigmas is None or index + 1 >= len(sigmas):
        return latents
    now = float(sigmas[index + 1])
    last = before[0] if before else None
    before[:] = [(now, latents.clone())]
    if last is None or last[0] == now:
        return None
    return latents - now * (last[1] - latents) / (last[0] - now)


def _decoded(pipeline: Any, latents: Tensor, size: tuple[int, int]) -> list[Image.Image]:
    """The codec's pictures of latents as this family packs them."""
    vae = pipeline.vae
    if hasattr(pipeline, "_unpack_latents") and latents.ndim == 3:
        latents = pipeline._unpack_latents(latents, size[1], size[0], pipeline.vae_scale_factor)
    raw = latents / vae.config.scaling_factor + (getattr(vae.config, "shift_factor", None) or 0.0)
    made = vae.decode(raw.to(vae.dtype), return_dict=False)[0]
    return pipeline.image_processor.postprocess(made, output_type="pil")
