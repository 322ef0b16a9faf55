"""What a file says about where it comes from, for /verify and `daguerre verify`. Files of strangers, never trusted."""

from __future__ import annotations

import asyncio
import io
import warnings
from typing import TYPE_CHECKING

from ..queue.moderation import Origin

if TYPE_CHECKING:
    from PIL.Image import Image

#: Longest side and number of pixels that are looked at: larger files are refused before they are unpacked.
LONGEST_SIDE, MOST_PIXELS = 8_192, 32_000_000
#: Formats that are read, and what C2PA calls them.
FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
#: Text chunks that we write, and their names in `Origin.said`.
_CHUNKS = {"Software": "software", "Seed": "seed", "Model": "model", "Job": "job"}
#: Longest of them that is repeated to anybody, in characters.
_SAID = 200


def read_origin(data: bytes) -> Origin:
    """Blocking: everything that the file says.

    Raises:
        ValueError: it is no PNG, JPEG or WebP picture, or too large.
    """
    from ..models.provenance import TRAINED_MEDIA, read_statement, watermark

    picture = _open(data)
    media = FORMATS[picture.format or ""]
    trained = TRAINED_MEDIA in str(picture.info.get("xmp", b"")) or TRAINED_MEDIA in str(
        picture.info.get("XML:com.adobe.xmp", "")
    )
    said = {
        name: str(picture.info[chunk])[:_SAID]
        for chunk, name in _CHUNKS.items()
        if isinstance(picture.info.get(chunk), str)
    }
    number = watermark.read(picture)
    statement = read_statement(data, media)
    if statement is not None:
        said |= {key: value[:_SAID] for key, value in statement.job.items()}
        said |= {"software": statement.generator[:_SAID]} if statement.generator else {}
    return Origin(
        watermark=None if number is None else f"{number:016x}",
        signer=None if statement is None else statement.signer[:_SAID],
        intact=statement is not None and statement.intact,
        development=statement is not None and statement.development,
        said=said,
        trained=trained or (statement is not None and statement.trained),
    )


async def read_origin_aside(data: bytes) -> Origin:
    """`read_origin` in a thread. Raises: ValueError."""
    return await asyncio.to_thread(read_origin, data)


def describe(origin: Origin) -> list[str]:
    """Lines for the terminal."""
    if not origin.ours:
        lines = ["not ours: no watermark of Daguerre, and no signed statement that fits the file"]
        if origin.said.get("software", "").startswith("daguerre"):
            lines.append("its text chunks say that Daguerre made it, which anybody can write")
        return lines
    lines = ["made by Daguerre"]
    lines.append(f"watermark: job {origin.watermark}…" if origin.watermark else "watermark: none found")
    if origin.signer is not None:
        fits = "fits the file" if origin.intact else "does NOT fit the file: it was changed since"
        lines.append(f"C2PA statement: signed by {origin.signer}; {fits}")
    else:
        lines.append("C2PA statement: none")
    lines += [f"{name}: {value}" for name, value in sorted(origin.said.items())]
    lines.append(f"IPTC trainedAlgorithmicMedia: {'yes' if origin.trained else 'no'}")
    return lines


def _open(data: bytes) -> Image:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=tuple(FORMATS))
            small = max(picture.size) <= LONGEST_SIDE and picture.width * picture.height <= MOST_PIXELS
            if small:
                picture.load()
    except Exception as problem:  # Pillow raises many kinds for damaged files
        raise ValueError(f"this is no PNG, JPEG or WebP picture that can be read ({type(problem).__name__})") from None
    if not small:
        raise ValueError(f"the picture has {picture.width} × {picture.height} pixels, which is too many")
    return picture
