"""The engine as the queue's handler: an `ImageRequest` in, PNG files out.

Only this file knows both sides; the engine knows no jobs and the queue knows no torch.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from PIL import Image

from ..models.errors import Unrenderable
from ..models.provenance import software
from ..queue.errors import RenderRefused
from ..queue.jobs import Rendered
from ..queue.requests import ImageRequest
from ..queue.worker import Handler, JobContext
from .engine_thread import EngineThread
from .finishing import Finisher

log = logging.getLogger(__name__)


class EngineLike(Protocol):
    """What rendering needs of `models.engine.Engine`."""

    def load(self) -> None: ...

    def describe(self) -> Mapping[str, Any]: ...

    def generate(
        self,
        prompt: str,
        *,
        negative: str,
        seeds: Sequence[int],
        steps: int,
        guidance: float,
        width: int,
        height: int,
        on_step: Callable[[int, int], None],
    ) -> Sequence[Image.Image]: ...


def render(
    engine: EngineLike,
    request: ImageRequest,
    on_step: Callable[[int, int], None],
    *,
    finisher: Finisher | None = None,
    job: str = "",
) -> tuple[tuple[bytes, ...], Mapping[str, Any]]:
    """Blocking: the PNG files of one request, and what is to be kept with them."""
    about = dict(engine.describe())
    pictures = engine.generate(
        request.prompt,
        negative=request.negative,
        seeds=request.seeds,
        steps=request.steps,
        guidance=request.guidance,
        width=request.width,
        height=request.height,
        on_step=on_step,
    )
    model = f"{about.get('model', '')} {about.get('model_digest', '')}".strip()
    files, found = (finisher or Finisher()).finish(pictures, request, job=job, model=model)
    return files, {**about, "software": software(), **found}


def make_handler(
    engine: EngineLike, thread: EngineThread, cancelled: type[Exception], finisher: Finisher | None = None
) -> Handler:
    """The queue's handler on a loaded engine.

    `cancelled` is the exception by which `on_step` stops the engine at a step boundary.
    """

    async def handle(request: ImageRequest, context: JobContext) -> Rendered:
        loop = asyncio.get_running_loop()
        leave = threading.Event()

        def on_step(step: int, steps: int) -> None:
            if leave.is_set():
                raise cancelled
            # Progress never waits, so that all of it is sent before the result of this thread is seen.
            asyncio.run_coroutine_threadsafe(context.progress(step, steps), loop)

        begun = time.monotonic()
        try:
            files, metadata = await thread.call(
                lambda: render(engine, request, on_step, finisher=finisher, job=context.job)
            )
        except Unrenderable as error:
            raise RenderRefused("unrenderable", str(error)) from None
        finally:
            # Cancelled: the engine leaves at its next step.
            leave.set()
        seconds = time.monotonic() - begun
        log.info("rendered job=%s pictures=%d seconds=%.2f", context.job, len(files), seconds)
        return Rendered(files, metadata, seconds)

    return handle
