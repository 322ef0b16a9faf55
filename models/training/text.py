"""Teach the text encoder which captions mean the same, before any picture: minutes that save the denoiser hours.

Each caption is classified by concept, drawing style and background from the mean of all 24 states, padding included:
the denoiser attends to padding as well, so padding must carry the meaning, too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from .. import networks
from ..data.captions import caption
from ..errors import TrainingError
from .latents import Shown
from .schedule import learning_rate
from .tokenizer import tokenize


@dataclass(frozen=True, slots=True)
class TextRecipe:
    """Every number of a text run."""

    width: int = 192
    layers: int = 3
    vocabulary: int = 6_144
    batch: int = 64
    steps: int = 600
    rate: float = 1e-3
    warmup: int = 50
    seed: int = 1


class CaptionClassifier(nn.Module):
    """The encoder with one linear head for each thing that a caption can say."""

    def __init__(self, encoder: T5EncoderModel, width: int, classes: Sequence[int]) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleList(nn.Linear(width, count) for count in classes)

    def forward(self, tokens: Tensor) -> list[Tensor]:
        """Logits (B, classes) of each head for tokens (B, 24)."""
        pooled = self.encoder(tokens)[0].mean(1)
        return [head(pooled) for head in self.heads]


def train_text(
    recipe: TextRecipe,
    shown: Sequence[Shown],
    tokenizer: PreTrainedTokenizerFast,
    file: Path,
    report: Callable[[str], None] = print,
) -> T5EncoderModel:
    """Train the encoder, or read it from `file` where it is there. Takes minutes, so it is not resumed in between.

    Raises:
        TrainingError: the loss is not a number.
    """
    torch.manual_seed(recipe.seed)
    encoder = networks.text_encoder(len(tokenizer), recipe.width, recipe.layers)
    if file.is_file():
        encoder.load_state_dict(load_file(file))
        return encoder
    concepts, styles, backgrounds = (sorted(set(values)) for values in zip(*map(_meaning, shown), strict=True))
    model = CaptionClassifier(encoder, recipe.width, (len(concepts), len(styles), len(backgrounds)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, betas=(0.9, 0.99), fused=True)
    right = 0.0
    for step in range(recipe.steps):
        # One batch: what each row shows, and one thing that may be said of it.
        choose = random.Random(f"text/{recipe.seed}/{step}")
        rows = choose.choices(shown, k=recipe.batch)
        texts = [caption(row.english, row.chinese, row.style, row.background, choose) for row in rows]
        meanings = [_meaning(row) for row in rows]
        targets = [torch.tensor([concepts.index(c) for c, _, _ in meanings])]
        # A style that the caption does not name cannot be asked for; -100 is ignored by the loss.
        targets.append(torch.tensor([_index(styles, s, t) for (_, s, _), t in zip(meanings, texts, strict=True)]))
        targets.append(torch.tensor([backgrounds.index(b) for _, _, b in meanings]))

        # Update.
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * learning_rate(step, recipe.steps, recipe.warmup)
        logits = model(tokenize(tokenizer, texts))
        loss = sum(functional.cross_entropy(a, b) for a, b in zip(logits, targets, strict=True))
        if not isinstance(loss, Tensor) or not torch.isfinite(loss):
            raise TrainingError(f"The loss of the text encoder is {loss} at step {step}. Lower its `rate`.")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        hit = (logits[0].argmax(1) == targets[0]).float().mean().item()
        right = 0.95 * right + 0.05 * hit
        if (step + 1) % 50 == 0:
            report(f"text step {step + 1}/{recipe.steps} loss {loss.item():.3f} concepts right {right:.2f}")
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.clone() for key, value in encoder.state_dict().items()}, file)
    return encoder


def _meaning(row: Shown) -> tuple[str, str, str]:
    return row.english[0], row.style, row.background


def _index(styles: Sequence[str], style: str, text: str) -> int:
    return styles.index(style) if style in text else -100
