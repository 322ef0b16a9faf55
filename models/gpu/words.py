"""The sentence teacher's part of the pack: vectors of exactly the words and concepts that the text stage learns from.

A vector has 512 numbers; 58,000 words would take 59 MB in fp16. So they are packed in their first principal directions,
as many as the encoder's states have numbers, in 8 bits each, and of the words as many as there is room for: people's
keywords first, then the teacher's own list, common words first.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from ..data.describe import names_of
from ..data.firstlight import CONCEPTS
from ..data.scene import Scene
from ..data.store import SpriteSet
from ..errors import DataError, TrainingError
from ..training.corpus import Captions, Corpus, build_corpus
from ..training.lexicon import lexicon
from ..training.textstage import unseen_wordings

NAME = "teacher.safetensors"
#: Numbers of a packed vector: the width of the encoder that learns from it.
DIRECTIONS = 192


def pack_words(
    sprites: SpriteSet, further: Sequence[Mapping[str, Any]], teacher: Path, folder: Path, room: int,
    report: Any = print,
) -> None:  # fmt: skip
    """Write the vectors of the corpus of these rows, from the teacher's cache or the teacher itself, in `room` bytes.

    Raises:
        DataError: the teacher is not installed.
    """

    def silent(_: random.Random) -> tuple[str, Scene]:
        raise AssertionError("no caption is asked for here")

    try:
        corpus = _corpus(sprites, further, silent, teacher, report)
    except TrainingError as problem:
        raise DataError(f"{problem} Or pack without it: --without-teacher") from None
    vectors, concepts = corpus.vectors.float(), corpus.prototypes.float()
    tensors = shorten(vectors, concepts)
    fixed = sum(each.nbytes for name, each in tensors.items() if name != "words")
    fixed += len(json.dumps(corpus.lexicon.concepts)) + 4096
    # Each word with its text, which the file's header quotes once more, and a comma and a space.
    texts = [json.dumps(json.dumps(word, ensure_ascii=False), ensure_ascii=False) for word in corpus.words]
    sizes = torch.tensor([len(text.encode()) + DIRECTIONS for text in texts]).cumsum(0)
    kept = int((sizes <= room - fixed).sum())
    words, tensors["words"] = corpus.words[:kept], tensors["words"][:kept].clone()
    about = {
        "words": json.dumps(words, ensure_ascii=False),
        "concepts": json.dumps(corpus.lexicon.concepts, ensure_ascii=False),
    }
    save_file(tensors, folder / NAME, metadata=about)
    back, _ = lengthen(tensors)
    alike = functional.cosine_similarity(back, vectors[:kept], dim=1)
    report(
        f"{kept} of {len(corpus.words)} words ({kept / max(1, len(corpus.words)):.0%}) and "
        f"{len(corpus.lexicon.concepts)} concepts; cosine of a packed vector to the teacher's: "
        f"{alike.mean():.3f} on average"
    )


def shorten(vectors: Tensor, concepts: Tensor) -> dict[str, Tensor]:
    """Vectors (N, W) and (C, W) of length 1 as 8-bit and fp16 coefficients of their first principal directions."""
    every = torch.cat([vectors, concepts])
    _, directions = torch.linalg.eigh(every.T @ every)
    basis = directions.flip(1)[:, :DIRECTIONS]
    long = vectors @ basis
    scale = long.abs().amax(0).clamp(min=1e-6) / 127
    return {
        "basis": basis.half().contiguous(), "scale": scale.float(), "words": (long / scale).round().to(torch.int8),
        "prototypes": (concepts @ basis).half().contiguous(),
    }  # fmt: skip


def lengthen(tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The inverse of `shorten`, fp32 of length 1."""
    basis = tensors["basis"].float()
    return (
        functional.normalize(tensors["words"].float() * tensors["scale"] @ basis.T, dim=1),
        functional.normalize(tensors["prototypes"].float() @ basis.T, dim=1),
    )


def packed_corpus(sprites: SpriteSet, further: Sequence[Mapping[str, Any]], caption: Captions, folder: Path) -> Corpus:
    """The corpus that `build_corpus` would give, without the teacher; with as many of its words as were packed.

    Raises:
        DataError: the pack has no vectors, or those of other rows.
    """
    if not (folder / NAME).is_file():
        raise DataError(f"{folder} holds no vectors of the sentence teacher. Pack again, with --teacher FOLDER.")
    bare = _corpus(sprites, further, caption, None)
    with safe_open(folder / NAME, "pt") as opened:
        about = opened.metadata()
        words, prototypes = lengthen({name: opened.get_tensor(name) for name in opened.keys()})  # noqa: SIM118
    if json.loads(about["concepts"]) != list(bare.lexicon.concepts):
        raise DataError("The pack is of another list of concepts or synonyms. Pack again: scripts/gpu-pack")
    return Corpus(
        bare.lexicon, caption, bare.unseen, bare.examined, tuple(json.loads(about["words"])), words.half(), prototypes,
        bare.favoured,
    )  # fmt: skip


def _corpus(
    sprites: SpriteSet, further: Sequence[Mapping[str, Any]], caption: Captions, teacher: Path | None,
    report: Any = print,
) -> Corpus:  # fmt: skip
    rows = [*further, *sprites.rows]
    unseen = unseen_wordings(rows, CONCEPTS)
    favoured = tuple(names_of(sprites.rows, CONCEPTS))
    return build_corpus(
        lexicon(rows, CONCEPTS, unseen), caption, unseen, teacher or Path(), favoured=favoured,
        teacher=teacher is not None, report=report,
    )  # fmt: skip
