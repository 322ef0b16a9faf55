"""What members send, made into pictures and masks that requests may begin from. Blocking, pure but for that.

Every kind of file that phones and editors write: 16 bits a channel, CMYK, palettes, colour keys, animations, turned by
EXIF. JPEG of any camera is decoded at the size that is wanted, so that it costs no more memory than a small one.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from PIL import Image, ImageOps, UnidentifiedImageError, features
from PIL.JpegImagePlugin import JpegImageFile

from ..errors import InvalidPicture

# numpy is imported where it is needed: the control process starts, and mostly runs, without it.
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Largest file that is looked at, in bytes; Discord lets members attach more.
MAX_UPLOAD = 32 * 1024 * 1024
#: Largest picture that is decoded whole, in pixels: 200 MB of memory.
MAX_PIXELS = 50_000_000
#: Largest JPEG that is decoded scaled down: cameras of 108 megapixels, and of 200 with some cut off.
MAX_SCALED = 180_000_000
#: Sides in pixels: smaller pictures are refused, larger ones are scaled down.
SHORTEST, LONGEST = 4, 1024
#: The shorter side of a panorama is not scaled below this; its longer one is as long as WebP can be.
NARROW, WIDEST = 64, 16_383
#: Largest file that is kept, in bytes.
MAX_KEPT = 4 * 1024 * 1024
#: Read by Pillow without other programs; the first picture of an animation counts.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF")
#: Brands of HEIF files that hold HEVC: no decoder of it has a licence that fits here.
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF = frozenset({b"avif", b"avis"})


def clean(data: bytes) -> bytes:
    """A WebP file of the picture in `data`: upright, without metadata, at most 4 MB and 1024 pixels a side; panoramas
    are longer, so that their shorter side keeps 64.

    Transparency stays; 16 bits a channel become 8. Some tenths of a second.

    Raises:
        InvalidPicture: it cannot be used; says why.
    """
    with _Readable():
        picture = _opened(data)
        with picture:
            return _encoded(_plain(picture, whole=False))


def mask(data: bytes, size: tuple[int, int], *, swapped: bool = False) -> bytes:
    """A PNG of `size`, white where the mask in `data` wants the picture drawn again and black elsewhere.

    Where it has transparency that decides: what was erased is drawn again. Otherwise what is white. It is stretched
    to `size`, and no line of it gets lost by that. `swapped`: the other way round.

    Raises:
        InvalidPicture: it cannot be used, or nothing would be drawn again; says why.
    """
    import numpy as np

    with _Readable():
        picture = _opened(data)
        with picture:
            again = _drawn_again(_plain(picture, whole=True))
    again = pooled(~again if swapped else again, size)
    if not again.any():
        raise InvalidPicture("mask_empty", "the mask has neither white nor erased places: nothing would be drawn again")
    file = io.BytesIO()
    Image.fromarray(again.astype(np.uint8) * 255).save(file, "PNG")
    return file.getvalue()


def pooled(marks: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) to (height, width): true wherever anything in that place was. Pure."""
    import numpy as np

    for axis, length in enumerate((size[1], size[0])):
        had = marks.shape[axis]
        starts = np.arange(length) * had // length
        marks = np.logical_or.reduceat(marks, starts, axis) if had > length else np.take(marks, starts, axis)
    return marks


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height of a file that is kept. Raises: InvalidPicture."""
    with _Readable(), Image.open(io.BytesIO(data), formats=("PNG", "WEBP")) as picture:
        return picture.size


def measured(data: bytes) -> tuple[int, int]:
    """Width and height of a file that somebody sent, by its head alone. Raises: InvalidPicture."""
    with _Readable(), _opened(data) as picture:
        return picture.size


def _opened(data: bytes) -> Image.Image:
    """The first picture of a file, not decoded yet and sure to fit into memory."""
    if len(data) > MAX_UPLOAD:
        raise InvalidPicture("too_large", f"the file has {len(data) // 2**20} MB; at most {MAX_UPLOAD // 2**20} can be")
    brands: set[bytes] = set()
    if data[4:8] == b"ftyp":
        brands = {data[at : at + 4] for at in range(8, min(int.from_bytes(data[:4], "big"), 256), 4)}
    if brands & _HEIC and not brands & _AVIF:
        raise InvalidPicture("heic", "HEIC and HEIF cannot be read here; send it as JPEG, PNG, WebP or AVIF")
    if data.startswith(b"\xff\xd8\xff"):
        # Not by `Image.open`: it warns of every large picture, and takes phones' JPEG for one of several frames.
        picture: Image.Image = JpegImageFile(io.BytesIO(data))
        # A progressive one keeps all of its coefficients while it is decoded.
        limit = MAX_PIXELS if picture.info.get("progressive") else MAX_SCALED
    else:
        known = [name for name in FORMATS if name != "AVIF" or features.check("avif")]
        picture = Image.open(io.BytesIO(data), formats=known)
        limit = MAX_PIXELS
    width, height = picture.size
    if width * height > limit:
        raise _too_many(f"{width:,} × {height:,}")
    if min(width, height) < SHORTEST:
        raise InvalidPicture("too_small", f"the picture has {width} × {height} pixels; each side needs {SHORTEST}")
    picture.seek(0)
    return picture


def _target(size: tuple[int, int]) -> tuple[int, int]:
    """The size at which it is kept."""
    long, short = max(size), min(size)
    factor = min(1.0, max(LONGEST / long, NARROW / short), WIDEST / long)
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _plain(picture: Image.Image, *, whole: bool) -> Image.Image:
    """Upright RGB or RGBA with 8 bits a channel; in the size in which it is kept, or `whole`."""
    if isinstance(picture, JpegImageFile) and (not whole or picture.width * picture.height > MAX_PIXELS):
        # Twice as large as needed: `resize` does the rest better.
        width, height = _target(picture.size)
        picture.draft(picture.mode, (picture.width // 2, picture.height // 2) if whole else (2 * width, 2 * height))
    ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode.startswith("I"):
        shown = _eight_bits(picture)
    else:
        key: Any = picture.info.get("transparency")
        if isinstance(key, tuple):
            # A colour key of 16 bits, where Pillow has made 8 of the colours.
            colours = cast("tuple[int, ...]", key)
            picture.info["transparency"] = tuple(one >> 8 for one in colours) if max(colours) > 255 else colours
        shown = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    if whole or shown.size == _target(shown.size):
        return shown
    return shown.resize(_target(shown.size), Image.Resampling.LANCZOS)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Greyscale of 16 bits, of which Pillow would make white."""
    import numpy as np

    grey = np.asarray(picture).astype(np.int64)
    eight = ((grey.clip(0, 65_535) * 255 + 32_767) // 65_535).astype(np.uint8)
    key = picture.info.get("transparency")
    if not isinstance(key, int):
        return Image.fromarray(eight).convert("RGB")
    alpha = np.where(grey == key, 0, 255).astype(np.uint8)
    return Image.merge("LA", (Image.fromarray(eight), Image.fromarray(alpha))).convert("RGBA")


def _drawn_again(picture: Image.Image) -> NDArray[np.bool_]:
    """(H, W): where a mask wants the picture drawn again."""
    import numpy as np

    if picture.mode == "RGBA":
        alpha = np.asarray(picture.getchannel("A"))
        if alpha.min() < 128:
            return alpha < 128
    return np.asarray(picture.convert("L")) >= 128


def _encoded(picture: Image.Image) -> bytes:
    ways: tuple[Mapping[str, Any], ...] = ({"lossless": True, "quality": 50}, {"quality": 95})
    picture.info.clear()
    for quality in ways:
        file = io.BytesIO()
        picture.save(file, "WEBP", method=2, **quality)
        if file.tell() <= MAX_KEPT:
            return file.getvalue()
    raise InvalidPicture("too_large", "the picture cannot be made small enough")


def _too_many(said: str) -> InvalidPicture:
    return InvalidPicture(
        "pixels", f"the picture has {said} pixels; at most {MAX_PIXELS:,} can be, of a JPEG {MAX_SCALED:,}"
    )


class _Readable:
    """Turns Pillow's ways of saying that a file cannot be read into ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        match error:
            case UnidentifiedImageError():
                raise InvalidPicture("no_picture", f"this is none of {', '.join(FORMATS)}") from None
            case Image.DecompressionBombError() | Image.DecompressionBombWarning():
                raise _too_many("too many") from None
            case InvalidPicture() | MemoryError():
                pass
            case Exception():
                # Decoders tell of damage in whatever way they like: AVIF by RuntimeError, others by their parser's.
                raise InvalidPicture("damaged", f"the picture cannot be read: {type(error).__name__}") from None
            case _:
                pass
