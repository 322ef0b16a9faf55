"""Requests made of a picture: varied, drawn on beyond its edges, enlarged. Pure but for `new_seed`.

A ControlNet that drew it was shown another picture, so it has no part in them.
"""

from __future__ import annotations

import random

from ...queue.records import MAX_SEED, ImageRequest, Source
from ..errors import Refused

#: Share of noise that a variation adds.
SUBTLE, STRONG = 0.35, 0.7
#: Longest side that pictures are enlarged to, in pixels, and the grain of sides.
LONGEST, GRAIN = 1024, 64
#: Percent of a side by which a picture is drawn on.
PAN = 50


def varied(request: ImageRequest, picture: str, index: int, strength: float, seed: int) -> ImageRequest:
    """The picture of that name and number, noised and drawn again."""
    made = Source(use="vary", picture=picture, strength=strength, seed=layout_seed(request, index))
    return request.model_copy(update={"seed": seed, "source": made, "control": ""})


def layout_seed(request: ImageRequest, index: int) -> int | None:
    """The seed by which the things of that picture were set out, if they were; variations keep it."""
    return request.seeds[index] if request.source is None else request.source.seed


def outpainted(
    request: ImageRequest, picture: str, expand: tuple[int, int, int, int], seed: int, *, grow: bool
) -> ImageRequest:
    """Drawn on beyond its edges by `expand`; with `grow` the delivered picture is larger by as much."""
    width, height = request.width, request.height
    if grow:
        # One that was drawn larger stays as large.
        longest = max(LONGEST, width, height)
        width = _side(width * (100 + expand[0] + expand[2]) / 100, longest)
        height = _side(height * (100 + expand[1] + expand[3]) / 100, longest)
    made = Source(use="outpaint", picture=picture, expand=expand, strength=1.0)
    changes = {"seed": seed, "count": 1, "width": width, "height": height, "source": made, "control": ""}
    return request.model_copy(update=changes)


def upscaled(request: ImageRequest, picture: str, index: int) -> ImageRequest:
    """The same picture, twice as large.

    Raises:
        Refused: it is as large as can be.
    """
    width, height = _side(request.width * 2), _side(request.height * 2)
    if max(request.width, request.height) * 2 > LONGEST:
        raise Refused("button.largest", limit=LONGEST)
    # Nothing is added to it, so nothing is redrawn: the worker's upscaler makes it larger.
    kept = Source(use="vary", picture=picture, strength=0.0, seed=layout_seed(request, index))
    changes = {
        "seed": request.seeds[index], "count": 1, "width": width, "height": height, "source": kept, "control": "",
    }  # fmt: skip
    return request.model_copy(update=changes)


def _side(pixels: float, longest: int = LONGEST) -> int:
    return max(GRAIN, min(longest, round(pixels / GRAIN) * GRAIN))


def new_seed() -> int:
    return random.randrange(MAX_SEED + 1)
