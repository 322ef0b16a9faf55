"""What the engine is asked for, and what it gives back. Frozen records; no torch, no jobs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from PIL import Image

Use = Literal["vary", "inpaint", "outpaint"]
Fit = Literal["crop", "pad"]


@dataclass(frozen=True, slots=True)
class Source:
    """A picture to begin from."""

    picture: Image.Image
    #: `vary`: noised by `strength` and drawn again. `inpaint`: drawn again where `mask` is erased or white. `outpaint`:
    #: drawn on beyond its edges.
    use: Use = "vary"
    mask: Image.Image | None = None
    #: Share of the noise that is added: 0 keeps the picture, 1 forgets it.
    strength: float = 0.6
    #: Left, top, right, bottom in percent of the picture's sides.
    expand: tuple[int, int, int, int] = (0, 0, 0, 0)
    #: Of a picture to `vary` that the engine drew: the seed by which its things were set out.
    seed: int | None = None
    #: Into another shape: `crop` cuts off what is too much, `pad` keeps all of it and fills up by its edges.
    fit: Fit = "crop"
    #: Of a picture to `vary`: read as a prompt where the model has an IP-Adapter, counting so much beside the words
    #: (0 to 1); None: begun from in any case.
    scale: float | None = None


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """One request: as many pictures as seeds."""

    prompt: str
    seeds: tuple[int, ...]
    steps: int
    #: Classifier-free guidance scale; 1 means none.
    guidance: float
    #: Delivered size in pixels.
    width: int
    height: int
    negative: str = ""
    #: (text, weight) in place of the prompt; negative weights push away.
    parts: tuple[tuple[str, float], ...] = ()
    style: str = ""
    #: Drawn as one picture, whatever things it lists.
    raw: bool = False
    #: Spread of the first noise between the pictures in percent; 0: each has its own.
    chaos: int = 0
    #: Percent of the steps after which drawing ends.
    stop: int = 100
    tile: bool = False
    draft: bool = False
    transparent: bool = False
    #: One of `samplers.SAMPLERS`; empty: the model's own.
    sampler: str = ""
    adapters: tuple[str, ...] = ()
    #: Name of a ControlNet in the worker's folder, which is shown the picture of `source`; empty: none is.
    control: str = ""
    source: Source | None = None
    #: Of each drawing of each picture: ids of the bank's drawings, in place of those that the prompt and seed choose.
    references: tuple[tuple[str, ...], ...] = ()
    #: Name of the model that shall draw it, where there are several; empty: the first.
    model: str = ""
    #: Whose it is: members share the engine.
    member: str = ""
    #: Seconds from now after which nobody waits any more.
    seconds: float = math.inf


@dataclass(frozen=True, slots=True)
class Progress:
    """A job after one of its steps: that of its slowest picture."""

    step: int
    steps: int
    #: JPEG of the grid as it stands, or None.
    preview: bytes | None = None


@dataclass(frozen=True, slots=True)
class RenderResult:
    """What came of a request."""

    #: In the order of the seeds; RGB, or RGBA where transparency was asked for.
    pictures: tuple[Image.Image, ...]
    #: How they were made: enough, with the request, to make them again.
    about: Mapping[str, Any] = field(default_factory=lambda: dict[str, Any]())
    #: Time of the device that they took, shared out by rows where others were drawn with them.
    seconds: float = 0.0


#: Called in the engine's thread; must not block, and what it raises is lost.
OnProgress = Callable[[Progress], None]


def no_progress(_: Progress) -> None:
    """For those who do not look."""
