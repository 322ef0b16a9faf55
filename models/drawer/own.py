"""One's own drawings, kept in a bank beside the shipped one: what is added is drawn from at the next request."""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..common import cut_out
from ..errors import BankRefused, explained
from . import bank
from .bank import Bank, BankThing, Entry, Reference

METADATA = "metadata.jsonl"
#: Kinds of files that are looked at, drawings of one thing, things of one's own, and pixels of a picture, at most.
ENDINGS = frozenset((".png", ".webp", ".jpg", ".jpeg", ".gif"))
MOST_DRAWINGS, MOST_THINGS, MOST_PIXELS = 4, 2000, 40_000_000
#: Opacity below which a pixel does not count, and the room left around a thing, as a share of its side.
SEEN, MARGIN = 24, 0.06
#: Shares of a picture that a thing covers, at least and at most: nothing, or what was not cut out.
LEAST, MOST = 0.01, 0.98


@dataclass(frozen=True, slots=True)
class OwnPicture:
    """A picture file with what it is called, in English and in other languages."""

    name: str
    caption: str
    names: Mapping[str, str]
    picture: Image.Image


def side_of(weights: Path) -> int:
    """Side of the drawings that a weights folder draws from, in pixels; opens no weights.

    Raises:
        OSError, ValueError, KeyError, TypeError: it does not draw from drawings, or is damaged.
    """

    def told(file: str) -> Any:
        return json.loads((weights / file).read_text(encoding="utf-8"))

    if (kind := told("model_index.json")["_class_name"]) != "DrawerPipeline":
        raise ValueError(kind)
    halvings = len(told("vae/config.json")["block_out_channels"]) - 1
    return int(told("unet/config.json")["sample_size"]) * 2**halvings


def add(folder: Path, side: int, pictures: Sequence[OwnPicture]) -> Bank:
    """Add pictures to the own bank in `folder`; it is replaced at once, or not at all.

    A thing that is there keeps its newest `MOST_DRAWINGS` drawings.

    Raises:
        BankRefused: a picture shows nothing that stands apart from its ground, or there are too many things.
    """
    things = _entries(folder, side)
    for each in pictures:
        content = bank.packed(np.asarray(_drawing(each, side)), 95)
        key = f"own/{each.caption.casefold()}"
        old = things.get(key, Entry(BankThing(key, each.caption, "", {}, {}, {}, ()), ()))
        source = f"own/{each.caption}/{each.name}"
        kept = [
            (one, file) for one, file in zip(old.thing.drawings, old.files, strict=True) if one.id != source
        ][-(MOST_DRAWINGS - 1) :]  # fmt: skip
        drawings = (*(one for one, _ in kept), Reference(source, "", 0))
        names = {**old.thing.names, **each.names}
        things[key] = Entry(
            replace(old.thing, caption=each.caption, names=names, drawings=drawings),
            (*(file for _, file in kept), content),
        )  # fmt: skip
    if len(things) > MOST_THINGS:
        raise BankRefused(f"At most {MOST_THINGS} things of one's own are kept; remove some first.")
    return _store(folder, side, things)


def remove(folder: Path, side: int, caption: str) -> bool:
    """Remove a thing with all its drawings; whether it was there.

    Raises:
        BankRefused: the own bank is damaged.
    """
    things = _entries(folder, side)
    if things.pop(f"own/{caption.casefold()}", None) is None:
        return False
    _store(folder, side, things)
    return True


def listed(folder: Path) -> Sequence[BankThing]:
    """The things of one's own; none where nothing was added yet.

    Raises:
        BankRefused: the own bank is damaged.
    """
    return bank.read(folder).things if (folder / bank.FILE).is_file() else ()


