"""Making pictures small enough for Discord: PNG → packed PNG → WebP → JPEG → smaller JPEG; and one file of several.

Blocking: run it in a thread. Pillow is imported when first needed, so that the bot starts without it.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

#: Discord's limit for one request with all its files, less what the rest of the request needs.
REQUEST_LIMIT = 24 * 2**20
#: No picture is made smaller than this side, in pixels.
LEAST_SIDE = 64
#: Name of the text of a PNG that holds its XMP record.
XMP = "XML:com.adobe.xmp"
#: Pixels between the pictures of a grid.
GAP = 4


@dataclass(frozen=True, slots=True)
class Encoded:
    """All pictures of one answer in one format."""

    #: As members know it: `PNG`, `WebP`, `JPEG`.
    format: str
    #: File name ending with its dot.
    suffix: str
    files: tuple[bytes, ...]

    def fits(self, file_limit: int) -> bool:
        """Whether each file is at most `file_limit` bytes and all together fit into one request."""
        return all(len(file) <= file_limit for file in self.files) and sum(map(len, self.files)) <= REQUEST_LIMIT


class Ladder(Iterator[Encoded]):
    """The same pictures, ever smaller: as they are, packed harder, lossy, scaled down. Lazy: each step costs time."""

    def __init__(self, pictures: tuple[bytes, ...]) -> None:
        #: The first step, which costs nothing; None once it was taken.
        self.free: Encoded | None = Encoded("PNG", ".png", pictures)
        self._steps = _steps(pictures)

    def __next__(self) -> Encoded:
        self.free = None
        return next(self._steps)


def ladder(pictures: tuple[bytes, ...]) -> Ladder:
    return Ladder(pictures)


async def fitting(steps: Ladder, file_limit: int) -> Encoded | None:
    """`next_fitting`, in a thread unless the pictures fit as they are."""
    if steps.free is not None and steps.free.fits(file_limit):
        return next(steps)
    return await asyncio.to_thread(next_fitting, steps, file_limit)


def _steps(pictures: tuple[bytes, ...]) -> Iterator[Encoded]:
    yield Encoded("PNG", ".png", pictures)
    yield _again(pictures, "PNG", ".png", optimize=True)
    yield _again(pictures, "WebP", ".webp", quality=90)
    yield _again(pictures, "JPEG", ".jpg", quality=85)
    for divisor in (2, 4, 8):
        smaller = _again(pictures, "JPEG", ".jpg", divisor=divisor, quality=80)
        if smaller.files:
            yield smaller


def next_fitting(steps: Iterable[Encoded], file_limit: int) -> Encoded | None:
    """The next step of a ladder that fits, or None at its end."""
    return next((step for step in steps if step.fits(file_limit)), None)


def grid(pictures: Sequence[bytes]) -> bytes:
    """A PNG of up to four pictures of one size, two in a row."""
    from PIL import Image

    opened = [Image.open(io.BytesIO(data)) for data in pictures]
    alpha = any(picture.mode == "RGBA" for picture in opened)
    width, height = opened[0].size
    rows = (len(opened) + 1) // 2
    canvas = Image.new("RGBA", (2 * width + GAP, rows * height + (rows - 1) * GAP), (0, 0, 0, 0))
    for number, picture in enumerate(opened):
        place = (number % 2 * (width + GAP), number // 2 * (height + GAP))
        canvas.paste(picture.convert("RGBA"), place)
    buffer = io.BytesIO()
    texts = _texts(opened[0]) | _joined("Seed", [_texts(picture) for picture in opened])
    gaps = alpha or len(opened) % 2 == 1
    (canvas if gaps else _on_white(canvas)).save(buffer, "PNG", **_notes("PNG", texts))
    return buffer.getvalue()


def _again(pictures: tuple[bytes, ...], name: str, suffix: str, *, divisor: int = 1, **options: Any) -> Encoded:
    """Every picture encoded anew; no files at all when one would become smaller than `LEAST_SIDE`."""
    files: list[bytes] = []
    for data in pictures:
        picture, texts = _opened(data)
        width, height = picture.width // divisor, picture.height // divisor
        if divisor > 1 and min(width, height) < LEAST_SIDE:
            return Encoded(name, suffix, ())
        if name == "JPEG":
            picture = _on_white(picture)
        if divisor > 1:
            picture = picture.resize((width, height))
        buffer = io.BytesIO()
        picture.save(buffer, name, **options, **_notes(name, texts))
        files.append(buffer.getvalue())
    return Encoded(name, suffix, tuple(files))


def _opened(data: bytes) -> tuple[Image, dict[str, str]]:
    from PIL import Image

    picture = Image.open(io.BytesIO(data))
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB"), _texts(picture)


def _texts(picture: Image) -> dict[str, str]:
    """What a PNG says about itself: that it was made by a machine, by which, of which seed."""
    found: dict[str, str] = getattr(picture, "text", {})
    return {name: str(value) for name, value in found.items()}


def _joined(name: str, every: Sequence[dict[str, str]]) -> dict[str, str]:
    values = [texts[name] for texts in every if name in texts]
    return {name: ", ".join(values)} if values else {}


def _notes(name: str, texts: dict[str, str]) -> dict[str, Any]:
    """The same for another file: as texts in a PNG; elsewhere at least the XMP record, which says what it is."""
    from PIL.PngImagePlugin import PngInfo

    if name != "PNG":
        return {"xmp": texts[XMP].encode()} if XMP in texts else {}
    notes = PngInfo()
    for key, value in texts.items():
        notes.add_itxt(key, value)
    return {"pnginfo": notes}


def _on_white(picture: Image) -> Image:
    """JPEG knows no transparency, and black is what it would become."""
    from PIL import Image

    if picture.mode != "RGBA":
        return picture.convert("RGB")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")
