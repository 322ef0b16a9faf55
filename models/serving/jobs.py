"""A request on its way through the engine: asked for in one thread, drawn in another."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from ..layout import Arrangement
from .drawing import Picture
from .requests import OnProgress, RenderRequest, RenderResult
from .sources import Canvas


class Cancelled(Exception):
    """The request was cancelled, at a step boundary."""


@dataclass(slots=True, eq=False)
class Job:
    """One request. `result` and `cancel` may be used from any thread; the rest belongs to the engine's."""

    request: RenderRequest
    on_progress: OnProgress
    #: On the engine's clock.
    came: float
    wake: Callable[[], None]
    result: Future[RenderResult] = field(default_factory=lambda: Future[RenderResult]())
    cancelled: bool = False
    pictures: tuple[Picture, ...] = ()
    #: Finished ones by their number among `pictures`.
    made: dict[int, Image.Image] = field(default_factory=lambda: dict[int, Image.Image]())
    canvas: Canvas | None = None
    arrangement: Arrangement | None = None
    about: dict[str, Any] = field(default_factory=lambda: dict[str, Any]())
    #: Steps that were told, and when the last preview was shown.
    told: int = 0
    shown: float = 0.0
    #: Time of the device so far.
    seconds: float = 0.0

    @property
    def deadline(self) -> float:
        """On the engine's clock."""
        return self.came + self.request.seconds

    @property
    def step(self) -> int:
        """Steps done by the slowest picture."""
        return min((picture.at - picture.end for picture in self.pictures), default=0) + self.steps

    @property
    def steps(self) -> int:
        """Steps of each picture; a source may have spared it the first ones."""
        return self.about.get("count", 0)

    def cancel(self) -> None:
        """Leave at the next step boundary; `result` then ends with `Cancelled`. From any thread, at any time."""
        self.cancelled = True
        self.wake()

    def finish(self, drawn: RenderResult) -> None:
        """Hand the pictures over, unless somebody was faster."""
        with suppress(InvalidStateError):
            self.result.set_result(drawn)

    def fail(self, error: BaseException) -> None:
        """Hand an error over, unless somebody was faster."""
        with suppress(InvalidStateError):
            self.result.set_exception(error)
