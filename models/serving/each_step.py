"""What happens after each step of a stock pipeline: progress, a preview, leaving, ending early."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import NoPicture
from .estimates import decoded, estimate_of
from .jobs import Job
from .previews import grid_file
from .requests import Progress
from .schedule import preview_due


class Drawing(Protocol):
    """What draws job by job, as far as its steps are concerned (jobwise.py)."""

    forwards: int
    rows: int
    _previews: bool
    _waiting: Any
    _clock: Any

    def _check(self, job: Job) -> None: ...


class EachStep:
    """What happens after each step of one pipeline call."""

    def __init__(
        self, loop: Drawing, job: Job, end: int, size: tuple[int, int], rows: int, turn: tuple[int, int]
    ) -> None:
        self._loop, self._job, self._end, self._size, self._rows, self._turn = loop, job, end, size, rows, turn
        self._before: list[tuple[float, Tensor]] = []

    def __call__(self, pipeline: Any, index: int, _: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        loop, job, end = self._loop, self._job, self._end
        if index >= end:
            return tensors  # Nothing is drawn any more; some pipelines still call.
        loop.forwards += 1
        loop.rows += self._rows
        loop._check(job)
        now = loop._clock()
        preview = None
        # Image to image takes fewer steps than it was told.
        steps = min(end, int(getattr(pipeline, "num_timesteps", 0) or end))
        due = index + 1 < steps and preview_due(now, job.shown, others=bool(loop._waiting))
        latents = tensors.get("latents")
        if index + 1 == steps and isinstance(latents, Tensor) and not bool(torch.isfinite(latents).all()):
            raise NoPicture(
                "The model computed no picture: its numbers overflowed, or its weights are damaged. Try another seed; "
                "the operator may set [render] dtype to bfloat16 or float32."
            )
        estimate = estimate_of(pipeline, index, latents, self._before) if isinstance(latents, Tensor) else None
        if due and estimate is not None and loop._previews and self._turn == (0, 1):
            preview = self._preview(pipeline, estimate)
        try:
            steps = max(steps, index + 1)
            before, left = self._turn
            job.on_progress(Progress(before * steps + index + 1, (before + left) * steps, preview))
        except Exception:
            job.cancelled = True
        loop._check(job)
        if index + 1 == end < job.request.steps:
            assert estimate is not None, "two steps were taken"
            tensors["latents"] = estimate
            pipeline._interrupt = True  # It goes on to its codec.
        return tensors

    def _preview(self, pipeline: Any, estimate: Tensor) -> bytes | None:
        """A courtesy: nobody loses a picture by it, and who cannot give one is not asked again."""
        job = self._job
        try:
            made = grid_file(decoded(pipeline, estimate, self._size), (job.request.width, job.request.height))
        except torch.OutOfMemoryError:
            return None
        except Exception:
            self._loop._previews = False
            return None
        job.shown = self._loop._clock()
        return made
