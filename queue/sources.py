"""Pictures that requests begin from: cleaned, kept under the hash of their content, and let go with their jobs.

They lie in the picture store as `sources/<SHA-256>.webp`, so one that many jobs use is stored once. Pictures of earlier
jobs (`<job>/<number>.png`) may be named by a request too; those are never removed here.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import time
from collections.abc import Awaitable, Callable, Collection

from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import InvalidPicture, InvalidRequest, PictureGone
from .pictures import PictureStore
from .requests import ImageRequest
from .table import JobTable

#: Largest file that is looked at, in bytes; Discord lets members attach more.
MAX_UPLOAD = 32 * 1024 * 1024
#: Largest picture that is decoded, in pixels: 160 MB of memory.
MAX_PIXELS = 40_000_000
#: Sides in pixels: smaller pictures are refused, larger ones are scaled down.
SHORTEST, LONGEST = 16, 1024
#: Largest file that is kept, in bytes.
MAX_KEPT = 4 * 1024 * 1024
#: Read by Pillow without other programs; the first picture of an animation counts.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
#: A picture that no job uses is removed after this many seconds: time to press a button under it.
UNUSED_SECONDS = 24 * 3600.0

_NAME = re.compile(r"sources/[0-9a-f]{64}\.webp|[0-9a-f]{32}/[0-9]{1,3}\.png")


def clean(data: bytes) -> bytes:
    """A WebP file of the picture in `data`: upright, at most 1024 pixels a side and 4 MB, without metadata.

    Transparency stays; 16 bits a channel become 8. Blocking: some tenths of a second.

    Raises:
        InvalidPicture: it cannot be used; says why.
    """
    if len(data) > MAX_UPLOAD:
        raise InvalidPicture("too_large", f"the file has {len(data) // 2**20} MB; at most {MAX_UPLOAD // 2**20} can be")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            return _encoded(picture)
    except UnidentifiedImageError:
        raise InvalidPicture("no_picture", f"this is none of {', '.join(FORMATS)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InvalidPicture("too_large", f"the picture has more than {MAX_PIXELS:,} pixels") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as problem:
        # Pillow's ways of saying that a file is damaged or cut off.
        raise InvalidPicture("damaged", f"the picture cannot be read: {type(problem).__name__}") from None


def _encoded(picture: Image.Image) -> bytes:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise InvalidPicture("too_large", f"the picture has {width} × {height} pixels; at most {MAX_PIXELS:,} can be")
    if min(width, height) < SHORTEST:
        raise InvalidPicture("too_small", f"the picture has {width} × {height} pixels; each side needs {SHORTEST}")
    picture.seek(0)
    upright = ImageOps.exif_transpose(picture)
    kept = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    kept.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    for quality in ({"lossless": True, "quality": 50}, {"quality": 95}):
        file = io.BytesIO()
        kept.save(file, "WEBP", method=2, **quality)
        if file.tell() <= MAX_KEPT:
            return file.getvalue()
    raise InvalidPicture("too_large", "the picture cannot be made small enough")


class Sources:
    """Construct once; `sweep` now and then."""

    def __init__(self, table: JobTable, pictures: PictureStore) -> None:
        self._table = table
        self._pictures = pictures
        # Nothing is swept while it is being kept again.
        self._lock = asyncio.Lock()
        # Each may take the memory of a large picture.
        self._cleaning = asyncio.Semaphore(2)

    async def keep(self, data: bytes) -> str:
        """Store a picture that a member sent; gives its name for `Source`. The same picture gives the same name.

        Raises:
            InvalidPicture: it cannot be used; says why.
            QueueUnavailable: it cannot be stored just now.
        """
        async with self._cleaning:
            kept = await asyncio.to_thread(clean, data)
        name = f"sources/{hashlib.sha256(kept).hexdigest()}.webp"
        async with self._lock:
            await self._pictures.write({name: kept})
            await self._table.source_kept(name, time.time())
        return name

    async def check(self, request: ImageRequest, usable: Callable[[str], Awaitable[bool]]) -> None:
        """Whether the pictures that it names are there, and the one who asks may use them (`usable`, by name).

        Raises:
            InvalidRequest: field `source`; one has another kind of name, is gone, or is not theirs: which of both is
                nobody's business.
        """
        for name in request.source_names:
            if not _NAME.fullmatch(name):
                raise InvalidRequest(field="source", kind="source_name", limits={})
            if not await usable(name) or not await self._pictures.has(name):
                raise InvalidRequest(field="source", kind="source_gone", limits={})

    async def read(self, request: ImageRequest) -> dict[str, bytes]:
        """The files of a request by name.

        Raises:
            PictureGone: one was removed.
            QueueUnavailable: the storage does not answer.
        """
        found: dict[str, bytes] = {}
        for name in request.source_names:
            if not _NAME.fullmatch(name):
                raise PictureGone(f"no picture is called {name[:80]}")
            found[name] = await self._pictures.get(name)
        return found

    async def sweep(self, now: float, unused_seconds: float = UNUSED_SECONDS) -> Collection[str]:
        """Remove what no job has named for so long; gives their names. Raises: QueueUnavailable."""
        async with self._lock:
            gone = await self._table.unused_sources(now - unused_seconds)
            for name in gone:
                await self._pictures.remove(name)
            if gone:
                await self._table.sources_removed(gone)
        return gone
