"""Put a weights folder together: an exported denoiser, a text encoder that is there, a bank, an upscaler, words.

Run as `python -m daguerre.models.drawer.assemble DENOISER WORDS BANK OUT`.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.utils import logging
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from ..common import BACKGROUNDS, COLOURS, digest_of, replacing, without_paths
from ..errors import WeightsRefused, explained
from . import bank
from .bank import Bank
from .colour_words import SPOKEN
from .network import opened
from .pipeline import DrawerPipeline, scheduler
from .reading import Reader
from .search import SILENT, Vectors
from .spelling import plurals

#: Weights in the repository are cut into files below 16 MB.
SHARD = "15MB"
#: Parts of the folder whose words are taken over that do not depend on its denoiser.
KEPT = ("upscaler",)
#: How sure a word of WordNet must be to count as a thing's name in a list of things: `two hounds and a castle`.
AS_NAME = 0.85


class Encoder:
    """The text encoder of a weights folder, as the bank's builder takes it."""

    def __init__(self, reader: Reader, digest: str) -> None:
        self.encode: Vectors = reader.vectors
        self.digest = digest


def text_encoder(weights: Path) -> Encoder:
    """How the weights' text encoder reads names.

    Raises:
        WeightsRefused: there is none.
    """
    encoder, tokenizer = _words(weights)
    return Encoder(Reader(encoder, tokenizer), digest_of(weights / "text_encoder"))


def assemble(
    denoiser: Path, words: Path, references: Path, out: Path, *, reference_guidance: float = 0.0,
    card: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """Write the folder `out`; an older one is replaced at the end only, what people wrote in it stays.

    Args:
        denoiser: an exported denoiser, `unet/` and `vae/`.
        words: weights whose text encoder, tokenizer and upscaler are taken over.
        references: folder of the bank.
        reference_guidance: 0: as much as that of the words.

    Raises:
        WeightsRefused, BankRefused: a part is missing, damaged, or of another size.
    """
    with explained(WeightsRefused, f"There is no denoiser in {denoiser}: {{problem}}"):
        model = opened(denoiser, torch.float16)
    encoder, tokenizer = _words(words)
    shipped = bank.read(references, side=model.size)
    pipeline = DrawerPipeline(encoder, tokenizer, model.unet, model.vae.half(), scheduler(), reference_guidance)
    with replacing(out, keep="*.md") as part:
        pipeline.save_pretrained(part, safe_serialization=True, max_shard_size=SHARD)
        # The text encoder as it is, to the bit: what it says of names is in the bank.
        shutil.rmtree(part / "text_encoder")
        shutil.copytree(words / "text_encoder", part / "text_encoder")
        without_paths(part)
        (part / bank.FOLDER).mkdir()
        for name in (bank.FILE, "README.md"):
            if (references / name).is_file():
                shutil.copy2(references / name, part / bank.FOLDER / name)
        for name in KEPT:
            if (words / name).is_dir():
                shutil.copytree(words / name, part / name)
        told = json.dumps(vocabulary(shipped), ensure_ascii=False, indent=0)
        (part / "vocabulary.json").write_text(told + "\n", encoding="utf-8")
        (part / "training.json").write_text(json.dumps(card or {}, indent=1) + "\n")


def vocabulary(references: Bank) -> dict[str, list[str]]:
    """What a bank's things are called, for `daguerre.queue.vocabulary` and for layouts.

    Names are what a list of things is read of; words are what else a prompt may say without being told that nobody
    knows it.
    """
    concepts = sorted({thing.caption for thing in references.things if thing.emoji})
    names: set[str] = set()
    words: set[str] = set(SILENT) | {*BACKGROUNDS, *references.of_style, "gradient", "going", "both", "together"}
    for thing in references.things:
        names |= {thing.caption, *thing.names.values(), *plurals(thing.caption.lower())}
        if thing.caption.endswith(" face"):
            names.add(thing.caption.removesuffix(" face"))
        words |= {word for kept in thing.keywords.values() for word in kept}
        sure = {word for word, share in thing.related.items() if share >= AS_NAME}
        names |= sure
        words |= thing.related.keys() - sure
    for said in SPOKEN.values():
        words |= {word.replace("_", " ") for word in said.split() if not word.endswith("*")}
    for colour in COLOURS.values():
        words |= {*colour.english, *colour.chinese, colour.short}
    # Prompts are looked at word by word.
    words = {piece for word in words for piece in word.split()}
    return {"concepts": concepts, "names": sorted(names - {""}), "words": sorted(words - names)}


def _words(weights: Path) -> tuple[T5EncoderModel, PreTrainedTokenizerFast]:
    with explained(WeightsRefused, f"There is no text encoder with its tokenizer in {weights}: {{problem}}"):
        encoder = T5EncoderModel.from_pretrained(
            weights / "text_encoder", local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        return encoder, PreTrainedTokenizerFast.from_pretrained(weights / "tokenizer", local_files_only=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Put a weights folder together.")
    parser.add_argument("denoiser", type=Path, help="exported denoiser")
    parser.add_argument("words", type=Path, help="weights whose text encoder, tokenizer and upscaler are taken over")
    parser.add_argument("bank", type=Path, help="folder of the bank")
    parser.add_argument("out", type=Path, help="weights folder to write")
    parser.add_argument("--reference-guidance", type=float, default=0.0, help="of the drawings; 0: that of the words")
    told = parser.parse_args(arguments)
    logging.disable_progress_bar()
    assemble(told.denoiser, told.words, told.bank, told.out, reference_guidance=told.reference_guidance)


if __name__ == "__main__":
    main()
