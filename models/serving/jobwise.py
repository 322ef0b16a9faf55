"""Pipelines whose rows cannot share a step (FLUX, SD3 and other families): one request after the other.

Each runs in its stock pipeline; progress, previews, cancelling and deadlines come through its callbacks.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image

from ..common import cut_out, native_size
from ..errors import NoPicture, TooLarge, Unrenderable, Unsupported, WeightsRefused
from . import sources
from .attached import Attached
from .begin import told_of_picture
from .drawing import last_step
from .each_step import EachStep
from .embeddings import Embeddings
from .estimates import check_drawn, is_black
from .inbox import Inbox
from .jobs import Cancelled, Job
from .laying import take, widen
from .requests import RenderRequest, RenderResult
from .samplers import chosen, for_members, name_of, spelt
from .schedule import RowLimit
from .stock_calls import Calls, takes

#: How pipelines say what sides have to be.
_DIVISIBLE = re.compile(r"divisible by (\d+)")
#: Steps of the picture by which a pipeline is tried when it is loaded.
TRIED = 2


class Jobwise(Inbox):
    """Looks like `Loop` from outside."""

    def __init__(
        self,
        pipeline: Any,
        device: str,
        *,
        about: Mapping[str, Any],
        attached: Attached | None = None,
        embeddings: Embeddings | None = None,
        most_pixels: int = 0,
        decoded: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`most_pixels`: of a picture that is drawn as large as it is asked for; see `native_size`. `decoded`: pixels
        that the codec decodes in one go; 0: any."""
        super().__init__(clock)
        self._pipeline = pipeline
        self.calls = Calls(pipeline)
        self._attached = attached
        self._embeddings = embeddings
        self.device = device
        self._about = dict(about)
        self._most_pixels = most_pixels
        self.decoded = decoded
        self._now: Job | None = None
        self._previews = True
        self._limit: RowLimit | None = None
        #: Pictures of one call at most.
        self._most = 2
        #: Steps and rows so far, for measurements.
        self.forwards = self.rows = 0

    @torch.inference_mode()
    def try_out(self) -> None:
        """Draw a small picture in two steps, so that what cannot draw is known before a member asks.

        Raises:
            WeightsRefused: it cannot; says why.
        """
        calls = self.calls
        while True:
            side = max(2 * calls.multiple, calls.native // 4 // calls.multiple * calls.multiple)
            try:
                self._try(side, self._most)
            except torch.OutOfMemoryError as problem:
                raise TooLarge(
                    f"{calls.kind} is loaded, but not even {side} × {side} pixels can be drawn beside it in the memory "
                    f"of {self.device}. Use a smaller model."
                ) from problem
            except Exception as problem:
                if self._wider(problem):
                    continue
                if self._most > 1:
                    self._most = 1  # Some draw one picture at a time only.
                else:
                    raise WeightsRefused(
                        f"{calls.kind} cannot draw from a text here ({type(problem).__name__}: {problem}). Use another "
                        "model."
                    ) from problem
            else:
                return

    def _try(self, side: int, pictures: int) -> None:
        request = RenderRequest("a", tuple(range(pictures)), TRIED, 2.0, side, side)
        pipeline, told = self.calls.told(request, request.prompt, request.seeds, (side, side), None)
        found = pipeline(**told).images
        if len(found) != pictures:
            raise TypeError(f"asked for {pictures} pictures it gives {len(found)}")
        if not isinstance(found[0], Image.Image):
            raise TypeError("it gives no pictures")

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
                Unrenderable(
                    f"{job.request.width} × {job.request.height} does not fit into {self.device}; ask for less."
                )
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
    def _draw(self, job: Job) -> RenderResult:
        request, calls = job.request, self.calls
        calls.check(request)
        embedded: Mapping[str, str] = {}
        if self._embeddings is not None:
            job.request, embedded = self._embeddings.settled(request)
            request = job.request
        size = self._size(request)
        canvas = sources.canvas_of(request.source, request.width, request.height) if request.source else None
        prompt = request.prompt if not request.style else f"{request.prompt}, {request.style} style"
        used: Mapping[str, str] = {}
        own = self._pipeline.scheduler
        try:
            # Whatever of this is refused, nothing of it stays on for the next job.
            if request.sampler:
                with for_members():
                    self._pipeline.scheduler = chosen(own, spelt(request.sampler))
            sampler = name_of(self._pipeline.scheduler)
            if request.adapters:
                if self._attached is None:
                    self._attached = Attached(self._pipeline, None)
                used = self._attached.use(request.adapters)
                prompt = self._attached.prompt(prompt, request.adapters)
            try:
                found, groups = self._groups(job, prompt, size, canvas)
            except Unrenderable as problem:
                if not self._wider(problem):
                    raise
                size = self._size(request)
                found, groups = self._groups(job, prompt, size, canvas)
            if any(is_black(each) for each in found) and widen(getattr(self._pipeline, "vae", None)):
                # Half precision overflows in codecs that were not made for it; from now on this one is not asked to.
                found, groups = self._groups(job, prompt, size, canvas)
        finally:
            self._pipeline.scheduler = own
            if request.adapters and self._attached is not None:
                self._attached.rest()
        for each in found:
            check_drawn(each)
        wanted = (request.width, request.height)
        pictures = [each if each.size == wanted else each.resize(wanted, Image.Resampling.LANCZOS) for each in found]
        if canvas is not None and canvas.mask is not None:
            pictures = [sources.blend(canvas.picture, each, canvas.mask) for each in pictures]
        if request.transparent:
            pictures = [cut_out(each) for each in pictures]
        about = {
            **self._about, "sampler": sampler, "steps": request.steps,
            "guidance": request.guidance, "drawn": list(size),
            "canonical": f"job of {', then '.join(str(each) for each in groups)}",
            **job.about,
            **({"adapters": dict(used)} if used else {}),
            **({"embeddings": dict(embedded)} if embedded else {}),
            **told_of_picture(request),
            **({"cut": f"{cut} tokens at the end were not read"} if (cut := calls.cut(prompt)) else {}),
        }  # fmt: skip
        return RenderResult(tuple(pictures), about)

    def _size(self, request: RenderRequest) -> tuple[int, int]:
        return native_size(request.width, request.height, self.calls.native, self.calls.multiple, self._most_pixels)

    def _wider(self, problem: Exception) -> bool:
        """Whether the pipeline said that sides have to be multiples of more than was known; then that is known."""
        found = _DIVISIBLE.search(str(problem))
        if found is None or int(found[1]) <= self.calls.multiple:
            return False
        self.calls.multiple = int(found[1])
        return True

    def _groups(
        self, job: Job, prompt: str, size: tuple[int, int], canvas: sources.Canvas | None
    ) -> tuple[list[Image.Image], list[int]]:
        """The pictures, all in one batch, or in as small ones as the memory holds; and how large these were."""
        left = list(job.request.seeds)
        made: list[Image.Image] = []
        groups: list[int] = []
        while left:
            most = len(left) if self._limit is None else min(len(left), self._limit.rows)
            most = min(most, 1) if self._most == 1 else most
            try:
                made += self._together(job, prompt, left[:most], size, canvas, (len(groups), -(-len(left) // most)))
            except torch.OutOfMemoryError:
                if self.device != "cpu":
                    torch.cuda.empty_cache()
                if most == 1:
                    raise
                # Half as many from now on, and more again once that has been well for a while.
                self._limit = (self._limit or RowLimit(most, before_more=8)).full(most)
                continue
            groups.append(most)
            left = left[most:]
            if self._limit is not None:
                self._limit = self._limit.held(len(job.request.seeds))
        return made, groups

    def _together(
        self,
        job: Job,
        prompt: str,
        seeds: Sequence[int],
        size: tuple[int, int],
        canvas: sources.Canvas | None,
        turn: tuple[int, int],
    ) -> list[Image.Image]:
        """One call; `turn`: how many came before it, and how many are left with it."""
        request = job.request
        pipeline, told = self.calls.told(request, prompt, seeds, size, canvas)
        known = takes(pipeline)
        end = (
            request.steps
            if request.stop == 100
            else min(request.steps, max(2, last_step(0, request.steps, request.stop)))
        )
        each = EachStep(self, job, end, size, len(seeds), turn)
        if (codec := getattr(pipeline, "vae", None)) is not None and take(
            codec, size[0] * size[1], len(seeds), self.decoded
        ):
            job.about["decoded"] = "in tiles"
        if "callback_on_step_end" in known:
            told["callback_on_step_end"] = each
        elif "callback" in known:
            # How older pipelines tell; what it raises comes out of the pipeline all the same.
            told |= {"callback": lambda index, _, latents: each(pipeline, index, None, {"latents": latents})}
            told |= {"callback_steps": 1} if "callback_steps" in known else {}
        if "prior_callback_on_step_end" in known:
            told["prior_callback_on_step_end"] = lambda _, __, ___, tensors: self._check(job) or tensors
        try:
            found = pipeline(**told).images
        except (torch.OutOfMemoryError, Cancelled, NoPicture):
            raise
        except Exception as problem:
            # What it was loaded with draws; something of this request it cannot.
            if job.request.sampler:
                raise Unsupported(
                    f"{self.calls.kind} cannot be drawn by {job.request.sampler}: {problem}", "sampler"
                ) from problem
            raise Unrenderable(f"{self.calls.kind} cannot draw this: {type(problem).__name__}: {problem}") from problem
        return [one if isinstance(one, Image.Image) else one[0] for one in found]
