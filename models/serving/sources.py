"""Pictures that a request begins from: varied, drawn again in part, or drawn on beyond their edges.

One canvas of the delivered size, what of it is drawn again, and how much noise it begins with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from ..errors import Unfit
from .fitting import drawn_again, laid_marks, laid_picture, resized, thin
from .requests import Source

#: Share of the shorter side over which old and new blend into each other.
SOFT = 1 / 64
#: Noise that the ground beyond a picture's edge gets before it is drawn: with all of it the model draws what was asked
#: for once more, around the picture as in a frame; with little it leaves a plain ground as it is.
PLAIN_GROUND, OTHER_GROUND = 0.4, 0.8
#: Share of an edge's pixels, and how far from its middle colour each may be (of 255), for a ground to be plain.
PLAIN_SHARE, PLAIN_NEAR = 0.7, 24
#: Share of a picture's shorter side over which its ground passes into the one beyond.
FADE = 1 / 12


#: A picture's pixels, (H, W, 3).
Array = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class Canvas:
    """The picture begun from, at the delivered size."""

    picture: Image.Image
    #: Greyscale, white where it is drawn again; None for everywhere.
    mask: Image.Image | None
    strength: float


def canvas_of(source: Source, width: int, height: int) -> Canvas:
    """Lay a source out for a picture of `width` × `height`.

    Raises:
        Unfit: inpainting without a mask, or nothing to draw.
    """
    picture = _opaque(source.picture)
    if source.use != "outpaint":
        size = (width, height)
        laid = laid_picture(picture, size, source.fit)
        if source.use == "vary":
            return Canvas(laid, None, source.strength)
        if source.mask is None:
            raise Unfit("Inpainting needs a mask: erased or white where the picture shall be drawn again.")
        again = laid_marks(drawn_again(source.mask), picture.size, size, source.fit)
        if not again.any():
            raise Unfit("The mask has nothing erased and no white in it: nothing would be drawn again.")
        return Canvas(laid, Image.fromarray(again.astype(np.uint8) * 255), source.strength)
    left, top, right, bottom = source.expand
    if not any(source.expand):
        raise Unfit("Outpainting needs a side to go beyond: expand is 0 on all of them.")
    # Where the old picture comes to lie.
    box = (
        round(width * left / (100 + left + right)),
        round(height * top / (100 + top + bottom)),
        width - round(width * right / (100 + left + right)),
        height - round(height * bottom / (100 + top + bottom)),
    )
    inner = np.asarray(resized(picture, (box[2] - box[0], box[3] - box[1])))
    around = ((box[1], height - box[3]), (box[0], width - box[2]), (0, 0))
    mask = Image.new("L", (width, height), 255)
    mask.paste(0, box)
    if _plain(inner, source.expand):
        return Canvas(_on_plain_ground(inner, around), mask, PLAIN_GROUND)
    return Canvas(Image.fromarray(np.pad(inner, around, mode="edge")), mask, OTHER_GROUND)


def _edges(inner: Array, expand: tuple[int, int, int, int]) -> list[Array]:
    """The lines of pixels, (n, 3), along the sides beyond which is drawn: left, top, right, bottom."""
    lines = (inner[:, 0], inner[0], inner[:, -1], inner[-1])
    return [line for line, percent in zip(lines, expand, strict=True) if percent]


def _plain(inner: Array, expand: tuple[int, int, int, int]) -> bool:
    """Whether what lies along those sides is a ground of one colour, give or take what touches it."""
    line = np.concatenate(_edges(inner, expand)).astype(int)
    off = np.abs(line - np.median(line, axis=0)).max(axis=1)
    return bool((off <= PLAIN_NEAR).mean() >= PLAIN_SHARE)


def _faded(inner: Array, ground: Array, around: tuple[tuple[int, int], ...]) -> Array:
    """The picture, its own ground passing into that colour towards the sides beyond which is drawn.

    A drawn ground is never quite even, and where it ended its edge would be seen. Things are left as they are.
    """
    height, width = inner.shape[:2]
    band = max(1, round(min(height, width) * FADE))
    along = [np.arange(length, dtype=np.float32) for length in (height, width)]
    kept = np.ones((height, width), np.float32)
    for axis, places in enumerate(along):
        for far, pixels_beyond in zip((places, places[::-1]), around[axis], strict=True):
            if pixels_beyond:
                ramp = np.clip(far / band, 0, 1)
                kept = np.minimum(kept, ramp[:, None] if axis == 0 else ramp[None, :])
    off = np.abs(inner.astype(np.float32) - ground).max(axis=2)
    # Wholly the thing's own from twice the distance on: no hard rim between thing and ground.
    kept = np.maximum(kept, np.clip(off / PLAIN_NEAR - 1, 0, 1))[..., None]
    return (ground + kept * (inner.astype(np.float32) - ground)).round().astype(np.uint8)


def _on_plain_ground(inner: Array, around: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]) -> Image.Image:
    """The picture on the colour of its ground: what touches an edge is not drawn out into a stripe."""
    lines = np.concatenate((inner[:, 0], inner[0], inner[:, -1], inner[-1]))
    ground = np.median(lines, axis=0).astype(np.uint8)
    height, width = inner.shape[0] + sum(around[0]), inner.shape[1] + sum(around[1])
    inner = _faded(inner, ground, around)
    whole = np.broadcast_to(ground, (height, width, 3)).copy()
    whole[around[0][0] : around[0][0] + inner.shape[0], around[1][0] : around[1][0] + inner.shape[1]] = inner
    return Image.fromarray(whole)


def pixels(picture: Image.Image, size: tuple[int, int]) -> Tensor:
    """A picture as (1, 3, H, W) in [-1, 1] at the size the model draws at."""
    values = torch.from_numpy(np.array(picture.resize(size, Image.Resampling.LANCZOS)))
    return values.permute(2, 0, 1)[None].float() / 127.5 - 1


def latent_mask(mask: Image.Image, height: int, width: int) -> Tensor:
    """(1, 1, h, w): 1 for each latent cell that any white falls into."""
    values = torch.from_numpy(np.array(mask))[None, None].float() / 255
    return (torch.nn.functional.adaptive_max_pool2d(values, (height, width)) > 0.5).float()


def blend(old: Image.Image, new: Image.Image, mask: Image.Image) -> Image.Image:
    """`new` where the mask is white, soft inside its edge; where it is black `old` stays, to the bit."""
    radius = max(1.0, min(mask.size) * SOFT)
    soft = mask.filter(ImageFilter.GaussianBlur(radius))
    # Twice the part above a half: 0 from the edge outwards, 1 well inside.
    inside = np.clip(2 * (np.asarray(soft, np.float32) - 127.5), 0, 255)
    white = np.asarray(mask) != 0
    # What is too thin for a soft edge would be all edge, and never be drawn.
    inside[thin(white, math.ceil(radius))] = 255
    inside[~white] = 0
    return Image.composite(new, old, Image.fromarray(inside.round().astype(np.uint8)))


def _opaque(picture: Image.Image) -> Image.Image:
    """On white, as the models learnt transparency."""
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB")
    whole = picture.convert("RGBA")
    ground = Image.new("RGBA", whole.size, "white")
    return Image.alpha_composite(ground, whole).convert("RGB")
