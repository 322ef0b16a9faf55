"""Pipelines whose rows cannot share a step (FLUX, SD3 and other families): one request after the other.

Each runs in its stock pipeline; progress, previews, cancelling and deadlines come through `callback_on_step_end`.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..errors import TooLate, Unfit, Unrenderable
from .asks import Ask, Drawn, OnProgress, Progress, no_progress
from .cutout import cut_out
from .folder import native_size
from .jobs import Cancelled, Job
from .previews import grid_file
from .schedule import preview_due


class Jobwise:
    """Looks like `Loop` from outside."""

    def __init__(
        self, pipeline: Any, device: str, *, about: Mapping[str, Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pipeline = pipeline
        self._device = device
        self._about = dict(about)
        self._clock = clock
        self._takes = set(inspect.signature(pipeline.__call__).parameters)
        self._news = threading.Condition()
        self._driver = threading.Lock()
        self._inbox: deque[Job] = deque()
        self._closed = False
        self._now: Job | None = None
        self.forwards = self.rows = 0

    def submit(self, ask: Ask, on_progress: OnProgress = no_progress) -> Job:
        """Put a request in; it begins when those before it are done."""
        job = Job(ask, on_progress, self._clock(), self._wake)
        with self._news:
            self._inbox.append(job)
            self._news.notify_all()
        return job

    def close(self) -> None:
        """Let `run` return after its step; what is not finished ends with `Cancelled`."""
        with self._news:
            self._closed = True
            if self._now is not None:
                self._now.cancelled = True
            self._news.notify_all()

    def _wake(self) -> None:
        with self._news:
            self._news.notify_all()

    def run(self) -> None:
        """Draw until `close`."""
        with self._driver:
            while not self._closed:
                if not self.tick():
                    with self._news:
                        self._news.wait_for(lambda: bool(self._inbox) or self._closed, timeout=1.0)
            for job in self._inbox:
                job.fail(Cancelled())

    def draw(self, ask: Ask, on_progress: OnProgress = no_progress) -> Drawn:
        """Submit and wait; draws itself where no other thread does.

        Raises:
            Cancelled, Unrenderable, TooLate: see there; and what `on_progress` raised.
        """
        raised: list[BaseException] = []

        def told(progress: Progress) -> None:
            try:
                on_progress(progress)
            except BaseException as error:
                raised.append(error)
                job.cancel()

        job = self.submit(ask, told)
        if self._driver.acquire(blocking=False):
            try:
                while not job.result.done():
                    self.tick()
            finally:
                self._driver.release()
        try:
            return job.result.result()
        except Cancelled:
            raise raised[0] if raised else Cancelled from None

    def tick(self) -> bool:
        """One whole request; False where none waits."""
        with self._news:
            if not self._inbox:
                return False
            job = self._now = self._inbox.popleft()
        try:
            self._check(job)
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

    def _check(self, job: Job) -> None:
        if job.cancelled:
            raise Cancelled
        if job.deadline <= self._clock():
            raise TooLate(f"Not finished within {job.ask.seconds:.0f} s; ask for less, or later.")

    @torch.inference_mode()
    def _draw(self, job: Job) -> Drawn:
        ask, pipeline = job.ask, self._pipeline
        if refused := [name for name in ("tile", "draft", "source", "adapters", "chaos") if getattr(ask, name)]:
            raise Unfit(f"{type(pipeline).__name__} is drawn job by job and knows no {', '.join(refused)}.")
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
            "callback_on_step_end": self._each_step(job, (width, height)),
            "output_type": "pil",
        }
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

    def _size(self, ask: Ask) -> tuple[int, int]:
        pipeline = self._pipeline
        part = pipeline.components.get("transformer") or pipeline.components.get("unet")
        factor = int(getattr(pipeline, "vae_scale_factor", 8))
        native = getattr(pipeline, "default_sample_size", None) or getattr(part.config, "sample_size", 64)
        return native_size(ask.width, ask.height, int(native) * factor, 2 * factor)

    def _each_step(self, job: Job, size: tuple[int, int]) -> Callable[..., dict[str, Any]]:
        before: list[tuple[float, Tensor]] = []

        def after(pipeline: Any, index: int, _: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            self.forwards += 1
            self.rows += len(job.ask.seeds)
            self._check(job)
            now = self._clock()
            preview = None
            last = index + 1 >= job.ask.steps
            due = not last and preview_due(now, job.shown, others=bool(self._inbox))
            if due or not before:
                estimate = _estimate(pipeline, index, tensors["latents"], before)
                if due and estimate is not None:
                    preview = grid_file(_decoded(pipeline, estimate, size), (job.ask.width, job.ask.height))
                    job.shown = self._clock()
            try:
                job.on_progress(Progress(index + 1, job.ask.steps, preview))
            except Exception:
                job.cancelled = True
            self._check(job)
            return tensors

        return after


def _estimate(pipeline: Any, index: int, latents: Tensor, before: list[tuple[float, Tensor]]) -> Tensor | None:
    """x0 by the slope between two steps: exact for Euler on a flow, where x moves along v; None at the first step."""
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
