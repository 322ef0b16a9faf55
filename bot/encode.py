"""Making pictures small enough for Discord: PNG → WebP → JPEG → smaller JPEG. Blocking: run it in a thread.

Pillow is imported when first needed, so that the bot starts without it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

#: Discord's limit for one request with all its files, less what the rest of the request needs.
REQUEST_LIMIT = 24 * 2**20
#: No picture is made smaller than this side, in pixels.
LEAST_SIDE = 64


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


def ladder(pictures: tuple[bytes, ...]) -> Iterator[Encoded]:
    """The same pictures, ever smaller: as they are, then lossy, then scaled down. Lazy: each step costs time."""
    yield Encoded("PNG", ".png", pictures)
    yield _again(pictures, "WebP", ".webp", quality=90)
    yield _again(pictures, "JPEG", ".jpg", quality=85)
    for divisor in (2, 4, 8):
        smaller = _again(pictures, "JPEG", ".jpg", quality=80, divisor=divisor)
        if smaller.files:
            yield smaller


def next_fitting(steps: Iterable[Encoded], file_limit: int) -> Encoded | None:
    """The next step of a ladder that fits, or None at its end."""
    return next((step for step in steps if step.fits(file_limit)), None)


def _again(pictures: tuple[bytes, ...], name: str, suffix: str, *, quality: int, divisor: int = 1) -> Encoded:
    """Every picture encoded anew; no files at all when one would become smaller than `LEAST_SIDE`."""
    files: list[bytes] = []
    for data in pictures:
        picture = _opened(data)
        width, height = picture.width // divisor, picture.height // divisor
        if divisor > 1 and min(width, height) < LEAST_SIDE:
            return Encoded(name, suffix, ())
        if divisor > 1:
            picture = picture.resize((width, height))
        buffer = io.BytesIO()
        picture.save(buffer, name, quality=quality)
        files.append(buffer.getvalue())
    return Encoded(name, suffix, tuple(files))


def _opened(data: bytes) -> Image:
    from PIL import Image

    return Image.open(io.BytesIO(data)).convert("RGB")
