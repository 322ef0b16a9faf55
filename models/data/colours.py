"""Colour words: what they look like, which word a colour is called by, and how a drawing takes one on.

Everything happens in OKLab (Björn Ottosson, "A perceptual color space for image processing", 2020), where equal steps
look equal and a change of lightness keeps the hue. `L` lies in [0, 1], chroma C = |(a, b)|, hue h in degrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..common import BACKGROUNDS as BACKGROUNDS
from ..common import COLOURS, WORDS

#: Chroma below which a colour has no hue to the eye.
NEUTRAL = 0.035
#: OKLab: linear sRGB → cone responses, and their cube roots → (L, a, b).
_TO_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
_FROM_LAB = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
_FROM_CONES = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)


def to_oklab(srgb: Tensor) -> Tensor:
    """(B, 3, …) sRGB in [0, 1] → OKLab."""
    linear = torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb.clamp(min=0) + 0.055) / 1.055) ** 2.4)
    # The responses of a colour that a screen shows are never negative.
    return _mix(_TO_LAB, _mix(_TO_CONES, linear).clamp(min=0) ** (1 / 3))


def to_srgb(lab: Tensor) -> Tensor:
    """(B, 3, …) OKLab → sRGB in [0, 1]; what no screen can show is clipped."""
    linear = _mix(_FROM_CONES, _mix(_FROM_LAB, lab) ** 3).clamp(0, 1)
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def names_of(lab: Tensor) -> Tensor:
    """Which of `WORDS` each colour is called by: (B, 3, …) OKLab → (B, …) int64.

    The borders were set between the CSS colours whose names hold one of the words (`darkorange`, `lightpink`).
    """
    lightness, chroma = lab[:, 0], _chroma(lab)[:, 0]
    hue = torch.atan2(lab[:, 2], lab[:, 1]).rad2deg() % 360
    index = {word: place for place, word in enumerate(WORDS)}
    name = torch.full_like(lightness, index["red"], dtype=torch.int64)

    def call(word: str, where: Tensor) -> None:
        name.masked_fill_(where, index[word])

    call("red", (hue >= 5) & (hue < 47))
    call("orange", (hue >= 47) & (hue < 81))
    call("yellow", (hue >= 81) & (hue < 116))
    call("green", (hue >= 116) & (hue < 191))
    call("blue", (hue >= 191) & (hue < 286))
    call("purple", (hue >= 286) & (hue < 340))
    call("pink", (hue >= 340) | (hue < 5))
    # Light reds and light purples are pink; dark or dull oranges and yellows are brown.
    call("pink", ((hue < 36) & (lightness > 0.68) & (chroma < 0.19)) | ((hue >= 318) & (lightness > 0.66)))
    call("red", ((hue >= 353) | (hue < 5)) & (lightness < 0.55))
    call("purple", (hue >= 340) & (hue < 353) & (lightness < 0.5))
    call("brown", (hue >= 35) & (hue < 47) & (lightness < 0.64) & (chroma < 0.135))
    call("brown", (hue >= 28) & (hue < 47) & (lightness < 0.78) & (chroma < 0.085))
    call("brown", (hue >= 20) & (hue < 36) & (lightness < 0.42) & (chroma < 0.1))
    call("brown", (hue >= 47) & (hue < 74) & (lightness < 0.64))
    call("brown", (hue >= 47) & (hue < 74) & (lightness < 0.7) & (chroma < 0.14))
    call("brown", (hue >= 47) & (hue < 88) & (lightness < 0.8) & (chroma < 0.09))
    call("brown", (hue >= 74) & (hue < 92) & (lightness < 0.6))
    call("green", (hue >= 104) & (hue < 116) & (lightness < 0.72))
    # A hue needs more chroma to be seen where it is very light or very dark.
    neutral = chroma < NEUTRAL + 0.06 * (0.5 - lightness).clamp(min=0) / 0.5
    neutral |= (lightness > 0.95) & (chroma < 0.045)
    call("grey", neutral)
    call("white", neutral & (lightness > 0.88))
    call("black", (neutral & (lightness < 0.39)) | (lightness < 0.13))
    return name


@dataclass(frozen=True, slots=True)
class Body:
    """The part of each drawing that gives it its colour: one group of hues, or all greys together."""

    #: Direction of its hue in the (a, b) plane, (B, 2), length 1.
    direction: Tensor
    #: Whether it is the greys, (B,) bool; and whether their dark parts belong to it, as in a black drawing.
    grey: Tensor
    lines: Tensor
    #: Median OKLab of it, (B, 3).
    median: Tensor
    #: Its area ÷ the area of the drawing without outlines, (B,).
    share: Tensor
    #: Share of its area that is called by the same word as the median, (B,).
    pure: Tensor

    def weight(self, lab: Tensor, alpha: Tensor) -> Tensor:
        """How much each pixel belongs to it, (B, 1, S, S) in [0, alpha]; edges are soft."""
        hued, neutral, line = _parts(lab, alpha, self.direction)
        # Pale tints are part of a grey body, or it would come out in patches.
        pale = torch.maximum(neutral, alpha * _smooth(0.1, 0.06, _chroma(lab)))
        lit = torch.where(_spread(self.lines), pale, pale * (1 - line))
        return torch.where(_spread(self.grey), lit, hued)


def body(lab: Tensor, alpha: Tensor) -> Body:
    """Find it: the largest group of one hue, or all greys together where they cover more.

    Args:
        lab: (B, 3, S, S) OKLab.
        alpha: (B, 1, S, S) in [0, 1].
    """
    # A thousand pixels tell as much as four thousand.
    stride = max(1, lab.shape[-1] // 32)
    lab, alpha = lab[:, :, ::stride, ::stride], alpha[:, :, ::stride, ::stride]
    coloured = (alpha * _smooth(NEUTRAL * 0.7, NEUTRAL * 1.6, _chroma(lab))).flatten(1)
    # Area within 40° of each of 36 hues; the true middle of the largest is the mean direction of its colours.
    bins = (torch.atan2(lab[:, 2], lab[:, 1]).rad2deg() % 360 / 10).long().clamp(max=35).flatten(1)
    area = torch.zeros(len(lab), 36, device=lab.device).scatter_add_(1, bins, coloured)
    best = sum(area.roll(turn, 1) for turn in range(-4, 5)).argmax(1, keepdim=True)
    inside = coloured * (((bins - best + 18) % 36 - 18).abs() <= 4)
    direction = functional.normalize((lab[:, 1:].flatten(2) * inside[:, None]).sum(2), dim=1)
    hued, neutral, line = _parts(lab, alpha, direction)
    # Dark pixels are outlines unless they form a mass (what is left after an opening) that outweighs the other greys.
    thick = functional.max_pool2d(1 - functional.max_pool2d(1 - line * neutral, 3, 1, 1), 3, 1, 1)
    lines = thick.sum((1, 2, 3)) > 0.6 * (neutral * (1 - line)).sum((1, 2, 3))
    lit = torch.where(_spread(lines), neutral, neutral * (1 - line))
    grey = lit.sum((1, 2, 3)) > 1.2 * hued.sum((1, 2, 3))
    weight = torch.where(_spread(grey), lit, hued)
    median = _median(lab, weight)
    same = names_of(lab)[:, None] == names_of(median[:, :, None, None])[:, None]
    total = weight.sum((1, 2, 3)).clamp(min=1e-6)
    counted = torch.maximum(alpha * (1 - line), weight).sum((1, 2, 3)).clamp(min=1e-6)
    return Body(direction, grey, lines, median, total / counted, (weight * same).sum((1, 2, 3)) / total)


def recolour(srgb: Tensor, alpha: Tensor, words: Sequence[str]) -> Tensor:
    """Give each drawing the colour of its word: the body's hue and saturation change, its shading stays.

    L' = L₀ + s (L − L_m), C' = C₀ · C / C_m (within [0.6, 1.1]), h' = h₀ for the word's colour (L₀, C₀, h₀) and the
    body's median (L_m, C_m); the slope s is 0.9, or less where the range left above or below L₀ is small.

    Args:
        srgb: (B, 3, S, S) in [0, 1], straight.
        alpha: (B, 1, S, S) in [0, 1].
        words: B of `COLOURS`.

    Returns:
        (B, 3, S, S) sRGB in [0, 1].
    """
    lab = to_oklab(srgb)
    found = body(lab, alpha)
    target, median = anchor(words, lab.device)[:, :, None, None], found.median[:, :, None, None]
    top, middle = target[:, :1], median[:, :1]
    above = ((1 - top) / (1 - middle).clamp(min=0.05)).clamp(max=0.9)
    below = (top / middle.clamp(min=0.05)).clamp(max=0.9)
    delta = lab[:, :1] - middle
    lightness = top + torch.where(delta > 0, above, below) * delta
    # A grey body has no saturation to keep.
    saturation = _chroma(median)
    ratio = torch.where(saturation > NEUTRAL, _chroma(lab) / saturation.clamp(min=1e-4), 1.0).clamp(0.6, 1.1)
    # Colours fade towards white and black, or light parts would leave the gamut and change their hue.
    room = torch.minimum((1 - lightness) / (1 - top).clamp(min=0.05), lightness / top.clamp(min=0.05))
    tinted = torch.cat([lightness, target[:, 1:] * (ratio * room.clamp(0, 1).sqrt())], 1)
    return to_srgb(torch.lerp(lab, tinted, found.weight(lab, alpha) / alpha.clamp(min=1e-3)))


def anchor(words: Sequence[str], device: torch.device | str = "cpu") -> Tensor:
    """OKLab of colour words, (B, 3)."""
    srgb = torch.tensor([COLOURS[word].srgb for word in words], dtype=torch.float32) / 255
    return to_oklab(srgb[:, :, None])[:, :, 0].to(device)


@dataclass(frozen=True, slots=True)
class Looks:
    """What may be said and done about a drawing's colour."""

    #: The word for the colour that it clearly has as drawn, or None.
    natural: str | None
    #: Whether one body carries its colour, so that it can be recoloured as a whole.
    plain: bool


