"""A picture as it is downloaded or shown small. Blocking, pure but for that."""

from __future__ import annotations

import io
from typing import Literal

from PIL import Image, ImageFilter

from ..queue.pictures import cut_out, traced

Format = Literal["png", "webp", "svg", "sticker"]
FORMATS: tuple[Format, ...] = ("png", "webp", "svg", "sticker")
KINDS = {"png": "image/png", "webp": "image/webp", "svg": "image/svg+xml", "sticker": "image/png"}
#: Longest side of a thumbnail in pixels.
THUMB = 320
#: A sticker's side in pixels and its largest file in bytes, as Discord takes them.
STICKER_SIDE, STICKER_BYTES = 320, 512 * 1024


def made(data: bytes, wanted: Format, *, metadata: bool) -> bytes:
    """A PNG of the store as a file of that format; without `metadata` nothing says how it was made.

    Only PNG can carry it: text chunks, XMP and the signed statement.
    """
    match wanted:
        case "png":
            return data if metadata else _plain(data, "PNG")
        case "webp":
            return _plain(data, "WEBP")
        case "svg":
            return traced(data)
        case "sticker":
            return cut_out(data, STICKER_SIDE, STICKER_BYTES)


def thumb(data: bytes, *, blurred: bool) -> bytes:
    """A WebP of at most 320 pixels a side; `blurred`: nothing on it can be made out."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
        small = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    small.thumbnail((THUMB, THUMB))
    if blurred:
        small = small.filter(ImageFilter.GaussianBlur(THUMB / 8))
    file = io.BytesIO()
    small.save(file, "WEBP", quality=82, method=3)
    return file.getvalue()


def _plain(data: bytes, kind: str, mode: str | None = None) -> bytes:
    with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
        whole = picture.convert(mode or ("RGBA" if picture.has_transparency_data else "RGB"))
    whole.info.clear()
    file = io.BytesIO()
    whole.save(file, kind, **({"quality": 92, "method": 4} if kind == "WEBP" else {}))
    return file.getvalue()