def pictures_of(folder: Path) -> list[OwnPicture]:
    """The pictures of a folder: captions from metadata.jsonl (`file_name`, `text`, `text_<language>`), or file names.

    Raises:
        BankRefused: no folder, no pictures, a picture or a line that cannot be read; says which.
    """
    if not folder.is_dir():
        raise BankRefused(f"{folder} is no folder.")
    found = list(_named(folder))
    if not found:
        raise BankRefused(f"There are no pictures in {folder}: it needs PNG or WebP files named after what they show.")
    return found


def _named(folder: Path) -> Iterator[OwnPicture]:
    metadata = folder / METADATA
    if not metadata.is_file():
        for file in sorted(each for each in folder.iterdir() if each.suffix.lower() in ENDINGS):
            words = re.sub(r"[_\-.]+|\(\d+\)", " ", file.stem)
            caption = " ".join(re.sub(r"\s*\d+\s*$", "", words).split())
            if not caption:
                raise BankRefused(f"{file.name}: the file name has no words; rename it or write a {METADATA}.")
            yield OwnPicture(file.stem, caption, {}, opened(file.read_bytes(), file.name))
        return
    for number, line in enumerate(metadata.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        with explained(BankRefused, f"{METADATA} line {number} cannot be used: {{problem}}"):
            told: Any = json.loads(line)
            file = folder / str(told["file_name"])
            caption = " ".join(str(told["text"]).split())
            if not caption or not file.resolve().is_relative_to(folder.resolve()):
                raise ValueError("no text, or a file elsewhere")
            names = {
                key.removeprefix("text_"): str(value).strip()
                for key, value in told.items()
                if key.startswith("text_") and str(value).strip()
            }
            content = file.read_bytes()
        yield OwnPicture(file.stem, caption, names, opened(content, file.name))


def opened(content: bytes, what: str) -> Image.Image:
    """A picture file of anybody's.

    Raises:
        BankRefused: it cannot be read.
    """
    with explained(BankRefused, f"{what} is no picture that can be read ({{kind}})."), warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        picture = Image.open(io.BytesIO(content), formats=("PNG", "WEBP", "JPEG", "GIF"))
        if picture.width * picture.height > MOST_PIXELS:
            raise BankRefused(f"{what} has more than {MOST_PIXELS:,} pixels; make it smaller.")
        picture.load()
    return picture


def _drawing(each: OwnPicture, side: int) -> Image.Image:
    """Square, RGBA, the thing as large as it fits: with its own alpha, or cut out of an even background."""
    picture = each.picture
    whole = picture.convert("RGBA") if picture.has_transparency_data else cut_out(picture.convert("RGB"))
    alpha = whole.getchannel("A")
    covered = float((np.asarray(alpha) >= SEEN).mean())
    if covered > MOST:
        raise BankRefused(
            f"{each.name} has no alpha and no even background: what is the thing and what the ground is not known. "
            "Cut it out, or put it on one colour."
        )
    box = alpha.point(lambda value: 255 if value >= SEEN else 0).getbbox()
    if box is None or covered < LEAST:
        raise BankRefused(f"{each.name} shows nothing: hardly any pixel of it is opaque.")
    thing = whole.crop(box).convert("RGBa")
    room = max(1, round(side * (1 - 2 * MARGIN)))
    scale = room / max(thing.size)
    width, height = (max(1, round(length * scale)) for length in thing.size)
    small = thing.resize((width, height), Image.Resampling.LANCZOS).convert("RGBA")
    square = Image.new("RGBA", (side, side))
    square.paste(small, ((side - width) // 2, (side - height) // 2))
    return square


def _entries(folder: Path, side: int) -> dict[str, Entry]:
    if not (folder / bank.FILE).is_file():
        return {}
    there = bank.read(folder, side=side)
    return {thing.key: Entry(thing, tuple(there.file(each) for each in thing.drawings)) for thing in there.things}


def _store(folder: Path, side: int, things: Mapping[str, Entry]) -> Bank:
    bank.write(folder / bank.FILE, side, [things[key] for key in sorted(things)], {})
    return bank.read(folder)