#: Share of a drawing that its body must cover to be recoloured, to be called by its colour, to be called grey.
PLAIN, CLEAR, GREY = 0.65, 0.7, 0.85
#: Share of the body that must be called by the word.
PURE = 0.8


def looks(images: Tensor) -> list[Looks]:
    """Measure drawings: (B, S, S, 4) uint8, straight alpha."""
    pixels = images.permute(0, 3, 1, 2).float() / 255
    found = body(to_oklab(pixels[:, :3]), pixels[:, 3:])
    words = names_of(found.median[:, :, None])[:, 0]
    # Between green and blue, and between purple and pink, people do not agree; beige has no word here.
    hue = torch.atan2(found.median[:, 2], found.median[:, 1]).rad2deg() % 360
    chroma, lightness = _chroma(found.median)[:, 0], found.median[:, 0]
    torn = ((hue > 165) & (hue < 225) | (hue > 330) & (hue < 345)) & (chroma > NEUTRAL)
    torn |= (hue > 30) & (hue < 90) & (lightness > 0.72) & (chroma > NEUTRAL) & (chroma < 0.1)
    # Grey is what is left where nothing else is seen: spots of a colour weigh more beside it.
    limit = torch.where(found.grey, GREY, CLEAR)
    clear = (found.share > limit) & (found.pure > PURE) & ~torn
    return [
        Looks(WORDS[word] if known else None, share > PLAIN)
        for word, known, share in zip(words.tolist(), clear.tolist(), found.share.tolist(), strict=True)
    ]


