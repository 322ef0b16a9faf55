"""What an engine is asked and told once it is there; how it is loaded stands in engine.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ..common import ABOUT
from ..errors import EngineError
from .about import ENGINE_VERSION
from .jobs import Job
from .jobwise import Jobwise
from .loop import Loop
from .memory import Plan
from .parking import Held
from .requests import OnProgress, RenderRequest, RenderResult, no_progress
from .usual import Usual


class Face:
    """The part of the engine that others see; `Engine` says what these are."""

    weights: Path
    device: str
    held: Held
    _name: str
    _about: dict[str, Any]
    _usual: Usual | None
    _loop: Loop | Jobwise | None
    _laid: Plan
    _slots: int
    _most_pixels: int
    _image_prompts: bool

    def describe(self) -> Mapping[str, Any]:
        """What is written into every picture's metadata: enough, with the request, to make it again."""
        if self._about:
            return dict(self._about)
        return {"model": self._name, "model_digest": "", "device": self.device, "engine": ENGINE_VERSION}

    @property
    def usual(self) -> Usual:
        """What requests are drawn with that say nothing else.

        Raises:
            EngineError: `load` was not called.
        """
        if self._usual is None:
            raise EngineError("The engine has no weights yet: call load() first.")
        return self._usual

    @property
    def image_prompts(self) -> bool:
        """Whether pictures can be read as prompts."""
        return self._image_prompts

    @property
    def laid(self) -> Plan:
        """How the weights lie on the device."""
        return self._laid

    @property
    def largest(self) -> int:
        """Pixels of the largest picture that is drawn as large as it is asked for; larger ones are scaled."""
        native = int(self._about.get("native", 0))
        return max(int(native * native * (1 + ABOUT)), self._most_pixels)

    @property
    def slots(self) -> int:
        """Jobs that should be here at a time, by what was measured."""
        return self._slots

    @property
    def counted(self) -> tuple[int, int]:
        """Forwards and rows since it was loaded; none while it is not."""
        loop = self._loop
        return (0, 0) if loop is None else (loop.forwards, loop.rows)

    @property
    def loop(self) -> Loop | Jobwise:
        """What draws.

        Raises:
            EngineError: `load` was not called.
        """
        if self._loop is None:
            raise EngineError("The engine has no weights yet: call load() first.")
        return self._loop

    def rest(self) -> None:
        """Give back what is remembered of requests, as copies with adapters merged in; the weights stay."""
        if isinstance(self._loop, Loop):
            self._loop.forget()

    def unload(self) -> None:
        """Give up the weights; what is known of them stays."""
        self._loop = None
        self.held.parts.clear()

    def submit(self, request: RenderRequest, on_progress: OnProgress = no_progress) -> Job:
        """Put a request in, from any thread; `run` draws it. `on_progress` is called in the engine's thread.

        `Job.result` ends with the pictures, or with Cancelled, Unrenderable or TooLate.
        """
        return self.loop.submit(request, on_progress)

    def run(self) -> None:
        """Draw what is submitted until `close`. Blocks."""
        self.loop.run()

    def close(self) -> None:
        """Let `run` return after its step."""
        self.loop.close()

    def draw(self, request: RenderRequest, on_progress: OnProgress = no_progress) -> RenderResult:
        """Submit and wait. `on_progress` may raise to leave at a step boundary; what it raised comes out of here.

        Raises:
            EngineError: `load` was not called.
            Unrenderable: not enough memory, or something that the model cannot draw.
            TooLate: the deadline passed.
        """
        return self.loop.draw(request, on_progress)

    def generate(
        self,
        prompt: str,
        *,
        negative: str = "",
        seeds: Sequence[int],
        steps: int,
        guidance: float,
        width: int,
        height: int,
        on_step: Callable[[int, int], None] = lambda step, steps: None,
    ) -> list[Image.Image]:
        """Render one picture for each seed.

        `width` and `height` are the delivered size in pixels: the model draws at its own size with that aspect, the
        result goes through the upscaler, where the weights have one, and is scaled. `on_step(k, n)` is called after
        each step and may raise `Cancelled`. A seed gives the same pixels alone and among others.

        Raises:
            EngineError: `load` was not called.
            Unrenderable: not enough memory, or a shape that the model cannot draw.
        """
        request = RenderRequest(prompt, tuple(seeds), steps, guidance, width, height, negative=negative)
        return list(self.draw(request, lambda progress: on_step(progress.step, progress.steps)).pictures)
