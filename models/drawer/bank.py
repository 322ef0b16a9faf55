"""The reference bank: drawings that the denoiser draws from, by the thing they show and the style they are drawn in.

One file, `bank.safetensors`, lies in the folder `bank/` of the weights; one's own drawings lie in another of the same
form. Its tensors: `index` (JSON, deflated), `pictures` (WebP or PNG with alpha, one after the other), `ends` (where
each ends), and `names` with `scales`: what things are called as vectors of the weights' text encoder in 8 bits.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load, save

from ..errors import BankRefused, explained

#: Raised when the file or its index changes.
FORMAT = 1
FOLDER = "bank"
FILE = "bank.safetensors"
#: Most bytes of an index once unpacked, and most pixels of a drawing: what is larger was not written by us.
MOST_INDEX, MOST_PIXELS = 64 * 2**20, 1024 * 1024
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Reference:
    """One drawing of a bank."""

    #: `source/name`; unique in a bank.
    id: str
    style: str
    #: Its place in the file.
    place: int


@dataclass(frozen=True, slots=True)
class BankThing:
    """One thing and its drawings."""

    #: Its emoji's code, or its caption.
    key: str
    #: What the denoiser was taught to call it.
    caption: str
    #: The characters themselves, or nothing.
    emoji: str
    #: What it is called elsewhere, by language.
    names: Mapping[str, str]
    #: What it is also found by, by language; the best first.
    keywords: Mapping[str, tuple[str, ...]]
    #: More general and more special words for it (WordNet), each with a share of certainty in (0, 1].
    related: Mapping[str, float]
    drawings: tuple[Reference, ...]

    @property
    def styles(self) -> tuple[str, ...]:
        """In the order of its drawings."""
        return tuple(dict.fromkeys(each.style for each in self.drawings))


@dataclass(frozen=True, eq=False)
class Bank:
    """An opened bank; the drawings are unpacked when they are asked for."""

    #: Side of its drawings in pixels.
    side: int
    things: tuple[BankThing, ...]
    #: title, author, licence of each source.
    sources: Mapping[str, Mapping[str, str]]
    #: Vectors of names (N, width) and the thing and text of each; none in a bank of one's own.
    vectors: NDArray[np.float32]
    vector_names: tuple[tuple[int, str], ...]
    #: sha256 of the file, and of the text encoder that the vectors are of.
    digest: str
    encoder: str
    _pictures: bytes = field(repr=False, default=b"")
    _ends: tuple[int, ...] = field(repr=False, default=())

    @cached_property
    def by_id(self) -> Mapping[str, Reference]:
        """Every drawing by its id."""
        return {drawing.id: drawing for thing in self.things for drawing in thing.drawings}

    @cached_property
    def of_style(self) -> Mapping[str, tuple[tuple[BankThing, Reference], ...]]:
        """Every drawing by its style, in order of the things."""
        found: dict[str, list[tuple[BankThing, Reference]]] = {}
        for thing in self.things:
            for drawing in thing.drawings:
                found.setdefault(drawing.style, []).append((thing, drawing))
        return {style: tuple(each) for style, each in sorted(found.items())}

    def file(self, drawing: Reference) -> bytes:
        """The picture file of a drawing."""
        begin = self._ends[drawing.place - 1] if drawing.place else 0
        return self._pictures[begin : self._ends[drawing.place]]

    def pixels(self, drawing: Reference) -> Bytes:
        """(side, side, 4), straight alpha.

        Raises:
            BankRefused: the picture is damaged, or no such picture.
        """
        return opened(self.file(drawing), self.side, drawing.id)


def opened(content: bytes, side: int, what: str) -> Bytes:
    """The pixels of a picture file of a bank, (side, side, 4).

    Raises:
        BankRefused: it cannot be read, has another size, or no alpha.
    """
    with explained(BankRefused, f"The drawing {what} of the bank is damaged: {{kind}}."), warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = Image.open(io.BytesIO(content), formats=("WEBP", "PNG"))
        if picture.width * picture.height > MOST_PIXELS:
            raise BankRefused(f"The drawing {what} is larger than a bank holds. Build the bank anew.")
        picture.load()
    if picture.mode != "RGBA":
        raise BankRefused(f"The drawing {what} has no alpha: what is drawn and what is background is not known.")
    if picture.size != (side, side):
        raise BankRefused(
            f"The drawing {what} is {picture.size}, not {side} pixels wide and high. Build the bank anew."
        )
    return np.asarray(picture)


def packed(pixels: Bytes, quality: int) -> bytes:
    """(S, S, 4) straight → a WebP file; colours under clear pixels are left out. Quality 100 loses nothing."""
    clean = pixels.copy()
    clean[clean[..., 3] == 0] = 0
    file = io.BytesIO()
    picture = Image.fromarray(clean)
    # Without clear pixels WebP would drop the alpha, and reading asks for it: PNG keeps it.
    if (clean[..., 3] == 255).all():
        picture.save(file, "PNG", optimize=True)
    elif quality >= 100:
        picture.save(file, "WEBP", lossless=True, method=4)
    else:
        picture.save(file, "WEBP", quality=quality, alpha_quality=100, method=4)
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class Entry:
    """A thing that is written: its words, and its drawings as (id, style, picture file)."""

    thing: BankThing
    files: tuple[bytes, ...]


def write(
    file: Path, side: int, entries: Sequence[Entry], sources: Mapping[str, Mapping[str, str]],
    vectors: NDArray[np.float32] | None = None, vector_names: Sequence[tuple[int, str]] = (), encoder: str = "",
) -> None:  # fmt: skip
    """Write a bank; one that is there is replaced at the end, at once, so that readers see the old one or the new."""
    ends = np.cumsum([len(each) for entry in entries for each in entry.files], dtype=np.int64)
    index = {
        "format": FORMAT, "side": side, "sources": {name: dict(told) for name, told in sorted(sources.items())},
        "encoder": encoder, "vector_names": [list(each) for each in vector_names],
        "things": [
            {
                "key": thing.key, "caption": thing.caption, "emoji": thing.emoji, "names": dict(thing.names),
                "keywords": {language: list(words) for language, words in thing.keywords.items()},
                "related": dict(thing.related), "drawings": [[each.id, each.style] for each in thing.drawings],
            }
            for thing in (entry.thing for entry in entries)
        ],
    }  # fmt: skip
    told = zlib.compress(json.dumps(index, ensure_ascii=False, separators=(",", ":")).encode(), 9)
    pictures = b"".join(each for entry in entries for each in entry.files)
    tensors: dict[str, NDArray[Any]] = {
        "index": np.frombuffer(told, np.uint8), "pictures": np.frombuffer(pictures, np.uint8), "ends": ends,
    }  # fmt: skip
    if vectors is not None and len(vectors):
        scales = np.abs(vectors).max(1, keepdims=True).clip(1e-6) / 127
        tensors |= {"names": np.rint(vectors / scales).astype(np.int8), "scales": scales.astype(np.float32)[:, 0]}
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.write_bytes(save(tensors))
    part.replace(file)


def read(folder: Path, *, side: int = 0) -> Bank:
    """Open the bank of a folder; `side`: what its drawings must be, 0 for any.

    Raises:
        BankRefused: there is none, it is damaged, of another version, or of another model; says what to do.
    """
    file = folder / FILE
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise BankRefused(f"There is no {FILE} in {folder}. Build one with: daguerre data bank") from None
    except OSError as problem:
        raise BankRefused(f"{file} cannot be read: {problem.strerror}.") from None
    with explained(BankRefused, f"{file} is damaged ({{kind}}). Build or fetch it again."):
        bank = _parsed(content)
    if side and bank.side != side:
        raise BankRefused(
            f"{file} belongs to another model: its drawings are {bank.side} pixels wide, this one reads {side}. "
            f"Build one for it with: daguerre data bank --size {side}"
        )
    return bank


def _parsed(content: bytes) -> Bank:
    tensors = load(content)
    unpack = zlib.decompressobj()
    told = unpack.decompress(tensors["index"].tobytes(), MOST_INDEX)
    if unpack.unconsumed_tail or not unpack.eof:
        raise ValueError("index")
    index: Any = json.loads(told)
    if index["format"] != FORMAT:
        raise ValueError("format")
    ends = tuple(int(each) for each in tensors["ends"])
    pictures = tensors["pictures"].tobytes()
    things: list[BankThing] = []
    place = 0
    for each in index["things"]:
        drawings = tuple(
            Reference(str(name), str(style), place + k) for k, (name, style) in enumerate(each["drawings"])
        )
        place += len(drawings)
        keywords = {str(language): tuple(map(str, words)) for language, words in each["keywords"].items()}
        things.append(
            BankThing(
                str(each["key"]), str(each["caption"]), str(each["emoji"]),
                {str(language): str(name) for language, name in each["names"].items()}, keywords,
                {str(word): float(share) for word, share in each["related"].items()}, drawings,
            )
        )  # fmt: skip
    sound = place == len(ends) and (not ends or ends[-1] == len(pictures)) and list(ends) == sorted(ends)
    names = tuple((int(thing), str(text)) for thing, text in index["vector_names"])
    vectors = np.zeros((0, 0), np.float32)
    if "names" in tensors:
        vectors = tensors["names"].astype(np.float32) * tensors["scales"].astype(np.float32)[:, None]
    if not sound or len(vectors) != len(names) or any(not 0 <= thing < len(things) for thing, _ in names):
        raise ValueError("counts")
    side = int(index["side"])
    if not 8 <= side <= 1024:
        raise ValueError("side")
    return Bank(
        side, tuple(things), index["sources"], vectors, names, hashlib.sha256(content).hexdigest(),
        str(index["encoder"]), pictures, ends,
    )  # fmt: skip
