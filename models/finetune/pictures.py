"""The user's pictures as a fine-tune sees them: squares of the base's size, captions with the trigger word."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..data import SpriteSet
from ..errors import DataMissing, TrainingError
from .base import Base

#: Pictures from which on a share of them can be kept out.
ENOUGH_TO_HOLD_OUT = 10


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is learnt from, and what is only measured on."""

    sprites: SpriteSet
    #: For each picture, one or more captions.
    captions: Sequence[Sequence[str]]
    #: Places in `sprites.rows`.
    learnt: Sequence[int]
    held_out: Sequence[int]
    #: sha256 of pixels and captions.
    digest: str


def prepare(sprites: SpriteSet, held_out: float) -> Pictures:
    """Check a set of pictures and choose which are kept out: evenly spread, none below ten pictures.

    Raises:
        DataMissing: there is no picture, or one without a caption; says which and what to do.
    """
    if not sprites.rows:
        raise DataMissing(
            "There is no picture to learn from. Put PNG, JPEG or WebP files with a metadata.jsonl (file_name, "
            "text), or with telling file names, into one folder; five are enough to begin."
        )
    captions = [captions_of(row) for row in sprites.rows]
    if bare := [str(row.get("name", index)) for index, row in enumerate(sprites.rows) if not captions[index]]:
        raise DataMissing(
            f"{len(bare)} of {len(captions)} pictures have no caption ({', '.join(bare[:3])}). Add a line "
            '{"file_name": "…", "text": "what it shows"} for each to metadata.jsonl, or name the files after it.'
        )
    total = hashlib.sha256()
    for row, texts in zip(sprites.rows, captions, strict=True):
        total.update(np.ascontiguousarray(sprites.images[row["i"]]).tobytes())
        total.update("\0".join(texts).encode())
    count = len(captions)
    kept_out = round(held_out * count) if count >= ENOUGH_TO_HOLD_OUT else 0
    aside = {round((index + 0.5) * count / kept_out - 0.5) for index in range(kept_out)}
    return Pictures(
        sprites, captions, [i for i in range(count) if i not in aside], sorted(aside), total.hexdigest()
    )  # fmt: skip


def captions_of(row: Mapping[str, Any]) -> list[str]:
    """Every caption of a row, in whatever languages it has; English first."""
    texts = {key: str(value).strip() for key, value in row.items() if key.startswith("caption_") and value}
    return [texts[key] for key in sorted(texts, key=lambda key: (key != "caption_en", key)) if texts[key]]


def prompt(caption: str, trigger: str) -> str:
    """The trigger word in front, where no tokenizer cuts it off."""
    return f"{trigger}, {caption}" if trigger else caption


def pixels(sprites: SpriteSet, rows: Sequence[int], size: int, *, mirrored: bool) -> Iterator[NDArray[np.uint8]]:
    """Each row's picture on white, uint8 (size, size, 3)."""
    for row in rows:
        picture = Image.fromarray(np.asarray(sprites.images[sprites.rows[row]["i"]]))
        if picture.size != (size, size):
            # "RGBa" is Pillow's premultiplied mode: the hidden colour of clear pixels must not bleed into edges.
            picture = picture.convert("RGBa").resize((size, size), Image.Resampling.LANCZOS).convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        flat = np.array(Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB"))
        yield np.ascontiguousarray(flat[:, ::-1]) if mirrored else flat


@dataclass(frozen=True, slots=True)
class Latents:
    """Encoded pictures of one part of the set; where mirrored ones were wanted, they follow all others."""

    #: (n or 2 n, 4, h, w) each.
    means: Tensor
    deviations: Tensor
    captions: Sequence[Sequence[str]]

    def batch(
        self, count: int, choose: random.Random, generator: torch.Generator, trigger: str, dropout: float
    ) -> tuple[Tensor, list[str]]:
        """`count` clean latents on the generator's device, and a prompt of each, a share of them empty."""
        own = len(self.captions)
        # Without repetition where the set is large enough for it.
        rows = choose.sample(range(own), count) if count <= own else choose.choices(range(own), k=count)
        turned = [row + own * choose.randrange(len(self.means) // own) for row in rows]
        means, deviations = (part[turned].to(generator.device) for part in (self.means, self.deviations))
        texts = [
            "" if choose.random() < dropout else prompt(choose.choice(self.captions[row]), trigger) for row in rows
        ]
        noise = torch.randn(means.shape, generator=generator, device=generator.device)
        return means + deviations * noise, texts


def latents(
    file: Path, base: Base, pictures: Pictures, rows: Sequence[int], size: int, *, mirror: bool, device: torch.device
) -> Latents:
    """The encoded pictures of some rows; kept in `file`, which is used again where it is of the same.

    Raises:
        TrainingError: the disk is full or cannot be written.
    """
    captions = [pictures.captions[row] for row in rows]
    made_of = json.dumps([base.digest, pictures.digest, list(rows), size, mirror])
    try:
        with safe_open(file, "pt") as opened:
            if (opened.metadata() or {}).get("made_of") == made_of:
                return Latents(opened.get_tensor("means"), opened.get_tensor("deviations"), captions)
    except (SafetensorError, OSError):
        pass  # missing or damaged: encoded anew
    turned = [False, True] if mirror else [False]
    found = [
        _encode(base, each, device) for way in turned for each in pixels(pictures.sprites, rows, size, mirrored=way)
    ]
    empty = torch.zeros(0, base.pipeline.unet.config.in_channels, 0, 0)
    means, deviations = (torch.cat([pair[part] for pair in found]) if found else empty for part in (0, 1))
    part = file.with_suffix(".part")
    try:
        save_file({"means": means.contiguous(), "deviations": deviations.contiguous()}, part, {"made_of": made_of})
        part.replace(file)
    except (OSError, SafetensorError) as problem:
        part.unlink(missing_ok=True)
        raise TrainingError(
            f"Cannot write {file} ({problem}). Free some disk space and run the same command again."
        ) from problem
    return Latents(means, deviations, captions)


@torch.no_grad()
def _encode(base: Base, picture: NDArray[np.uint8], device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the codec's posterior, (1, 4, h, w) each, on the CPU, as the denoiser takes them."""
    vae = base.pipeline.vae.to(device)
    values = torch.from_numpy(picture).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
    posterior = vae.encode(values).latent_dist
    mean = (posterior.mean - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor
    return mean.cpu(), (posterior.std * vae.config.scaling_factor).cpu()
