"""Cut an even background away: what touches the border in its colour becomes transparent, with soft edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

#: Distances from the background's colour (0 to 1, largest channel): below the first it is background for certain,
#: above the second it is drawing.
GROUND, DRAWING = 0.06, 0.15
#: Width of an edge as a share of the shorter side.
EDGE = 1 / 64
#: Side at which it is found out what hangs together; more costs time and finds nothing else.
COARSE = 128
Floats = NDArray[np.float32]


def cut_out(picture: Image.Image, ground: tuple[int, int, int] | None = None) -> Image.Image:
    """RGB → RGBA of the same size.

    The background is `ground`, or else the commonest colour of the border. Of what resembles it only that is cut
    which hangs together with the border: the white of an eye stays. Edge pixels lose the background's share of their
    colour: C = (P − (1 − α) B) / α. Where the border shows no even colour, everything stays opaque.
    """
    values = np.asarray(picture.convert("RGB"), np.float32) / 255
    colour = _border_colour(values) if ground is None else np.asarray(ground, np.float32) / 255
    if colour is None:
        return picture.convert("RGBA")
    distance = np.abs(values - colour).max(-1)
    # At an edge the drawing's own colour is that of the neighbour farthest from the background.
    reach = 2 * max(1, round(EDGE * min(picture.size))) + 1
    whole = Image.fromarray((distance * 255).round().astype(np.uint8)).filter(ImageFilter.MaxFilter(reach))
    farthest = np.asarray(whole, np.float32) / 255
    alpha = np.clip((distance - GROUND) / np.maximum(farthest - GROUND, DRAWING - GROUND), 0, 1)
    alpha[~_outside(distance < DRAWING, picture.size)] = 1.0
    # An edge's own colour.
    shown = np.clip((values - (1 - alpha[..., None]) * colour) / np.maximum(alpha[..., None], 1e-3), 0, 1)
    values = np.concatenate([shown, alpha[..., None]], -1)
    return Image.fromarray((values * 255).round().astype(np.uint8))


def ground_of(picture: Image.Image) -> tuple[int, int, int] | None:
    """The even colour that a picture is drawn on, sRGB; None where its border shows none."""
    colour = _border_colour(np.asarray(picture.convert("RGB"), np.float32) / 255)
    if colour is None:
        return None
    red, green, blue = (round(float(value) * 255) for value in colour)
    return red, green, blue


def _border_colour(values: Floats) -> Floats | None:
    """The colour that at least half of the border is near to; (3,)."""
    border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    colour = np.median(border, axis=0).astype(np.float32)
    return colour if (np.abs(border - colour).max(-1) < DRAWING).mean() >= 0.5 else None


def _outside(open_: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """What of the open pixels can be reached from the border, with a pixel or two of edge around it."""
    width, height = size
    scale = max(1, -(-max(size) // COARSE))
    small = (-(-width // scale), -(-height // scale))
    coarse = np.asarray(Image.fromarray(open_).convert("L").resize(small, Image.Resampling.BOX)) > 127
    reached = np.zeros_like(coarse)
    reached[0], reached[-1], reached[:, 0], reached[:, -1] = True, True, True, True
    reached &= coarse
    while True:
        grown = _grown(reached) & coarse
        if (grown == reached).all():
            break
        reached = grown
    # The soft edge lies just beyond what is open.
    edged = _grown(_grown(reached))
    return np.asarray(Image.fromarray(edged).convert("L").resize(size, Image.Resampling.BILINEAR)) > 127


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """One pixel more on all four sides."""
    wide = np.pad(mask, 1)
    return mask | wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]
