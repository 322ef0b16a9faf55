"""Draw one SVG text or picture file as a square of straight-alpha pixels."""

from __future__ import annotations

import io
import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, repeat
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ..errors import DataError

#: Drawings given to the processes at a time; bounds the memory.
BATCH = 256
#: A picture with less of its area visible counts as blank.
BLANK = 0.02
#: Free border around a trimmed drawing, as a share of its longer side.
BORDER = 0.04
#: Drawings of large sheets are drawn again larger where they fill little of it, up to this factor.
LARGEST_ZOOM = 6.0


@dataclass(frozen=True, slots=True)
class How:
    """How a source is rasterised."""

    size: int
    #: Cut to what is visible, plus `BORDER`.
    trim: bool = False
    #: Cut to a square from the middle instead of padding.
    crop: bool = False
    #: Pixel art: enlarged by whole numbers, without smoothing.
    pixel_art: bool = False


def rasterise(source: str | Path, size: int, how: How | None = None) -> NDArray[np.uint8] | None:
    """Draw one SVG text or picture file as (size, size, 4) with straight alpha, or None where it is blank or broken.

    Drawn at twice the size and box-filtered; colours are premultiplied while resizing, so that the invisible
    colour of transparent pixels does not bleed into edges.
    """
    how = how or How(size)
    try:
        picture = _open(source, size)
        if how.trim:
            picture = _trimmed(picture, source, size)
    except (ValueError, OSError, RuntimeError, SyntaxError, Image.DecompressionBombError):
        return None
    pixels = np.asarray(fit(picture, size, pixel_art=how.pixel_art, crop=how.crop))
    if (pixels[..., 3] > 127).mean() < BLANK:
        return None
    return pixels


@contextmanager
def drawing_pool(processes: int | None = None) -> Iterator[ProcessPoolExecutor | None]:
    """Processes that draw, one a core unless told; they end with their parent, even where it is killed.

    None where `processes` is 0: then this process draws.
    """
    if processes == 0:
        yield None
        return
    # Spawned, not forked: a parent that has trained before has threads, whose locks a fork would copy as they are.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes or os.cpu_count(), mp_context=context, initializer=_end_with_parent) as pool:
        yield pool


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def draw_all(
    arts: Sequence[str | Path], how: How, pool: ProcessPoolExecutor | None
) -> Iterator[NDArray[np.uint8] | None]:
    """`rasterise` for many, on all processes of the pool, in their order and without holding them all.

    Raises:
        DataError: a drawing ended the process that drew it.
    """
    left = iter(arts)
    while batch := list(islice(left, BATCH)):
        try:
            yield from pool.map(_draw, batch, repeat(how), chunksize=16) if pool else map(_draw, batch, repeat(how))
        except BrokenProcessPool:
            files = next((art.name for art in batch if isinstance(art, Path)), "SVG texts")
            raise DataError(
                f"A drawing ended the process that drew it (one of {len(batch)}, from {files} on). "
                "Run the same command again, or leave its source out."
            ) from None


def _draw(art: str | Path, how: How) -> NDArray[np.uint8] | None:
    return rasterise(art, how.size, how)


def fit(picture: Image.Image, size: int, *, pixel_art: bool = False, crop: bool = False) -> Image.Image:
    """Make an RGBA picture a square of `size`: padded with clear pixels, or cut to its middle where `crop`."""
    side = min(picture.size) if crop else max(picture.size)
    square = Image.new("RGBA", (side, side))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    if pixel_art and side < size:
        square = square.resize((side * (size // side),) * 2, Image.Resampling.NEAREST)
        if square.width < size:
            whole = Image.new("RGBA", (size, size))
            whole.paste(square, ((size - square.width) // 2,) * 2)
            return whole
    # "RGBa" is Pillow's premultiplied mode. Enlarging by box would show blocks.
    filtered = Image.Resampling.BOX if square.width >= size else Image.Resampling.BICUBIC
    return square.convert("RGBa").resize((size, size), filtered).convert("RGBA")


def _open(source: str | Path, size: int, zoom: float = 1.0) -> Image.Image:
    if isinstance(source, Path):
        with Image.open(source) as picture:
            # Cameras store the turn apart.
            return ImageOps.exif_transpose(picture).convert("RGBA")
    side = round(2 * size * zoom)
    # dpi=96: the default 0 rejects pt and mm sizes. No system fonts: text would differ between machines.
    png = resvg_py.svg_to_bytes(svg_string=source, width=side, height=side, dpi=96, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")


def _trimmed(picture: Image.Image, source: str | Path, size: int) -> Image.Image:
    box = _visible(picture)
    if box is None:
        return picture
    zoom = min(LARGEST_ZOOM, max(picture.size) / max(box[2] - box[0], box[3] - box[1]))
    if isinstance(source, str) and zoom > 1.2:
        picture = _open(source, size, zoom)
        box = _visible(picture) or box
    margin = round(BORDER * max(box[2] - box[0], box[3] - box[1]))
    return picture.crop((box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin))


def _visible(picture: Image.Image) -> tuple[int, int, int, int] | None:
    """The box of what can be seen at all."""
    return picture.getchannel("A").point(lambda alpha: 255 * (alpha > 8)).getbbox()
