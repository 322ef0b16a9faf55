"""Make a sprite set of any folder of pictures with captions.

Captions come from `metadata.jsonl` (one JSON object a line: `file_name`, `text`, and `text_<language>` where there is
more; the `imagefolder` convention of Hugging Face datasets) or, where there is no such file, from the file names.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import DataError
from .drawing import Drawing
from .languages import LANGUAGES
from .packages import full_disk_explained
from .raster import How, draw_all, drawing_pool
from .sources import Tier
from .store import FORMAT, SpriteSet, SpriteWriter, load, read_build

METADATA = "metadata.jsonl"
#: Problems that an error lists; the others are only counted.
MOST_LISTED = 10
Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Captions:
    """What a folder holds: drawings with captions, and what is wrong with the rest."""

    drawings: list[Drawing] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    #: Pictures that metadata.jsonl does not name.
    unnamed: int = 0


def import_folder(
    folder: Path, out: Path, *, size: int = 64, crop: bool = False, skip_broken: bool = False,
    licence: str = "unknown", tier: Tier = "B", report: Callable[[str], None] = print,
    progress: Progress | None = None, processes: int | None = None,
) -> SpriteSet:  # fmt: skip
    """Write the pictures of `folder` as a sprite set to `out`; does nothing where that was done and nothing changed.

    Pictures of any size and of any format that Pillow reads become squares of `size`: padded with clear pixels, or
    cut to their middle with `crop`. Only `tier="A"` may enter released weights, so say it where the licence allows.

    Raises:
        DataError: no pictures; captions with holes or broken pictures (the first ten, with line numbers), unless
            `skip_broken` leaves them out and reports how many; no space is left.
    """
    found = captions(folder)
    if found.problems and not skip_broken:
        raise DataError(_listed(folder, found.problems))
    if not found.drawings:
        raise DataError(f"No pictures with captions in {folder}. It needs pictures and, best, a {METADATA}.")
    wanted = {
        "format": FORMAT, "size": size, "imported": folder.name, "crop": crop, "licence": licence, "tier": tier,
        "skip_broken": skip_broken, "content": _digest(folder, found.drawings),
    }  # fmt: skip
    done = read_build(out)
    if {key: done.get(key) for key in wanted} == wanted:
        return load(out)

    out.mkdir(parents=True, exist_ok=True)
    problems = list(found.problems)
    with full_disk_explained(out), SpriteWriter(out, size, wanted) as writer:
        writer.discard()
        with drawing_pool(processes) as pool:
            drawn = draw_all([drawing.art for drawing in found.drawings], How(size, crop=crop), pool)
            for count, (drawing, pixels) in enumerate(zip(found.drawings, drawn, strict=True), 1):
                if pixels is None:
                    problems.append(f"{drawing.name}: no picture that can be read, or nothing visible in it")
                else:
                    writer.add(pixels, _row(drawing, folder.name, licence, tier))
                if progress:
                    progress(folder.name, count, len(found.drawings))
        if problems and not skip_broken:
            raise DataError(_listed(folder, problems))
        if not writer.rows:
            raise DataError(f"None of the {len(found.drawings)} pictures in {folder} can be read.")
        writer.finish({"rows": writer.rows, "skipped": len(problems), "unnamed": found.unnamed})
    skipped = f", {len(problems)} skipped ({problems[0]}{', …' if len(problems) > 1 else ''})" if problems else ""
    unnamed = f", {found.unnamed} pictures without a caption left out" if found.unnamed else ""
    report(f"{writer.rows} pictures imported{skipped}{unnamed}")
    return load(out)


def captions(folder: Path) -> Captions:
    """Read the captions of a folder, and everything that is wrong with them.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder.")
    known = {f".{ending.lower().lstrip('.')}" for ending in Image.registered_extensions()}
    pictures = sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix.lower() in known)
    metadata = folder / METADATA
    if metadata.is_file():
        return _from_metadata(folder, metadata, pictures)
    found = Captions()
    for file in pictures:
        name = file.relative_to(folder).as_posix()
        if text := caption_of(file.stem):
            found.drawings.append(Drawing(name, file, text, category=_category(name)))
        else:
            found.problems.append(f"{name}: the file name has no words; rename it or write a {METADATA}")
    return found


def caption_of(stem: str) -> str:
    """`red_apple-02 (1)` → `red apple`."""
    words = re.sub(r"\(\d+\)", " ", re.sub(r"[_\-.]+", " ", stem))
    return " ".join(re.sub(r"(?<=\D)\d+(?=\s*$)|^\s*\d+\s*$", " ", words).split())


def _from_metadata(folder: Path, metadata: Path, pictures: Sequence[Path]) -> Captions:
    found = Captions()
    first: dict[str, int] = {}
    for number, line in enumerate(metadata.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            name, text, others = _entry(line)
            file = _inside(folder, name)
            if name in first:
                raise ValueError(f'"{name}" is named in line {first[name]} already')  # noqa: TRY301
        except ValueError as error:
            found.problems.append(f"{METADATA} line {number}: {error}")
        else:
            first[name] = number
            found.drawings.append(Drawing(name, file, text, category=_category(name), captions=others))
    named = {drawing.art for drawing in found.drawings}
    found.unnamed = sum(picture not in named for picture in pictures)
    return found


def _entry(line: bytes) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """File name, text, texts in other languages; ValueError says what is wrong."""
    try:
        entry: Any = json.loads(line)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg})") from None
    if not isinstance(entry, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  told as a problem of the file
    for key in ("file_name", "text"):
        value = entry.get(key)
        if not isinstance(value, str):
            raise ValueError(f'no "{key}"' if value is None else f'"{key}" is no text')  # noqa: TRY004  told as a problem of the file
        if not value.strip():
            raise ValueError(f'"{key}" is empty')
    others = ((language, entry.get(f"text_{language}")) for language in LANGUAGES)
    kept = tuple((language, text.strip()) for language, text in others if isinstance(text, str) and text.strip())
    return entry["file_name"], " ".join(entry["text"].split()), kept


def _inside(folder: Path, name: str) -> Path:
    file = folder / name
    if "\0" in name or not file.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f'"{name}" lies outside the folder')
    if not file.is_file():
        raise ValueError(f'there is no file "{name}"')
    return file


def _row(drawing: Drawing, source: str, licence: str, tier: Tier) -> dict[str, Any]:
    others = dict(drawing.captions)
    return {
        "source": source, "kind": "picture", "style": "", "licence": licence, "tier": tier, "name": drawing.name,
        "code": "", "group": -1, "category": drawing.category, "caption_en": drawing.caption, "keywords_en": [],
        **{f"caption_{language}": others.get(language, "") for language in LANGUAGES}, "keywords_zh": [],
    }  # fmt: skip


def _category(name: str) -> str:
    return name.rpartition("/")[0]


def _digest(folder: Path, drawings: Iterable[Drawing]) -> str:
    """Changes with any caption, and with the size or time of any picture."""
    digest = hashlib.sha256()
    for drawing in drawings:
        status = (folder / drawing.name).stat()
        digest.update(
            repr((drawing.name, drawing.caption, drawing.captions, status.st_size, status.st_mtime_ns)).encode()
        )
    return digest.hexdigest()


def _listed(folder: Path, problems: Sequence[str]) -> str:
    more = f"\n  and {len(problems) - MOST_LISTED} more" if len(problems) > MOST_LISTED else ""
    lines = "".join(f"\n  {problem}" for problem in problems[:MOST_LISTED])
    return (
        f"{len(problems)} problems in {folder}; mend them, or leave these pictures out with --skip-broken:{lines}{more}"
    )
