"""Draw what is asked of the drawer's denoiser, many pictures at once, straight to tensors.

The way of serving is `drawer`'s own pipeline; this one needs nothing but the denoiser, for weights in training.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from ...data import SpriteSet
from ...drawer.network import MOST, SLOTS, Context, DrawerDenoiser, opened
from ...errors import DataMissing, WeightsMissing, WeightsRefused, explained
from ...training.drawer import Words, native_bfloat16
from .questions import Question


@dataclass(frozen=True, slots=True)
class DrawerSampling:
    """How pictures are drawn."""

    steps: int = 16
    #: x̂ = bare + references · (shown − bare) + text · (both − shown).
    references: float = 1.5
    text: float = 2.0


class DrawerPaint(Protocol):
    """Draws what is asked."""

    def __call__(self, asks: Sequence[Question]) -> Tensor:
        """(B, 4, S, S) in [-1, 1], premultiplied."""
        ...


def open_denoiser(folder: Path) -> DrawerDenoiser:
    """An exported denoiser, in float32.

    Raises:
        WeightsMissing, WeightsRefused: say which folder.
    """
    if not (folder / "unet" / "config.json").is_file():
        raise WeightsMissing(f"There is no denoiser in {folder}.")
    with explained(WeightsRefused, f"The denoiser in {folder} cannot be used: {{problem}}."):
        return opened(folder).eval().requires_grad_(False).to(memory_format=torch.channels_last)


def open_words(folder: Path) -> Words:
    """Text encoder and tokenizer of a pipeline folder.

    Raises:
        WeightsMissing, WeightsRefused: say which folder.
    """
    if not (folder / "text_encoder").is_dir():
        raise WeightsMissing(f"There is no text encoder in {folder}.")
    with explained(WeightsRefused, f"The text encoder in {folder} cannot be used: {{problem}}."):
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer", local_files_only=True)
        text = T5EncoderModel.from_pretrained(folder / "text_encoder", local_files_only=True, use_safetensors=True)
    return Words(text, tokenizer)


def drawer_painter(
    model: DrawerDenoiser,
    words: Words,
    sprites: SpriteSet,
    sampling: DrawerSampling,
    *,
    batch: int = 24,
    report: Callable[[str], None] = lambda line: None,
) -> DrawerPaint:
    """Draw with a denoiser; a picture depends on its own seed alone, not on its batch.

    Raises:
        DataMissing: the drawings are of another size than the denoiser's.
    """
    side = model.size
    if sprites.images.shape[1] != side:
        raise DataMissing(f"This denoiser draws from drawings of {side} px: daguerre data build --size {side}")
    fast = native_bfloat16()

    @torch.inference_mode()
    def paint(asks: Sequence[Question]) -> Tensor:
        drawn: list[Tensor] = []
        began = time.monotonic()
        for begin in range(0, len(asks), batch):
            part = asks[begin : begin + batch]
            given = context(model, words, sprites.images, part)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
                latents = sample(model, given, [ask.seed for ask in part], sampling)
            drawn.append(model.decode(latents))
            pace = sum(map(len, drawn)) / (time.monotonic() - began)
            report(f"drawn {sum(map(len, drawn))} of {len(asks)} pictures, {pace:.1f}/s")
        return torch.cat(drawn) if drawn else torch.zeros(0, 4, side, side)

    return paint


def context(model: DrawerDenoiser, words: Words, images: NDArray[np.uint8], asks: Sequence[Question]) -> Context:
    """What B pictures are drawn from, three rows for each: nothing, drawings alone, drawings and words; (3 · B)."""
    slots = [[*ask.references[:MOST], *[-1] * (MOST - len(ask.references)), ask.shown_style] for ask in asks]
    index = torch.tensor(slots)
    known = torch.cat([torch.zeros_like(index, dtype=torch.bool), index >= 0, index >= 0])
    pixels = torch.from_numpy(images[index.clamp(min=0).flatten().numpy()]).permute(0, 3, 1, 2).float() / 255
    alpha = pixels[:, 3:]
    latents = model.encode(torch.cat([pixels[:, :3] * alpha, alpha], 1) * 2 - 1).unflatten(0, (-1, SLOTS))
    texts = ("",) * (2 * len(asks)) + tuple(ask.text for ask in asks)
    return Context.of(words(texts), latents.repeat(3, 1, 1, 1, 1), known)


def sample(model: DrawerDenoiser, given: Context, seeds: Sequence[int], sampling: DrawerSampling) -> Tensor:
    """DPM-Solver++ 2M (2211.01095, algorithm 2) on x_t = (1 − t) x₀ + t ε from t = 1 to 0; latents (B, C, h, w)."""
    shape, count = (model.channels, model.latent, model.latent), len(seeds)
    noise = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    x = torch.stack(noise)
    times = torch.linspace(1, 0, sampling.steps + 1).tolist()
    before, last = None, 0.0
    for now, following in itertools.pairwise(times):
        told = model(x.repeat(3, 1, 1, 1), torch.full((3 * count,), now), given)
        bare, shown, both = told.chunk(3)
        clean = bare + sampling.references * (shown - bare) + sampling.text * (both - shown)
        leap = clean
        if following > 0:
            # λ = log((1 − t) / t): a step of h, after one of `last`, which is infinite from pure noise.
            step = _lambda(following) - _lambda(now) if now < 1 else float("inf")
            if before is not None and last < float("inf"):
                leap = clean + step / (2 * last) * (clean - before)
            before, last = clean, step
        x = following / now * x + (1 - following / now) * leap
    return x


def _lambda(time: float) -> float:
    return float(np.log((1 - time) / time))
