"""Pictures and masks of any shape on a canvas of another one, without being squashed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .requests import Fit

#: Left, top, right, bottom in pixels.
Box = tuple[int, int, int, int]
Size = tuple[int, int]
Marks = NDArray[np.bool_]


def lay(size: Size, canvas: Size, fit: Fit) -> tuple[Box, Box]:
    """What of a picture of `size` is used, and where on the canvas that goes; both in the middle."""
    scale = (min if fit == "pad" else max)(canvas[0] / size[0], canvas[1] / size[1])
    used = [min(had, max(1, round(limit / scale))) for had, limit in zip(size, canvas, strict=True)]
    place = [min(limit, max(1, round(had * scale))) for had, limit in zip(size, canvas, strict=True)]
    return _middle(used, size), _middle(place, canvas)


def laid_picture(picture: Image.Image, canvas: Size, fit: Fit) -> Image.Image:
    """An RGB picture on the canvas; where it does not reach, its edges are drawn out."""
    used, place = lay(picture.size, canvas, fit)
    part = picture if used == (0, 0, *picture.size) else picture.crop(used)
    inner = resized(part, (place[2] - place[0], place[3] - place[1]))
    if inner.size == canvas:
        return inner
    return Image.fromarray(np.pad(np.asarray(inner), (*_around(place, canvas), (0, 0)), mode="edge"))


def laid_marks(marks: Marks, size: Size, canvas: Size, fit: Fit) -> Marks:
    """(H, W), stretched over a picture of `size`, to (height, width) of the canvas; true beside the picture."""
    used, place = lay(size, canvas, fit)
    part = pooled(marks, size)[used[1] : used[3], used[0] : used[2]]
    inner = pooled(part, (place[2] - place[0], place[3] - place[1]))
    return np.pad(inner, _around(place, canvas), constant_values=True)


def drawn_again(mask: Image.Image) -> Marks:
    """(H, W): where a mask wants the picture drawn again. If it is transparent anywhere, that decides: what was erased,
    as every editor makes it. Otherwise what is white."""
    if mask.has_transparency_data:
        alpha = np.asarray(mask.convert("RGBA").getchannel("A"))
        if alpha.min() < 128:
            return alpha < 128
    return np.asarray(mask.convert("L")) >= 128


def pooled(marks: Marks, size: Size) -> Marks:
    """(H, W) to (height, width): true wherever anything in that place was, so that thin lines survive."""
    for axis, length in enumerate((size[1], size[0])):
        had = marks.shape[axis]
        starts = np.arange(length) * had // length
        marks = np.logical_or.reduceat(marks, starts, axis) if had > length else np.take(marks, starts, axis)
    return marks


def thin(marks: Marks, radius: int) -> Marks:
    """(H, W): what no square of 2 × `radius` + 1 fits into (a morphological opening, by summed areas)."""
    # Beyond the edge of the picture nothing is unmarked.
    return marks & (_sums(_sums(~marks, radius) == 0, radius) == 0)


def resized(picture: Image.Image, size: Size) -> Image.Image:
    return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)


def _sums(marks: Marks, radius: int) -> NDArray[Any]:
    """(H, W): how many are true in the square around each."""
    wide = np.pad(marks, radius).astype(np.int64)
    total = np.pad(wide.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    side = 2 * radius + 1
    return total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]


def _middle(part: Sequence[int], whole: Size) -> Box:
    """The box of that size in the middle of another."""
    left, top = (whole[0] - part[0]) // 2, (whole[1] - part[1]) // 2
    return left, top, left + part[0], top + part[1]


def _around(place: Box, canvas: Size) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows above and below, columns left and right of it."""
    return (place[1], canvas[1] - place[3]), (place[0], canvas[0] - place[2])
