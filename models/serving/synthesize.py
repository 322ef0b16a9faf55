"""Render a list of prompts into an `imagefolder` data set: numbered PNG files and one row of `metadata.jsonl` for each.

A picture's row is written after its file is whole on disk, so a run that is killed at any moment leaves no row without
its picture; the same command goes on after the last row and renders what has none.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from PIL import Image

from ..errors import DataError, explained
from ..provenance import TRAINED_MEDIA, encode_png, software
from .jobs import Cancelled
from .prompts import Picture, Prompt, plan

METADATA = "metadata.jsonl"
#: Pictures of one prompt that are rendered together.
TOGETHER = 8


#: A picture, its text chunks and its file's name in; the bytes of a PNG file out.
Encode = Callable[[Image.Image, Mapping[str, str], str], bytes]


def plainly(picture: Image.Image, texts: Mapping[str, str], _: str) -> bytes:
    """The file without more marks than its text chunks."""
    return encode_png(picture, texts)


class Renderer(Protocol):
    """What is needed of `engine.Engine`, loaded."""

    def describe(self) -> Mapping[str, Any]: ...

    def generate(
        self,
        prompt: str,
        *,
        negative: str,
        seeds: Sequence[int],
        steps: int,
        guidance: float,
        width: int,
        height: int,
        on_step: Callable[[int, int], None],
    ) -> Sequence[Image.Image]: ...


@dataclass(frozen=True, slots=True)
class Synthesis:
    """What became of a list."""

    #: Pictures in the folder now, and those that this run added.
    pictures: int
    added: int
    #: False where `stop` ended it early; the same call goes on.
    finished: bool
    #: Words that the model does not know → lines they stand in.
    unknown: Mapping[str, int]


def synthesize(
    engine: Renderer,
    prompts: Sequence[Prompt],
    folder: Path,
    *,
    count: int = 1,
    steps: int = 16,
    guidance: float = 3.0,
    size: int = 256,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
    unknown: Callable[[str], Sequence[str]] = lambda prompt: (),
    encode: Encode = plainly,
) -> Synthesis:
    """Render `count` pictures of each prompt (or what its line says) that `folder` does not hold yet.

    Args:
        engine: loaded.
        progress: called with the pictures done and those in all, once at the start and after each picture.
        stop: asked at every step.
        unknown: the words of a prompt that the model does not know; they are counted, not refused.
        encode: makes the files, and may mark them.

    Raises:
        DataError: the folder holds other pictures, is in use, or cannot be written.
        EngineError: see `Engine.generate`.
    """
    pictures = plan(prompts, count=count, steps=steps, guidance=guidance, size=size)
    strange = Counter(word for prompt in prompts for word in set(unknown(prompt.text)))
    about = engine.describe()

    def on_step(_: int, __: int) -> None:
        if stop():
            raise Cancelled

    with _explained(folder), _opened(folder) as metadata:
        done = _done(metadata, folder, pictures, about)
        before = len(done)
        progress(before, len(pictures))
        left = [picture for picture in pictures if picture.number not in done]
        try:
            for batch in _batches(left):
                one = batch[0]
                made = engine.generate(
                    one.text,
                    negative=one.negative,
                    seeds=[picture.seed for picture in batch],
                    steps=one.steps,
                    guidance=one.guidance,
                    width=one.width,
                    height=one.height,
                    on_step=on_step,
                )
                for picture, image in zip(batch, made, strict=True):
                    row = _row(picture, about)
                    _write(folder / picture.file_name, encode(image, _texts(picture, row), picture.file_name))
                    _append(metadata, row)
                    done.add(picture.number)
                    progress(len(done), len(pictures))
                if stop():
                    break
        except Cancelled:
            pass
    return Synthesis(len(done), len(done) - before, len(done) == len(pictures), dict(strange.most_common()))


def _batches(pictures: Sequence[Picture]) -> Iterator[list[Picture]]:
    """Neighbours that differ in nothing but their seeds, at most `TOGETHER`."""

    def shared(picture: Picture) -> tuple[Any, ...]:
        return picture.text, picture.negative, picture.steps, picture.guidance, picture.width, picture.height

    for _, group in groupby(pictures, shared):
        alike = list(group)
        yield from (alike[start : start + TOGETHER] for start in range(0, len(alike), TOGETHER))


def _row(picture: Picture, about: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "file_name": picture.file_name,
        "text": picture.text,
        "negative": picture.negative,
        "seed": picture.seed,
        "steps": picture.steps,
        "guidance": picture.guidance,
        "width": picture.width,
        "height": picture.height,
        "model": about.get("model", ""),
        "model_digest": about.get("model_digest", ""),
        "engine": about.get("engine", 0),
        "sampler": about.get("sampler", ""),
        "upscaler": about.get("upscaler", "none"),
        "software": software(),
        "digital_source_type": TRAINED_MEDIA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _texts(picture: Picture, row: Mapping[str, Any]) -> dict[str, str]:
    """Text chunks, named as in the pictures that members get."""
    return {
        "Description": picture.text,
        "Negative": picture.negative,
        "Seed": str(picture.seed),
        "Steps": str(picture.steps),
        "Guidance": f"{picture.guidance:g}",
        "Model": f"{row['model']} {row['model_digest']}".strip(),
        "Creation Time": row["created"],
    }


#: What must agree between a row and the picture that the list now asks for under its number.
_OF_PICTURE = ("text", "negative", "seed", "steps", "guidance", "width", "height")
#: And between the row and the engine.
_OF_ENGINE = ("model_digest", "engine")


def _done(metadata: BinaryIO, folder: Path, pictures: Sequence[Picture], about: Mapping[str, Any]) -> set[int]:
    """Numbers of the pictures that are there; a line that a killed run left torn is cut off.

    Raises:
        DataError: a row is not of this list, of these weights, or without its file.
    """
    by_name = {picture.file_name: picture for picture in pictures}
    done: set[int] = set()
    whole = 0
    for number, line in enumerate(metadata.read().splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            break
        whole += len(line)
        with explained(DataError, f"{folder / METADATA} is damaged in line {number}. Delete that line and run again."):
            row: dict[str, Any] = json.loads(line)
            picture = by_name.get(row["file_name"])
        if picture is None or any(row.get(key) != getattr(picture, key) for key in _OF_PICTURE):
            raise DataError(
                f"{folder} already holds pictures of another list or other settings ({row['file_name']}). Name another "
                "folder; lines may only be added at the end of a list."
            )
        if any(row.get(key) != about.get(key) for key in _OF_ENGINE):
            raise DataError(
                f"{folder} was begun with other weights or another version ({row.get('model')}, engine "
                f"{row.get('engine')}). Name another folder, or use those again."
            )
        done.add(picture.number)
    metadata.truncate(whole)
    metadata.seek(whole)
    if missing := [p.file_name for p in pictures if p.number in done and not (folder / p.file_name).is_file()]:
        raise DataError(f"{folder} lacks {missing[0]}, which {METADATA} lists. Delete that line and run again.")
    return done


@contextmanager
def _opened(folder: Path) -> Iterator[BinaryIO]:
    """The metadata file, for this process alone."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / METADATA
    file.touch()
    with file.open("r+b") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"Another process is rendering into {folder}. Wait for it, or name another folder."
            ) from None
        yield opened


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn what the disk says into an error that says what to do."""
    try:
        yield
    except OSError as problem:
        raise DataError(
            f"Cannot write to {folder}: {problem.strerror or problem}. Make room or choose another folder; the same "
            "command goes on where it stopped."
        ) from problem


def _write(file: Path, data: bytes) -> None:
    """Whole on disk or not at all."""
    file.parent.mkdir(exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    with part.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)


def _append(metadata: BinaryIO, row: Mapping[str, Any]) -> None:
    metadata.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
    metadata.flush()
    os.fsync(metadata.fileno())
