"""Render many prompts at once: batches of one shape through the stock pipeline, straight to tensors.

The engine gives one prompt at a time, scaled for delivery; the evaluation wants hundreds, at the model's own size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from torch import Tensor

from ..common import check_folder, native_size
from ..errors import WeightsRefused, explained


@dataclass(frozen=True, slots=True)
class Order:
    """One picture to be drawn."""

    prompt: str
    seed: int
    #: Width ÷ height.
    aspect: float = 1.0


@dataclass(frozen=True, slots=True)
class Sampling:
    """How it is drawn."""

    steps: int = 16
    guidance: float = 3.0


class Paint(Protocol):
    """Draws orders; what the suite is run on. Real composites and reconstructions come in the same form."""

    def __call__(self, orders: Sequence[Order]) -> list[Tensor]:
        """One (3, H, W) in [-1, 1] for each order."""
        ...


def open_pipeline(weights: Path, *, device: str = "auto") -> StableDiffusionPipeline:
    """The stock pipeline of a folder, in the precision that the engine serves it in.

    Raises:
        WeightsMissing, WeightsRefused: see `engine.check_folder`.
    """
    check_folder(weights)
    place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    kind = torch.float16 if place.startswith("cuda") else torch.float32
    with explained(WeightsRefused, f"The weights in {weights} cannot be used on {place}: {{problem}}."):
        pipeline = DiffusionPipeline.from_pretrained(
            weights, dtype=kind, local_files_only=True, use_safetensors=True, safety_checker=None
        )
        pipeline.to(place)
    if not isinstance(pipeline, StableDiffusionPipeline):
        raise WeightsRefused(f"{weights} holds a {type(pipeline).__name__}; only Stable Diffusion class pipelines.")
    pipeline.set_progress_bar_config(disable=True)
    pipeline.unet.to(memory_format=torch.channels_last)
    pipeline.vae.to(memory_format=torch.channels_last)
    return pipeline


def painter(
    pipeline: StableDiffusionPipeline,
    sampling: Sampling,
    *,
    batch: int = 16,
    report: Callable[[str], None] = lambda line: None,
) -> Paint:
    """Draw with a pipeline; a picture depends on its own seed alone, not on its batch."""
    native = pipeline.unet.config.sample_size * pipeline.vae_scale_factor

    @torch.inference_mode()
    def paint(orders: Sequence[Order]) -> list[Tensor]:
        pictures: dict[int, Tensor] = {}
        shapes: dict[tuple[int, int], list[int]] = {}
        for place, order in enumerate(orders):
            shapes.setdefault(native_size(round(1000 * order.aspect), 1000, native), []).append(place)
        for (width, height), places in shapes.items():
            for begin in range(0, len(places), batch):
                part = places[begin : begin + batch]
                drawn = pipeline(
                    [orders[place].prompt for place in part],
                    num_inference_steps=sampling.steps,
                    guidance_scale=sampling.guidance,
                    width=width,
                    height=height,
                    generator=[torch.Generator("cpu").manual_seed(orders[place].seed) for place in part],
                    output_type="pt",
                ).images
                pictures |= dict(zip(part, drawn.float().cpu() * 2 - 1, strict=True))
                report(f"drawn {len(pictures)} of {len(orders)} pictures")
        return [pictures[place] for place in range(len(orders))]

    return paint
