"""A sprite set on disk, written piece by piece and read memory-mapped.

Layout of the folder: `sprites.npy` uint8 (N, size, size, 4), straight alpha; `sprites.jsonl`, N rows;
`build.json`, written last, says what was built, so a broken build is never taken for a whole one.
While it is written everything lies in `partial/`, so an older set in the folder stays whole (and stays
mapped where a training run reads it) until the new one takes its place.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import DataMissing, explained

#: Raised when the rows or the rasterising change, so that an older folder is built anew.
FORMAT = 2


@dataclass(frozen=True)
class SpriteSet:
    """The data set in memory (memory-mapped). `rows[k]["i"]` is the index into `images`."""

    #: uint8 (N, size, size, 4), straight alpha.
    images: NDArray[np.uint8]
    rows: Sequence[dict[str, Any]]

    def only(self, *, tier: str | None = None, kinds: Collection[str] = (), sources: Collection[str] = ()) -> SpriteSet:
        """The same pictures with fewer rows: of one tier, of some kinds, of some sources."""
        kept = [
            row
            for row in self.rows
            if (tier is None or row["tier"] == tier)
            and (not kinds or row["kind"] in kinds)
            and (not sources or row["source"] in sources)
        ]
        return SpriteSet(self.images, kept)


def load(folder: Path) -> SpriteSet:
    """Open a built set.

    Raises:
        DataMissing: the folder was not built, or not to its end.
    """
    if not (folder / "build.json").is_file():
        raise DataMissing(f"No data set in {folder}. Build it with: scripts/start data build")
    with explained(DataMissing, f"{folder} is damaged ({{problem}}). Delete it and build again."):
        images = np.load(folder / "sprites.npy", mmap_mode="r", allow_pickle=False)
        with (folder / "sprites.jsonl").open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
    if len(rows) != len(images):
        raise DataMissing(f"{folder} is damaged ({len(images)} pictures, {len(rows)} rows). Delete it and build again.")
    return SpriteSet(images, rows)


def read_build(folder: Path) -> dict[str, Any]:
    """`build.json`, or nothing where the set is not whole."""
    try:
        return json.loads((folder / "build.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


class SpriteWriter:
    """Writes a set source by source. After `commit` a source is safe: another writer for the same goes on there."""

    def __init__(self, folder: Path, size: int, wanted: Mapping[str, Any]) -> None:
        """Open `folder` to write what `wanted` (JSON) describes; what was begun for something else is discarded."""
        self._folder = folder
        self._partial = folder / "partial"
        self._size = size
        self._wanted = dict(wanted)
        state = self._state()
        if state.get("wanted") != json.loads(json.dumps(self._wanted)):
            shutil.rmtree(self._partial, ignore_errors=True)
            self._partial.mkdir(parents=True)
            state = {"rows": 0, "text": 0, "sources": {}}
        #: Rows so far, uncommitted ones included.
        self.rows: int = state["rows"]
        #: What was committed: by source, whatever its commit said.
        self.sources: dict[str, Any] = state["sources"]
        self._images = _open(self._partial / "sprites.npy")
        self._text = _open(self._partial / "sprites.jsonl")
        # What a killed build wrote after its last commit is cut off.
        self._head = self._header()
        self._images.seek(self._head + self.rows * self._row_bytes)
        self._images.truncate()
        self._text.seek(state["text"])
        self._text.truncate()

    def __enter__(self) -> SpriteWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        for file in (self._images, self._text):
            try:
                file.close()
            except OSError:
                # A full disk fails here again, for what still lies in the buffer; the first error is the one told.
                if kind is None:
                    raise

    def discard(self) -> None:
        """Forget what was begun before, committed or not."""
        self.rows, self.sources = 0, {}
        for file, start in ((self._images, self._head), (self._text, 0)):
            file.seek(start)
            file.truncate()

    def add(self, pixels: NDArray[np.uint8], row: Mapping[str, Any]) -> None:
        """Append one picture (size, size, 4) and its row; `i` is filled in."""
        self._images.write(np.ascontiguousarray(pixels).tobytes())
        self._text.write((json.dumps({"i": self.rows} | dict(row), ensure_ascii=False) + "\n").encode())
        self.rows += 1

    def commit(self, source: str, said: Any) -> None:
        """Make all that was added since the last commit safe, as the drawings of `source`."""
        for file in (self._images, self._text):
            file.flush()
            os.fsync(file.fileno())
        self.sources[source] = said
        state = {"wanted": self._wanted, "rows": self.rows, "text": self._text.tell(), "sources": self.sources}
        _write(self._partial / "state.json", state)

    def finish(self, said: Mapping[str, Any]) -> None:
        """Put the whole set in its place, with `said` in build.json."""
        self._images.seek(0)
        self._header()
        for file in (self._images, self._text):
            file.flush()
            os.fsync(file.fileno())
            file.close()
        (self._folder / "build.json").unlink(missing_ok=True)
        for name in ("sprites.npy", "sprites.jsonl"):
            (self._partial / name).replace(self._folder / name)
        _write(self._folder / "build.json", self._wanted | dict(said))
        shutil.rmtree(self._partial)

    @property
    def _row_bytes(self) -> int:
        return self._size * self._size * 4

    def _header(self) -> int:
        """Write the .npy header for the rows so far; its length, which numpy pads so that it never changes."""
        self._images.seek(0)
        shape = (self.rows, self._size, self._size, 4)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._images, header)
        return self._images.tell()

    def _state(self) -> dict[str, Any]:
        try:
            return json.loads((self._partial / "state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}


def _open(file: Path) -> BinaryIO:
    return file.open("r+b" if file.exists() else "w+b")


def _write(file: Path, content: Mapping[str, Any]) -> None:
    """Replace a JSON file in one step."""
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    fresh.replace(file)
