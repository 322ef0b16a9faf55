"""The engine as the queue's handler: an `ImageRequest` in, PNG files out.

Only this file knows both sides; the engine knows no jobs and the queue knows no torch.
"""

from __future__ import annotations

import asyncio
import io
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Protocol

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..models.errors import Unrenderable
from ..queue.errors import RenderRefused
from ..queue.jobs import Rendered
from ..queue.requests import ImageRequest
from ..queue.worker import Handler, JobContext
from .engine_thread import EngineThread

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


def software() -> str:
    return f"daguerre {version('daguerre')}"


def encode_png(picture: Image.Image, request: ImageRequest, seed: int, model: str) -> bytes:
    """A PNG file that says how it was made: text chunks any viewer shows."""
    notes = PngInfo()
    texts = {
        "Software": software(),
        "Description": request.prompt,
        "Negative": request.negative,
        "Seed": str(seed),
        "Steps": str(request.steps),
        "Guidance": f"{request.guidance:g}",
        "Model": model,
    }
    for key, text in texts.items():
        if text:
            notes.add_itxt(key, text)
    file = io.BytesIO()
    picture.save(file, "PNG", pnginfo=notes)
    return file.getvalue()


def render(
    engine: EngineLike, request: ImageRequest, on_step: Callable[[int, int], None]
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
    files = tuple(
        encode_png(picture, request, seed, model) for picture, seed in zip(pictures, request.seeds, strict=True)
    )
    return files, {**about, "software": software()}


def make_handler(engine: EngineLike, thread: EngineThread, cancelled: type[Exception]) -> Handler:
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
            files, metadata = await thread.call(lambda: render(engine, request, on_step))
        except Unrenderable as error:
            raise RenderRefused("unrenderable", str(error)) from None
        finally:
            # Cancelled: the engine leaves at its next step.
            leave.set()
        seconds = time.monotonic() - begun
        log.info("rendered job=%s pictures=%d seconds=%.2f", context.job, len(files), seconds)
        return Rendered(files, metadata, seconds)

    return handle
