"""Learn from earlier weights what they draw well, while the data teach the rest (knowledge distillation, 1503.02531).

What one drawing says about "a cat" is mostly noise: every artist draws it differently, and a step follows the one that
it was shown. Weights that know cats say what cats have in common, so that a step with them wanders less. They are asked
only about scenes that they were trained on: one thing, as drawn, on one colour, in a square; and they are told its
drawing style, of which the captions mostly say nothing, so that what they say is about this picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from ..data import Scene, with_article
from ..data.describe import Names
from .tokenizer import tokenize


@dataclass(frozen=True, slots=True)
class DistilRecipe:
    """Whom the denoiser learns from besides the data."""

    #: A pipeline folder of this project with the same codec, trained on plain scenes; empty for none.
    weights: str = ""
    #: Its share of the target, where it is asked.
    share: float = 0.75
    #: Whether it knows backgrounds besides white, and is asked about them.
    backgrounds: bool = True


class Teacher:
    """Earlier weights and what they say of a batch."""

    def __init__(self, recipe: DistilRecipe, names: Names, device: str) -> None:
        folder, local = Path(recipe.weights), {"local_files_only": True, "use_safetensors": True}
        self._tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer", local_files_only=True)
        self._text = T5EncoderModel.from_pretrained(folder / "text_encoder", **local).float().eval().to(device)
        unet = UNet2DConditionModel.from_pretrained(folder / "unet", **local).float().eval()
        self._unet = unet.to(device, memory_format=torch.channels_last)
        self._names = names
        self._share = recipe.share
        self._backgrounds = recipe.backgrounds

    @torch.no_grad()
    def target(
        self, noisy: Tensor, times: Tensor, truth: Tensor, scenes: Sequence[Scene], texts: Sequence[str]
    ) -> Tensor:
        """The target to learn: `truth` with the teacher's share in the rows of scenes that it knows.

        Args:
            noisy: (B, 4, h, w).
            times: (B,) in [0, 1000].
            truth: what the data say of each row (B, 4, h, w), a velocity.
            scenes: what each row shows.
            texts: the captions that the denoiser is given; empty ones are not the teacher's to say.
        """
        rows = [
            row
            for row, (scene, text) in enumerate(zip(scenes, texts, strict=True))
            if text and known(scene) and (self._backgrounds or scene.background == "white")
        ]
        if not rows:
            return truth
        said = tokenize(self._tokenizer, [plainly(scenes[row], self._names) for row in rows]).to(noisy.device)
        velocity = self._unet(noisy[rows], times[rows], self._text(said)[0]).sample.float()
        target = truth.clone()
        target[rows] += self._share * (velocity - truth[rows])
        return target


def known(scene: Scene) -> bool:
    """Whether weights that were trained on plain scenes know what it shows."""
    return scene.kind == "single" and scene.gradient is None and scene.aspect == 1


def plainly(scene: Scene, names: Names) -> str:
    """Everything about a scene of one thing, in the usual English words."""
    (thing,) = scene.things
    text = with_article(names[thing.concept]["en"][0])
    if scene.style:
        text += f" in {scene.style} style"
    return text if scene.background == "white" else f"{text} on a {scene.background} background"
