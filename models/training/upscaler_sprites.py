"""Crisp sprites for the upscaler: tier A emoji, drawn large straight from their vector sources.

The same layout as any sprite set. Each drawing has a side of its own between half and the whole of the picture, so that
compositions need no resampling, which would blur the very edges that are to be learnt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import (
    EMOJIBASE,
    SOURCES,
    Drawing,
    DrawingSet,
    SpriteSet,
    SpriteWriter,
    emoji,
    fetch,
    full_disk_explained,
    load,
    read_build,
)
from ..data.raster import rasterise

FORMAT = 1
#: Drawings between two commits: what a build that is stopped may have to do again.
PART = 128


def crisp_sprites(
    folder: Path,
    cache: Path,
    count: int,
    *,
    size: int = 256,
    report: Callable[[str], None] = print,
    stop: Callable[[], bool] = lambda: False,
) -> SpriteSet | None:
    """Build `count` sprites of `size` pixels, or open them where they are built; None where `stop` asked to leave.

    Raises:
        DataError: a package cannot be had (see `packages.fetch`), or no space is left.
    """
    wanted = {"format": FORMAT, "size": size, "count": count}
    if {key: read_build(folder).get(key) for key in wanted} == wanted:
        return load(folder)
    return draw(vector_drawings(cache)[:count], folder, wanted, report, stop)


def vector_drawings(cache: Path) -> list[tuple[DrawingSet, Drawing]]:
    """Every tier A emoji that is a vector drawing, in an order that is shuffled but the same everywhere."""
    emojibase = fetch(EMOJIBASE, cache)
    names = emoji.names(emojibase, emoji.concepts(emojibase))
    found = [
        (source, drawing)
        for source in SOURCES
        if source.tier == "A" and source.kind == "emoji" and source.form == "iconify"
        for drawing in emoji.drawings(fetch(source.package, cache), source, names)
        if isinstance(drawing, Drawing)
    ]
    return sorted(found, key=lambda each: _chance(each[0].name, each[1].name))


def draw(
    todo: Sequence[tuple[DrawingSet, Drawing]],
    folder: Path,
    wanted: dict[str, Any],
    report: Callable[[str], None],
    stop: Callable[[], bool] = lambda: False,
) -> SpriteSet | None:
    """Draw part by part; a build that was stopped goes on after its last whole part."""
    folder.mkdir(parents=True, exist_ok=True)
    size: int = wanted["size"]
    with full_disk_explained(folder), SpriteWriter(folder, size, wanted) as writer:
        for start in range(0, len(todo), PART):
            if stop():
                return None
            part = todo[start : start + PART]
            if (name := f"part {start // PART}") in writer.sources:
                continue
            before = writer.rows
            for source, drawing in part:
                pixels = crisp(drawing.art, size, _chance("side", source.name, drawing.name))
                if pixels is not None:
                    writer.add(pixels, _row(source, drawing))
            writer.commit(name, {"seen": len(part), "kept": writer.rows - before})
            report(f"{start + len(part)} of {len(todo)} crisp sprites drawn")
        writer.finish({"rows": writer.rows, "failed": len(todo) - writer.rows})
    return load(folder)


def crisp(art: str | Path, size: int, chance: str) -> NDArray[np.uint8] | None:
    """The drawing in the middle of (size, size, 4), straight alpha; hex digits `chance` choose its side."""
    side = round(size * (0.5 + 0.5 * int(chance[:8], 16) / 16**8))
    pixels = rasterise(art, side)
    if pixels is None:
        return None
    before = (size - side) // 2
    after = size - side - before
    return np.pad(pixels, ((before, after), (before, after), (0, 0)))


def held_out(row: dict[str, Any]) -> bool:
    """Whether a drawing is kept from training: a sixteenth of the emoji, in every style."""
    return _chance("held out", row["code"] or row["name"])[0] == "0"


def _chance(*names: str) -> str:
    return hashlib.sha256("/".join(names).encode()).hexdigest()


def _row(source: DrawingSet, drawing: Drawing) -> dict[str, Any]:
    return {
        "source": source.name,
        "kind": source.kind,
        "style": source.style_word,
        "licence": source.licence,
        "tier": source.tier,
        "name": drawing.name,
        "code": drawing.concept.code if drawing.concept else "",
        "caption_en": drawing.caption,
    }