def looks_of(images: NDArray[np.uint8], places: Sequence[int], batch: int) -> dict[int, Looks]:
    """`looks` of some drawings of a set (N, S, S, 4), by place; `batch` at a time, on which last bits may depend."""
    found: dict[int, Looks] = {}
    for begin in range(0, len(places), batch):
        part = list(places[begin : begin + batch])
        found |= dict(zip(part, looks(torch.from_numpy(images[part])), strict=True))
    return found


def dominant(images: Tensor) -> list[str]:
    """The word for each drawing's dominant colour, its body's median: (B, S, S, 4) uint8, straight alpha."""
    pixels = images.permute(0, 3, 1, 2).float() / 255
    median = body(to_oklab(pixels[:, :3]), pixels[:, 3:]).median
    return [WORDS[word] for word in names_of(median[:, :, None])[:, 0].tolist()]


def _parts(lab: Tensor, alpha: Tensor, direction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each pixel's share in the hues around a direction, in the greys, and in dark lines, (B, 1, S, S)."""
    chroma = _chroma(lab)
    coloured = alpha * _smooth(NEUTRAL * 0.7, NEUTRAL * 1.6, chroma)
    cosine = (lab[:, 1:] * direction[:, :, None, None]).sum(1, keepdim=True) / chroma.clamp(min=1e-4)
    # All of it within 42°, none beyond 62°.
    hued = coloured * _smooth(0.469, 0.743, cosine)
    line = _smooth(0.42, 0.3, lab[:, :1]) * _smooth(0.1, 0.06, chroma)
    return hued, alpha - coloured, line


def _spread(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _mix(matrix: tuple[tuple[float, ...], ...], values: Tensor) -> Tensor:
    weights = torch.tensor(matrix, dtype=values.dtype).to(values.device)
    return (weights @ values.flatten(2)).unflatten(2, values.shape[2:])


def _chroma(lab: Tensor) -> Tensor:
    return (lab[:, 1:2].square() + lab[:, 2:3].square()).sqrt()


def _smooth(low: float, high: float, value: Tensor) -> Tensor:
    """0 at `low`, 1 at `high`, smooth between (Hermite); `low` may be the larger."""
    t = ((value - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def _median(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted median of each channel: (B, C, S, S), (B, 1, S, S) → (B, C)."""
    ordered, order = values.flatten(2).sort(2)
    reached = weight.flatten(2).expand(-1, values.shape[1], -1).gather(2, order).cumsum(2)
    place = (reached < reached[:, :, -1:] / 2).sum(2, keepdim=True).clamp(max=ordered.shape[2] - 1)
    return ordered.gather(2, place)[:, :, 0]
