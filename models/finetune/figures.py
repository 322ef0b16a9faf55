"""What an adapter changes, in figures and for the eye: the base before, the same with the adapter after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from PIL import Image
from torch import Tensor, nn

from ..training.objectives import Network, NoiseObjective
from .base import Base, tokenize
from .lora import FinetuneRecipe
from .pictures import Latents, Pictures, prompt

#: Losses are of so many pictures at most, each at so many noise levels.
MEASURED, LEVELS = 32, 4
#: Pictures of a sheet where the recipe names no prompts.
SHOWN = 6


class Comparison:
    """Measures and draws the base once, and then the adapter whenever it is asked.

    The base is asked without the trigger word, which it never learnt; the adapter with it.
    """

    def __init__(
        self,
        recipe: FinetuneRecipe,
        base: Base,
        aim: NoiseObjective,
        pictures: Pictures,
        size: int,
        device: torch.device,
    ) -> None:
        rows = [*pictures.held_out, *pictures.learnt][:SHOWN]
        self.prompts = list(recipe.prompts) or [pictures.captions[row][0] for row in rows]
        self._recipe = recipe
        self._base = base
        self._aim = aim
        self._size = size
        self._device = device
        self._before: list[Image.Image] = []
        self._loss: dict[str, float] = {}

    def before(self, parts: Mapping[str, Latents]) -> None:
        """Take the base's figures and pictures; call while the adapter still adds nothing."""
        self._loss = {name: self._measure(part, "") for name, part in parts.items()}
        self._before = self._draw("")

    def after(self, parts: Mapping[str, Latents]) -> tuple[dict[str, dict[str, float]], Image.Image]:
        """Mean losses, by part `base` and `adapter`, and a sheet: the base's pictures above the adapter's."""
        trigger = self._recipe.trigger
        loss = {
            name: {"base": self._loss[name], "adapter": self._measure(part, trigger)} for name, part in parts.items()
        }
        return loss, in_rows([self._before, self._draw(trigger)])

    @torch.no_grad()
    def _measure(self, part: Latents, trigger: str) -> float:
        """Mean loss of the first pictures, always at the same noise levels with the same noise."""
        count = min(MEASURED, len(part.captions))
        tokens = tokenize(self._base, [prompt(texts[0], trigger) for texts in part.captions[:count]]).to(self._device)
        network, total = as_function(self._base), 0.0
        for row in range(count):
            generator = torch.Generator(self._device).manual_seed(row)
            clean = part.means[row].to(self._device).expand(LEVELS, -1, -1, -1)
            total += self._aim.loss(network, clean, tokens[row].expand(LEVELS, -1), generator).item()
        return total / count

    @torch.inference_mode()
    def _draw(self, trigger: str) -> list[Image.Image]:
        """One picture for each prompt, always from the same noise."""
        pictures: list[Image.Image] = self._base.pipeline(
            [prompt(each, trigger) for each in self.prompts],
            num_inference_steps=self._recipe.sample_steps,
            guidance_scale=self._recipe.guidance,
            width=self._size,
            height=self._size,
            generator=[torch.Generator("cpu").manual_seed(index) for index in range(len(self.prompts))],
        ).images
        return pictures


def as_function(base: Base, unet: nn.Module | None = None, text_encoder: nn.Module | None = None) -> Network:
    """The base's denoiser and text encoder, or what takes their place, as one function of tokens and noise."""
    denoiser, text = unet or base.pipeline.unet, text_encoder or base.pipeline.text_encoder

    def predict(noisy: Tensor, times: Tensor, tokens: Tensor) -> Tensor:
        predicted: Tensor = denoiser(noisy, times, text(tokens)[0]).sample
        return predicted

    return predict


def in_rows(rows: Sequence[Sequence[Image.Image]], gap: int = 2) -> Image.Image:
    """Pictures of one size as a sheet, row by row."""
    width, height = rows[0][0].size
    sheet = Image.new("RGB", (len(rows[0]) * (width + gap) + gap, len(rows) * (height + gap) + gap), (200, 200, 200))
    for top, row in enumerate(rows):
        for left, picture in enumerate(row):
            sheet.paste(picture, (gap + left * (width + gap), gap + top * (height + gap)))
    return sheet
