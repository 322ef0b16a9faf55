"""Which files an answer carries: a grid, single pictures, or both. `laid_out` blocks where it makes a grid."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from ...queue.moderation import Permit
from ...queue.pictures import traced
from ...queue.records import ImageRequest
from .card import Attached, alt_text, file_name
from .encode import Encoded, fitting, grid, ladder

Layout = Literal["grid", "single", "both"]


def laid_out(request: ImageRequest, pictures: Sequence[bytes], layout: Layout, locale: str) -> tuple[Attached, ...]:
    """PNG files for the pictures of one job, in order; the names are without their endings."""
    description = alt_text(request, locale)
    single = tuple(Attached(file_name(request, index, ""), data, description) for index, data in enumerate(pictures))
    if len(pictures) == 1 or layout == "single":
        return single
    whole = Attached(f"{file_name(request, 0, '')}-grid", grid(pictures), alt_text(request, locale, grid=True))
    return (whole, *single) if layout == "both" else (whole,)


async def lay_out(
    request: ImageRequest, pictures: Sequence[bytes], layout: Layout, locale: str
) -> tuple[Attached, ...]:
    """`laid_out`, in a thread where pictures are put together: where they go as they are, a thread costs more."""
    if len(pictures) == 1 or layout == "single":
        return laid_out(request, pictures, layout, locale)
    return await asyncio.to_thread(laid_out, request, pictures, layout, locale)


def named(parts: Sequence[Attached], encoded: Encoded) -> tuple[Attached, ...]:
    """The same files as they were encoded, with their endings."""
    return tuple(
        replace(part, name=part.name + encoded.suffix, data=data)
        for part, data in zip(parts, encoded.files, strict=True)
    )


async def fitted(parts: Sequence[Attached], limit: int) -> tuple[str, tuple[Attached, ...]] | None:
    """The same files, each of at most `limit` bytes, and their format; None where none is small enough."""
    encoded = await fitting(ladder(tuple(part.data for part in parts)), limit)
    return None if encoded is None else (encoded.format, named(parts, encoded))


async def vectors(request: ImageRequest, pictures: Sequence[bytes], locale: str) -> tuple[Attached, ...]:
    """An SVG of each picture, for files beside them."""
    description = alt_text(request, locale)
    drawn = [await asyncio.to_thread(traced, data) for data in pictures]
    return tuple(Attached(file_name(request, index, ".svg"), data, description) for index, data in enumerate(drawn))


def as_permitted(given: Permit, files: tuple[Attached, ...]) -> tuple[Attached, ...]:
    """The files as they may be shown: blurred ones until somebody clicks, which Discord does by their names."""
    if not given.blurred:
        return files
    return tuple(replace(file, name=f"SPOILER_{file.name}") for file in files)
