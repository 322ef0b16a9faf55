"""Things that were drawn one by one, set out in one picture on the ground that they were drawn on.

Layout first, then each box by itself, is how LLM-grounded Diffusion (2305.13655, sec. 3) makes several things come out
right; it denoises the whole once more, which these small models do worse than nothing (docs/training-log.md, 24).
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from ..common import BACKGROUNDS, cut_out, ground_of
from .places import Arrangement, Place, drawings, places

#: Channels from which a ground is white: nobody asked for nearly white.
WHITE = 236
#: Room around a thing that is drawn by itself, as a share of its side.
MARGIN = 0.05
LANCZOS = Image.Resampling.LANCZOS
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
    """RGB of `size`, or RGBA with nothing behind the things; `Place.drawing` is the number in `drawn`: RGB, which is
    cut out, or RGBA with nothing behind the thing.

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
        scaled = thing.convert("RGBa").resize((width, height), LANCZOS).convert("RGBA")
        left, top = round(place.x * unit - width / 2), round(place.y * unit - height / 2)
        at = (min(max(left, 0), max(0, size[0] - width)), min(max(top, 0), max(0, size[1] - height)))
        picture.alpha_composite(scaled, at)
    return picture if transparent else picture.convert("RGB")


def set_out(
    arrangement: Arrangement, drawn: Sequence[Image.Image], size: tuple[int, int], *, transparent: bool = False
) -> list[Image.Image]:
    """The pictures, out of the drawings of the first, then those of the next."""
    layout = arrangement.layout
    each = len(drawings(layout))
    laid = [places(layout, size[0] / size[1], seed) for seed in arrangement.seeds]
    return [
        collage(drawn[k * each : (k + 1) * each], one, size, ground=layout.ground, transparent=transparent)
        for k, one in enumerate(laid)
    ]


def taken_apart(picture: Image.Image, laid: Sequence[Place], side: int) -> list[Image.Image]:
    """The other way: each drawing of a picture that was set out so, RGB of that side on white, its thing as a model
    draws one by itself. Where a drawing lies several times, its first place is taken.
    """
    unit = min(picture.size)
    found: dict[int, Image.Image] = {}
    for place in laid:
        if place.drawing in found:
            continue
        half = place.side * unit / 2
        box = [place.x * unit - half, place.y * unit - half, place.x * unit + half, place.y * unit + half]
        thing = cut_out(_margined(picture.crop(tuple(round(edge) for edge in box))))
        white = Image.new("RGBA", thing.size, "white")
        found[place.drawing] = Image.alpha_composite(white, thing).convert("RGB").resize((side, side), LANCZOS)
    return [found[number] for number in sorted(found)]


def _margined(thing: Image.Image) -> Image.Image:
    """With some of its ground around it: it touches the edges of its place, and is no border."""
    colour = thing.convert("RGB").getpixel((0, 0))
    edge = max(1, round(MARGIN * thing.width))
    wide = Image.new("RGB", (thing.width + 2 * edge, thing.height + 2 * edge), colour)
    wide.paste(thing.convert("RGB"), (edge, edge))
    return wide


def _behind(drawn: Sequence[Image.Image], size: tuple[int, int], words: Sequence[str]) -> Image.Image:
    """RGBA: the colours of those words as training showed them, or else what the things were drawn on."""
    if len(words) == 2:
        top, bottom = (Image.new("RGB", size, BACKGROUNDS[word][1]) for word in words)
        return Image.composite(bottom, top, Image.linear_gradient("L").resize(size)).convert("RGBA")
    colours = [each for one in drawn if one.mode != "RGBA" and (each := ground_of(one)) is not None]
    colour = BACKGROUNDS[words[0]][1] if words else colours[0] if colours else (255, 255, 255)
    return Image.new("RGBA", size, colour if min(colour) < WHITE else (255, 255, 255))


def _thing(drawn: Image.Image) -> Image.Image | None:
    """What is drawn, cut out where it has no alpha, and without room around it; None where there is nothing."""
    whole = drawn if drawn.mode == "RGBA" else cut_out(drawn)
    box = whole.getchannel("A").point(lambda value: 255 if value >= SEEN else 0).getbbox()
    return whole.crop(box) if box else None
