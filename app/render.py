"""The engine as the queue's handler: an `ImageRequest` in, PNG files out.

Only this file knows both sides; the engine knows no jobs and the queue knows no torch.
"""

from __future__ import annotations

import asyncio
import contextvars
import io
import logging
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from PIL import Image

from ..models.errors import TooLate, Unrenderable
from ..models.provenance import software
from ..models.serving import OnProgress, Progress, RenderRequest, RenderResult, Source
from ..queue.errors import RenderRefused
from ..queue.observe import NoSpans, Spans
from ..queue.prompt import in_words
from ..queue.records import ImageRequest, Rendered, Usual
from ..queue.worker import Handler, JobContext
from .finishing import Finisher, job_number

if TYPE_CHECKING:
    from ..models.serving.jobs import Job
    from ..models.serving.usual import Usual as EngineUsual

log = logging.getLogger(__name__)

#: Most pixels of a source picture: larger ones are refused before they are unpacked.
MOST_PIXELS = 32_000_000


class OffersLike(Protocol):
    """What a worker needs of `models.serving.offers.Offers`."""

    def adapters(self) -> Sequence[str]: ...

    @property
    def triggers(self) -> Callable[[], Mapping[str, str]]: ...

    def controls(self) -> Sequence[str]: ...

    def embeddings(self) -> Sequence[str]: ...


class EngineLike(Protocol):
    """What rendering needs of `models.serving.engine.Engine`."""

    @property
    def slots(self) -> int: ...

    @property
    def usual(self) -> EngineUsual: ...

    @property
    def largest(self) -> int: ...

    @property
    def image_prompts(self) -> bool: ...

    def describe(self) -> Mapping[str, Any]: ...

    @property
    def offers(self) -> OffersLike: ...

    def submit(self, request: RenderRequest, on_progress: OnProgress) -> Job: ...

    def draw(self, request: RenderRequest, on_progress: OnProgress) -> RenderResult: ...

    def run(self) -> None: ...

    def close(self) -> None: ...


class RackLike(EngineLike, Protocol):
    """What a worker needs besides of `models.serving.rack.Rack`."""

    #: Called in the engine's thread when another model was loaded.
    on_change: Callable[[], object]

    @property
    def models(self) -> tuple[str, ...]: ...

    @property
    def active(self) -> str: ...

    @property
    def seconds(self) -> Mapping[str, float]: ...

    @property
    def most_slots(self) -> int: ...

    def engine(self, name: str = "") -> EngineLike: ...


def is_rack(engine: EngineLike) -> TypeGuard[RackLike]:
    """Whether it has several models."""
    return hasattr(engine, "models")


def usual_for(engine: EngineLike) -> Usual:
    """What is usual for the engine's weights, in the queue's words."""
    usual = engine.usual
    return Usual(steps=usual.steps, guidance=usual.guidance, size=usual.side, pixels=engine.largest)


def ask_of(
    request: ImageRequest, files: Mapping[str, bytes], *, member: str = "", seconds: float = math.inf
) -> RenderRequest:
    """The request in the engine's words, emoji as their names; `files` holds the bytes of what its source names.

    Raises:
        RenderRefused: a source picture cannot be read.
    """
    source = request.source
    same = {
        each.name: getattr(request, each.name)
        for each in fields(RenderRequest)
        if each.name in ImageRequest.model_fields
    }
    in_its_words: dict[str, Any] = same | {
        "prompt": in_words(request.prompt),
        "negative": in_words(request.negative),
        "parts": tuple((in_words(part.text), part.weight) for part in request.parts),
        "source": None
        if source is None
        else Source(
            _opened(files, source.picture),
            source.use,
            _opened(files, source.mask) if source.mask else None,
            source.strength,
            source.expand,
            source.seed,
            source.fit,
            source.scale,
        ),
    }
    return RenderRequest(seeds=request.seeds, member=member, seconds=seconds, **in_its_words)


def _opened(files: Mapping[str, bytes], name: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(files[name]), formats=("PNG", "WEBP", "JPEG"))
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError("too many pixels")  # noqa: TRY301  one message for all
            picture.load()
    except (KeyError, OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning) as error:
        raise RenderRefused("unfit", f"a source picture cannot be read: {type(error).__name__}") from None
    return picture


def files_of(
    drawn: RenderResult, request: ImageRequest, finisher: Finisher, job: str = ""
) -> tuple[tuple[bytes, ...], Mapping[str, Any]]:
    """Blocking: the PNG files of what was drawn, and what is to be kept with them."""
    about = dict(drawn.about)
    model = f"{about.get('model', '')} {about.get('model_digest', '')}".strip()
    files, found = finisher.finish(drawn.pictures, request, job=job, model=model, about=about)
    return files, {**about, "software": software(), **found}


def render(
    engine: EngineLike, request: ImageRequest, on_step: Callable[[int, int], None], finisher: Finisher | None = None
) -> tuple[tuple[bytes, ...], Mapping[str, Any]]:
    """Blocking: one request without queue or worker; `finisher` marks it as a served picture is marked.

    Raises:
        EngineError: says what to do.
    """
    drawn = engine.draw(ask_of(request, {}), lambda progress: on_step(progress.step, progress.steps))
    return files_of(drawn, request, finisher or Finisher(), job_number())


def make_handler(
    engine: EngineLike, finisher: Finisher | None = None, *, seconds: float = math.inf, spans: Spans | None = None,
) -> Handler:  # fmt: skip
    """The queue's handler on an engine whose `run` goes on in another thread.

    `seconds`: how long a request may take altogether, waiting for its turn in the engine included.
    """
    # Judging, marking and encoding keep neither engine nor loop waiting. One thread: the engine needs the cores.
    pool = ThreadPoolExecutor(1, "pictures")
    finishing = finisher or Finisher()
    spans = spans or NoSpans()

    async def handle(request: ImageRequest, context: JobContext) -> Rendered:
        loop = asyncio.get_running_loop()

        def on_progress(progress: Progress) -> None:
            # Progress never waits, so that all of it is sent before the result is seen.
            asyncio.run_coroutine_threadsafe(context.progress(progress.step, progress.steps, progress.preview), loop)

        begun = time.monotonic()

        def asked() -> RenderRequest:
            return ask_of(request, context.sources, member=context.job, seconds=seconds)

        # Only source pictures take time to unpack.
        ask = await loop.run_in_executor(pool, asked) if request.source else asked()
        job = engine.submit(ask, on_progress)
        try:
            with spans.within(context.job, "draw", steps=ask.steps, width=ask.width, height=ask.height):
                drawn = await asyncio.wrap_future(job.result)
        except asyncio.CancelledError:
            job.cancel()  # It leaves at its next step.
            raise
        except Unrenderable as error:
            raise RenderRefused(error.code, str(error)) from None
        except TooLate as error:
            raise RenderRefused("too_late", str(error)) from None
        with spans.within(context.job, "judge and encode"):
            # In this job's context, so that what is logged there names it.
            within = contextvars.copy_context()
            files, metadata = await loop.run_in_executor(
                pool, lambda: within.run(files_of, drawn, request, finishing, context.job)
            )
        log.info(
            "rendered job=%s pictures=%d seconds=%.2f device_seconds=%.2f",
            context.job, len(files), time.monotonic() - begun, drawn.seconds,
        )  # fmt: skip
        # What is counted against a member's share is the device's time, not that spent beside others.
        return Rendered(files, metadata, drawn.seconds or time.monotonic() - begun)

    return handle
