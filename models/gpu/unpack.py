"""From a pack to the sprite sets of a run: drawn on all cores, once, and kept where `build` would have put them."""

from __future__ import annotations

import json
import lzma
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.drawing import Drawing
from ..data.packages import full_disk_explained
from ..data.raster import How, draw_all, drawing_pool
from ..data.sources import SOURCES
from ..data.store import SpriteSet, SpriteWriter, describe, load
from ..errors import DataMissing
from ..training import upscaler_sprites

Report = Callable[[str], None]


def sprites(pack: Path, folder: Path, size: int, *, processes: int | None = None, report: Report = print) -> SpriteSet:
    """Draw every packed drawing at `size` pixels, or open what was drawn before.

    The folder is the one that `daguerre data build` would write: the same rows and, but for packed pictures, pixels.

    Raises:
        DataMissing: there is no pack, or it is cut.
        DataError: no space is left, or a drawing ended the process that drew it.
    """
    wanted = _wanted(pack, size)
    done = describe(folder)
    if {key: done.get(key) for key in wanted} == wanted:
        return load(folder)
    rows = packed_rows(pack)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        full_disk_explained(folder), tempfile.TemporaryDirectory(dir=folder) as scratch,
        SpriteWriter(folder, size, wanted) as writer, drawing_pool(processes) as pool,
    ):  # fmt: skip
        writer.discard()
        todo = zip(rows, packed_arts(pack, Path(scratch)), strict=True)
        # Each source is drawn in its own way, and every set of the same source in one go.
        for (source, picture), group in groupby(todo, lambda each: (each[0]["source"], isinstance(each[1], Path))):
            found = list(group)
            how = _how(source, size, picture=picture)
            for (row, _), pixels in zip(found, draw_all([art for _, art in found], how, pool), strict=True):
                if pixels is None:
                    raise DataMissing(f"{source}/{row['name']} of {pack} cannot be drawn. Pack again: scripts/gpu-pack")
                writer.add(pixels, {key: value for key, value in row.items() if key != "i"})
        writer.finish({"rows": writer.rows})
    report(f"{len(rows)} sprites of {size} px drawn")
    return load(folder)


def crisp(
    pack: Path, folder: Path, count: int, size: int, *, processes: int | None = None, report: Report = print
) -> SpriteSet:
    """The upscaler's large sprites (`upscaler_sprites`) of packed vector emoji, drawn on all cores.

    Raises:
        DataMissing, DataError: as `sprites`.
    """
    wanted = {"format": upscaler_sprites.FORMAT, "size": size, "count": count}
    if {key: describe(folder).get(key) for key in wanted} == wanted:
        return load(folder)
    known = {source.name: source for source in SOURCES}
    with tempfile.TemporaryDirectory() as scratch:
        found = [
            (known[row["source"]], row, art)
            for row, art in zip(packed_rows(pack), packed_arts(pack, Path(scratch)), strict=True)
            if row["kind"] == "emoji" and isinstance(art, str) and row["source"] in known
        ]
    chance = upscaler_sprites._chance
    found = sorted(found, key=lambda each: chance(each[0].name, each[1]["name"]))[:count]
    folder.mkdir(parents=True, exist_ok=True)
    with (
        full_disk_explained(folder), SpriteWriter(folder, size, wanted) as writer, drawing_pool(processes) as pool,
    ):  # fmt: skip
        writer.discard()
        tasks = [(art, size, chance("side", source.name, row["name"])) for source, row, art in found]
        for (source, row, art), pixels in zip(found, _crisp_all(tasks, pool), strict=True):
            if pixels is not None:
                drawing = Drawing(row["name"], art, row["caption_en"])
                writer.add(pixels, upscaler_sprites._row(source, drawing) | {"code": row["code"]})
        writer.finish({"rows": writer.rows, "failed": len(found) - writer.rows})
    report(f"{len(found)} crisp sprites of {size} px drawn")
    return load(folder)


def packed_rows(pack: Path) -> list[dict[str, Any]]:
    """The rows, in the order of the set.

    Raises:
        DataMissing: there is no pack, or it is damaged.
    """
    return sorted(_lines(pack / "rows.jsonl.xz"), key=lambda row: row["i"])


def packed_arts(pack: Path, scratch: Path) -> Iterator[str | Path]:
    """Each row's drawing: an SVG text, or a picture file that is written into `scratch`."""
    pictures = (pack / "pictures.bin").read_bytes()
    for number, art in enumerate(_lines(pack / "drawings.jsonl.xz")):
        if isinstance(art, str):
            yield art
        else:
            begin, length = art
            file = scratch / f"{number:05}.webp"
            file.write_bytes(pictures[begin : begin + length])
            yield file


def further_rows(pack: Path) -> Sequence[Mapping[str, Any]]:
    """emojibase's names and keywords, for the text encoder."""
    (rows,) = _lines(pack / "emojibase.json.xz")
    return rows


def _lines(file: Path) -> Iterator[Any]:
    try:
        with lzma.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
    except (OSError, EOFError, ValueError, lzma.LZMAError) as problem:
        raise DataMissing(f"{file} cannot be read ({problem}). Make it with: scripts/gpu-pack") from None


def _wanted(pack: Path, size: int) -> dict[str, Any]:
    """What `build` says of the same set, so that it takes ours for its own."""
    try:
        built = json.loads((pack / "pack.json").read_text(encoding="utf-8"))["wanted"]["built"]
    except (OSError, ValueError, KeyError) as problem:
        raise DataMissing(f"There is no whole pack in {pack} ({problem}). Make it with: scripts/gpu-pack") from None
    return {key: built.get(key) for key in ("format", "packages", "sources")} | {"size": size}


def _how(source: str, size: int, *, picture: bool) -> How:
    form = next((each.form for each in SOURCES if each.name == source), "")
    # Packed pictures were trimmed when they were packed.
    trim = not picture and (form in {"openclipart", "tuxpaint"} or source == "meteocons")
    return How(size, trim=trim, pixel_art=form == "crawl")


def _crisp_all(
    tasks: Sequence[tuple[str, int, str]], pool: ProcessPoolExecutor | None
) -> Iterator[NDArray[np.uint8] | None]:
    if pool is None:
        return (upscaler_sprites.crisp(*task) for task in tasks)
    return pool.map(upscaler_sprites.crisp, *zip(*tasks, strict=True), chunksize=16)
