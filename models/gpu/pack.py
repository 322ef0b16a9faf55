"""`scripts/gpu-pack`: everything a bare GPU machine needs beside the working tree, in one folder below 26 MB.

rows.jsonl.xz         rows of the sprite set, sorted by emoji so that equal captions lie side by side
drawings.jsonl.xz     per row, in their order: an SVG text, or [offset, length] into pictures.bin
pictures.bin          WebP pictures: the 3D set, tiles, and drawings whose SVG is larger than their picture
emojibase.json.xz     names and keywords in further languages, for the text encoder
teacher.safetensors   the sentence teacher's vectors of the words and concepts that the text stage asks for
site.tar.xz           packages that the machine lacks, unpacked from their wheels
pack.json             what all this is, sizes and digests; written last
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..data.build import read, read_words
from ..data.raster import How, rasterise
from ..data.sources import EMOJIBASE, SOURCES
from ..data.store import SpriteSet, describe, load
from ..errors import DataError, ModelError
from ..training.lexicon import emojibase_rows
from . import packages
from .words import pack_words

FORMAT = 1
#: Bytes of the whole folder at most; fewer where the working tree leaves less of what travels to the machine (64 MiB),
#: and a little for what is written into the tree until then.
LIMIT = 26_000_000
TRAVELS, MARGIN = 64 * 2**20, 1_000_000
#: Side in pixels and WebP quality of packed pictures.
SIDE, QUALITY = 128, 86
#: Bytes of an SVG text, deflated, above which the drawing travels as a picture. Emoji stay vectors in any case: the
#: upscaler learns from them.
HEAVY = 6_000
#: xz of the standard library; 6 is near the best for texts of this size and takes a third of the time.
PRESET = 6

Report = Callable[[str], None]
#: An SVG text, or where a picture lies in pictures.bin.
Art = str | list[int]


def pack(
    built: Path, cache: Path, folder: Path, *, teacher: Path | None, python: str, limit: int = LIMIT,
    report: Report = print,
) -> dict[str, int]:  # fmt: skip
    """Write what is not there yet; gives the bytes of each file.

    Args:
        built: a sprite set (`daguerre data build`), with its unpacked packages in `cache`.
        teacher: folder of the sentence teacher's vectors; None leaves them out, and with them the stage `text`.
        python: version of the machine's Python, as 3.12; empty leaves the packages out.
        limit: bytes of all files at most; the teacher's words get what the rest leaves of it.

    Raises:
        DataError: something is missing, or the pack would be too large.
    """
    kept = load(built).only(tier="A")
    sprites = SpriteSet(kept.images, [row | {"i": index} for index, row in enumerate(kept.rows)])
    wanted = {"format": FORMAT, "built": describe(built), "python": python, "teacher": teacher is not None}
    parts: Mapping[str, Callable[[Path], None]] = {
        "drawings": lambda at: pack_drawings(sprites, sources_of(sprites.rows, cache), at, report),
        "emojibase": lambda at: _xz(at / "emojibase.json.xz", [json.dumps(_emojibase(cache), ensure_ascii=False)]),
        "site": lambda at: packages.collect(python, at / "site.tar.xz") if python else None,
        # Last, into the room that is left.
        "words": lambda at: (
            pack_words(sprites, _emojibase(cache), teacher, at, _room(at, limit), report) if teacher else None
        ),
    }
    if not _whole(folder, wanted):
        part = folder.with_name(folder.name + ".part")
        mark = _digest(wanted)
        # A pack that was cut off goes on after its last finished part, if it was for the same.
        if not (part / mark).is_file():
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            (part / mark).touch()
        for name, write in parts.items():
            if not (part / f"{name}.done").is_file():
                report(f"packing {name}")
                write(part)
                (part / f"{name}.done").touch()
        marks = {mark, *(f"{name}.done" for name in parts)}
        sizes = {file.name: file.stat().st_size for file in sorted(part.iterdir()) if file.name not in marks}
        check_size(sizes, limit)
        for name in marks:
            (part / name).unlink()
        digests = {name: _sha256(part / name) for name in sizes}
        (part / "pack.json").write_text(json.dumps({"wanted": wanted, "sha256": digests}, indent=1) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
    check_size(sizes, limit)
    return sizes


def check_size(sizes: Mapping[str, int], limit: int = LIMIT) -> None:
    """Refuse what would not travel.

    Raises:
        DataError: the files are too large together; says which are.
    """
    if sum(sizes.values()) > limit:
        told = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sizes.items())
        raise DataError(
            f"The pack would have {sum(sizes.values()) / 1e6:.1f} MB, {limit / 1e6:.1f} are allowed: {told}. "
            "Delete it and pack again, leave the teacher out (--without-teacher), make the working tree smaller, "
            "or lower QUALITY or HEAVY in models/gpu/pack.py."
        )


def pack_drawings(sprites: SpriteSet, arts: Mapping[tuple[str, str], str | Path], folder: Path, report: Report) -> None:
    """Write rows, drawings and pictures, from the SVG text or file of each row, by source and name.

    Raises:
        DataError: one cannot be drawn.
    """
    ordered = sorted(sprites.rows, key=lambda row: (row["code"], row["caption_en"], row["i"]))
    _xz(folder / "rows.jsonl.xz", [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in ordered])
    how = {source.name: source for source in SOURCES}
    texts: list[Art] = []
    with (folder / "pictures.bin").open("wb") as pictures:
        for row in sprites.rows:
            art = arts[row["source"], row["name"]]
            if isinstance(art, str):
                art = lean(art)
                if row["kind"] == "emoji" or len(zlib.compress(art.encode())) < HEAVY:
                    texts.append(art)
                    continue
            form = how[row["source"]].form if row["source"] in how else ""
            content = picture(art, trim=form in ("openclipart", "tuxpaint"), tile=form == "crawl")
            texts.append([pictures.tell(), len(content)])
            pictures.write(content)
    _xz(folder / "drawings.jsonl.xz", [json.dumps(each, ensure_ascii=False) for each in texts])
    vectors = sum(isinstance(each, str) for each in texts)
    report(f"{len(texts)} drawings: {vectors} vectors, {len(texts) - vectors} pictures")


def sources_of(rows: Sequence[Mapping[str, Any]], cache: Path) -> dict[tuple[str, str], str | Path]:
    """SVG text or file of each row's drawing, by source and name.

    Raises:
        DataError: a drawing is not there.
    """
    wanted = {(row["source"], row["name"]) for row in rows}
    used = [source for source in SOURCES if any(name == source.name for name, _ in wanted)]
    words = read_words(cache, used)
    found: dict[tuple[str, str], str | Path] = {}
    for source in used:
        for drawing in read(source, cache / source.package.folder, words):
            # What is dropped has a reason in the place of a picture.
            if (source.name, drawing.name) in wanted and hasattr(drawing, "art"):
                found.setdefault((source.name, drawing.name), drawing.art)
    if missing := wanted - set(found):
        raise DataError(
            f"{len(missing)} drawings of the set are not in {cache} (such as {min(missing)}). Build the set again."
        )
    return found


def lean(svg: str) -> str:
    """The same SVG without what is never drawn: comments, descriptions, what editors note."""
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<(metadata|sodipodi:namedview|title|desc)\b[^>]*?(/>|>.*?</\1\s*>)", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\s(?:inkscape|sodipodi):[\w-]+="[^"]*"', "", svg)
    return re.sub(r"\s+", " ", svg).strip()


def picture(art: str | Path, *, trim: bool, tile: bool) -> bytes:
    """A drawing as WebP with alpha: tiles as they are, the rest drawn at `SIDE` pixels.

    Raises:
        DataError: it cannot be drawn.
    """
    if tile:
        with Image.open(art) as opened:
            drawn = opened.convert("RGBA")
    else:
        pixels = rasterise(art, SIDE, How(SIDE, trim=trim))
        if pixels is None:
            raise DataError(f"{art if isinstance(art, Path) else art[:80]} cannot be drawn. Build the set again.")
        drawn = Image.fromarray(np.ascontiguousarray(pixels))
    out = io.BytesIO()
    drawn.save(out, "WEBP", lossless=tile, quality=100 if tile else QUALITY, alpha_quality=90, method=4)
    return out.getvalue()


def tree_size(root: Path) -> int:
    """Bytes of the files that travel with the working tree: tracked, and untracked but not ignored; 0 without git."""
    git = shutil.which("git")
    if git is None:
        return 0
    listed = subprocess.run(  # noqa: S603  fixed words
        [git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        capture_output=True,
        check=False,
    ).stdout
    files = {root / os.fsdecode(name) for name in listed.split(b"\0") if name}
    return sum(file.lstat().st_size for file in files if file.exists())


def _room(folder: Path, limit: int) -> int:
    """Bytes that may still be written; a little is kept for pack.json and file headers."""
    return limit - 20_000 - sum(file.stat().st_size for file in folder.iterdir())


def _emojibase(cache: Path) -> list[dict[str, Any]]:
    return emojibase_rows(cache / EMOJIBASE.folder)


def _xz(file: Path, lines: Sequence[str]) -> None:
    with lzma.open(file, "wt", preset=PRESET, encoding="utf-8") as out:
        out.writelines(line + "\n" for line in lines)


def _whole(folder: Path, wanted: Mapping[str, Any]) -> bool:
    try:
        about = json.loads((folder / "pack.json").read_text(encoding="utf-8"))
        return about["wanted"] == json.loads(json.dumps(wanted)) and all(
            _sha256(folder / name) == digest for name, digest in about["sha256"].items()
        )
    except (OSError, ValueError, KeyError):
        return False


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _digest(wanted: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]


def main(arguments: list[str] | None = None) -> int:
    """Pack, and print the sizes."""
    parser = argparse.ArgumentParser(
        prog="gpu-pack", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with sprites64 and packages")
    parser.add_argument("--out", type=Path, default=Path("gpu-pack"))
    parser.add_argument("--teacher", type=Path, help="folder of the teacher's vectors; DATA/teacher if left out")
    parser.add_argument("--without-teacher", action="store_true", help="leave out what the stage `text` needs")
    parser.add_argument("--python", default="3.12", help="version of the machine's Python; empty for no packages")
    given = parser.parse_args(arguments)
    teacher = None if given.without_teacher else given.teacher or given.data / "teacher"
    tree = tree_size(Path.cwd())
    limit = min(LIMIT, TRAVELS - tree - MARGIN)
    print(f"the working tree has {tree / 1e6:.1f} MB, so the pack may have {limit / 1e6:.1f} MB")
    try:
        sizes = pack(
            given.data / "sprites64", given.data / "packages", given.out, teacher=teacher, python=given.python,
            limit=limit,
        )  # fmt: skip
    except ModelError as problem:
        sys.stderr.write(f"gpu-pack: {problem}\n")
        return 1
    for name, size in sizes.items():
        print(f"{name:22} {size / 1e6:6.2f} MB")
    print(f"{'all':22} {sum(sizes.values()) / 1e6:6.2f} MB of {limit / 1e6:.1f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
