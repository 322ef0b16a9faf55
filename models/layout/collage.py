"""Things that were drawn one by one, set out in one picture on the ground that they were drawn on.

Layout first, then each box by itself, is how LLM-grounded Diffusion (2305.13655, sec. 3) makes several things come out
right; it denoises the whole once more, which these small models do worse than nothing (docs/training-log.md, 24).
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from ..data.colours import BACKGROUNDS
from ..serving.cutout import cut_out, ground_of
from .places import Place, drawings, places
from .words import Layout

#: Channels from which a ground is white: nobody asked for nearly white.
WHITE = 236
#: Opacity below which a pixel does not count for how large a thing is.
SEEN = 24


def collage(
    drawn: Sequence[Image.Image],
    laid: Sequence[Place],
    size: tuple[int, int],
    *,
    ground: Sequence[str] = (),
    transparent: bool = False,
) -> Image.Image:
    """RGB of `size`, or RGBA with nothing behind the things; `Place.drawing` is the number in `drawn` (RGB).

    `ground` as `Layout.ground`.
    """
    things = [_thing(each) for each in drawn]
    picture = _behind(drawn, size, ground)
    if transparent:
        picture.putalpha(0)
    unit = min(size)
    for place in laid:
        thing = things[place.drawing]
        if thing is None:
            continue
        scale = place.side * unit / max(thing.size)
        width, height = (max(1, round(length * scale)) for length in thing.size)
        # Alpha goes along, so that edges keep their own colour.
        scaled = thing.convert("RGBa").resize((width, height), Image.Resampling.LANCZOS).convert("RGBA")
        left, top = round(place.x * unit - width / 2), round(place.y * unit - height / 2)
        at = (min(max(left, 0), max(0, size[0] - width)), min(max(top, 0), max(0, size[1] - height)))
        picture.alpha_composite(scaled, at)
    return picture if transparent else picture.convert("RGB")


def set_out(
    layout: Layout,
    drawn: Sequence[Image.Image],
    seeds: Sequence[int],
    size: tuple[int, int],
    *,
    transparent: bool = False,
) -> list[Image.Image]:
    """One picture for each seed, out of the drawings of the first, then those of the next."""
    each = len(drawings(layout))
    laid = [places(layout, size[0] / size[1], seed) for seed in seeds]
    return [
        collage(drawn[k * each : (k + 1) * each], one, size, ground=layout.ground, transparent=transparent)
        for k, one in enumerate(laid)
    ]


def _behind(drawn: Sequence[Image.Image], size: tuple[int, int], words: Sequence[str]) -> Image.Image:
    """RGBA: the colours of those words as training showed them, or else what the things were drawn on."""
    if len(words) == 2:
        top, bottom = (Image.new("RGB", size, BACKGROUNDS[word][1]) for word in words)
        return Image.composite(bottom, top, Image.linear_gradient("L").resize(size)).convert("RGBA")
    colours = [each for each in map(ground_of, drawn) if each is not None]
    colour = BACKGROUNDS[words[0]][1] if words else colours[0] if colours else (255, 255, 255)
    return Image.new("RGBA", size, colour if min(colour) < WHITE else (255, 255, 255))


def _thing(drawn: Image.Image) -> Image.Image | None:
    """What is drawn, cut out and without room around it; None where there is nothing."""
    whole = cut_out(drawn)
    box = whole.getchannel("A").point(lambda value: 255 if value >= SEEN else 0).getbbox()
    return whole.crop(box) if box else None
