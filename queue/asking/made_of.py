"""Requests made of a picture: varied, drawn on beyond its edges, enlarged, redrawn in part. Pure but for `new_seed`.

A ControlNet that drew it was shown another picture, so it has no part in them.
"""

from __future__ import annotations

import random
from math import gcd

from ..errors import AsLargeAsCanBe
from ..records import EVERY_SIDE, LONGEST_SIDE, MAX_SEED, ImageRequest, Source, image_request

#: Share of noise that a variation adds.
SUBTLE, STRONG = 0.35, 0.7
#: Grain of sides that a picture is drawn on to, and the finest that may be asked for, in pixels.
GRAIN, FINEST = 64, 16
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
    request: ImageRequest, picture: str, expand: tuple[int, int, int, int], seed: int, *, grow: bool, most: int = 0
) -> ImageRequest:
    """Drawn on beyond its edges by `expand`; with `grow` the delivered picture is larger by as much, as far as it may.

    `most`: pixels that a picture with a side of more than 1024 may have; 0: none may.
    """
    width, height = request.width, request.height
    if grow:
        across, down = 100 + expand[0] + expand[2], 100 + expand[1] + expand[3]
        width = _grown(width, across, height, most)
        height = _grown(height, down, width, most)
    made = Source(use="outpaint", picture=picture, expand=expand, strength=1.0)
    changes = {"seed": seed, "count": 1, "width": width, "height": height, "source": made, "control": ""}
    return request.model_copy(update=changes)


def _grown(side: int, percent: int, other: int, most: int) -> int:
    """A side grown by so much, or as far as can be beside the other one; never smaller than it was."""
    if percent <= 100:
        return side
    wanted = min(LONGEST_SIDE, _side(side * percent / 100))
    if max(wanted, other) > EVERY_SIDE and wanted * other > most:
        # What every model gives, or all the pixels that there may be.
        short = EVERY_SIDE if other <= EVERY_SIDE else 0
        wanted = min(wanted, max(short, most // other // GRAIN * GRAIN))
    return max(side, wanted)


def upscaled(request: ImageRequest, picture: str, index: int, most: int = 0) -> ImageRequest:
    """The same picture, twice as large, or as large as can be; `most` as of `outpainted`.

    Raises:
        AsLargeAsCanBe: it is.
    """
    width, height = request.width, request.height
    # Sizes of exactly this shape: nothing is cut off.
    shared = gcd(width // FINEST, height // FINEST)
    sizes = [(width * k // shared, height * k // shared) for k in range(2 * shared, shared, -1)]
    # Up to 1024 pixels a side every model gives; beyond only as many pixels as may be.
    larger = next(
        (
            each
            for each in sizes
            if max(each) <= EVERY_SIDE or (max(each) <= LONGEST_SIDE and each[0] * each[1] <= most)
        ),
        None,
    )
    if larger is None:
        raise AsLargeAsCanBe(max(width, height))
    # Nothing is added to it, so nothing is redrawn: the worker's upscaler makes it larger.
    kept = Source(use="vary", picture=picture, strength=0.0, seed=layout_seed(request, index))
    width, height = larger
    changes = {
        "seed": request.seeds[index], "count": 1, "width": width, "height": height, "source": kept, "control": "",
    }  # fmt: skip
    return request.model_copy(update=changes)


def redrawn(request: ImageRequest, picture: str, mask: str, prompt: str, seed: int) -> ImageRequest:
    """The picture of that name with what is white in the mask drawn anew from other words.

    Raises:
        InvalidRequest: the prompt is empty or too long.
    """
    source = Source(use="inpaint", picture=picture, mask=mask, strength=1.0)
    given = {**request.model_dump(exclude={"version", "source", "control"}), "prompt": prompt, "parts": ()}
    return image_request(**{**given, "source": source, "seed": seed})


def _side(pixels: float) -> int:
    return max(GRAIN, round(pixels / GRAIN) * GRAIN)


def new_seed() -> int:
    return random.randrange(MAX_SEED + 1)
