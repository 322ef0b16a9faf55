"""Build the sprite set: every drawing rasterised with alpha, and one JSON row of captions for each.

Layout of the folder: `sprites.npy` uint8 (N, size, size, 4), straight alpha; `sprites.jsonl`, N rows;
`build.json`, written last, says what was built, so a broken build is never taken for a whole one.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image

from ..errors import DataMissing
from .emoji import Drawing, concepts, drawings
from .packages import fetch
from .sources import DRAWING_SETS, EMOJIBASE, PACKAGES

#: Raised when the rows or the rasterising change, so that an older folder is built anew.
FORMAT = 1
#: A picture with less of its area visible counts as blank.
BLANK = 0.02


@dataclass(frozen=True)
class SpriteSet:
    """The data set in memory (memory-mapped)."""

    #: uint8 (N, size, size, 4), straight alpha.
    images: NDArray[np.uint8]
    rows: Sequence[dict[str, Any]]


def build(folder: Path, cache: Path, *, size: int = 64, report: Callable[[str], None] = print) -> SpriteSet:
    """Fetch, rasterise and caption everything; does nothing where the folder is already whole.

    Raises:
        PackageUnavailable, PackageChanged: see `packages.fetch`.
    """
    wanted = {"format": FORMAT, "size": size, "packages": [f"{p.name}@{p.version}" for p in PACKAGES]}
    done = folder / "build.json"
    if done.is_file() and {k: v for k, v in json.loads(done.read_text()).items() if k in wanted} == wanted:
        return load(folder)
    folder.mkdir(parents=True, exist_ok=True)
    done.unlink(missing_ok=True)

    # Sources.
    emojibase = fetch(EMOJIBASE, cache)
    known = concepts(emojibase)
    todo: list[Drawing] = []
    for package, drawing_set in DRAWING_SETS:
        found = list(drawings(fetch(package, cache), drawing_set, known, emojibase))
        report(f"{drawing_set.name}: {len(found)} drawings ({drawing_set.licence})")
        todo += found

    # Rasterise on all cores; a drawing that cannot be drawn is left out and counted, not fatal.
    pictures: list[NDArray[np.uint8]] = []
    rows: list[dict[str, Any]] = []
    failed = 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        sizes = [size] * len(todo)
        for drawing, pixels in zip(
            todo, pool.map(rasterise, [d.source for d in todo], sizes, chunksize=32), strict=True
        ):
            if pixels is None:
                failed += 1
                continue
            rows.append(_row(len(rows), drawing))
            pictures.append(pixels)
            if len(rows) % 1000 == 0:
                report(f"{len(rows)} of {len(todo)} drawn")

    # Write; the marker last.
    np.save(folder / "sprites.npy", np.stack(pictures), allow_pickle=False)
    with (folder / "sprites.jsonl").open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    done.write_text(json.dumps(wanted | {"rows": len(rows), "failed": failed}, indent=1))
    report(f"{len(rows)} sprites of {len({row['code'] for row in rows})} concepts, {failed} could not be drawn")
    return load(folder)


def load(folder: Path) -> SpriteSet:
    """Open a built set.

    Raises:
        DataMissing: the folder was not built, or not to its end.
    """
    if not (folder / "build.json").is_file():
        raise DataMissing(f"No data set in {folder}. Build it with: daguerre data build")
    images = np.load(folder / "sprites.npy", mmap_mode="r", allow_pickle=False)
    with (folder / "sprites.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    if len(rows) != len(images):
        raise DataMissing(f"{folder} is damaged ({len(images)} pictures, {len(rows)} rows). Delete it and build again.")
    return SpriteSet(images, rows)


def rasterise(source: str | Path, size: int) -> NDArray[np.uint8] | None:
    """Draw one SVG text or WebP file as (size, size, 4) with straight alpha, or None where it is blank or broken.

    Drawn at twice the size and box-filtered; colours are premultiplied while resizing, so that the invisible
    colour of transparent pixels does not bleed into edges.
    """
    try:
        if isinstance(source, Path):
            picture = Image.open(source).convert("RGBA")
        else:
            # dpi=96: the default 0 rejects pt and mm sizes. No system fonts: text would differ between machines.
            png = resvg_py.svg_to_bytes(
                svg_string=source, width=2 * size, height=2 * size, dpi=96, skip_system_fonts=True
            )
            picture = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    except (ValueError, OSError, RuntimeError):
        return None
    square = Image.new("RGBA", (max(picture.size),) * 2)
    square.paste(picture, ((square.width - picture.width) // 2, (square.height - picture.height) // 2))
    # "RGBa" is Pillow's premultiplied mode.
    small = square.convert("RGBa").resize((size, size), Image.Resampling.BOX).convert("RGBA")
    pixels = np.asarray(small)
    if (pixels[..., 3] > 127).mean() < BLANK:
        return None
    return pixels


def _row(index: int, drawing: Drawing) -> dict[str, Any]:
    concept = drawing.concept
    return {
        "i": index,
        "code": concept.code,
        "style": drawing.drawing_set.name,
        "licence": drawing.drawing_set.licence,
        "tier": drawing.drawing_set.tier,
        "name": drawing.name,
        "group": concept.group,
        "caption_en": concept.label,
        "keywords_en": list(concept.keywords),
        "caption_zh": concept.label_zh,
        "keywords_zh": list(concept.keywords_zh),
    }
