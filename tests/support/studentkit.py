"""A student with random matrices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline

from daguerre.models.training.student import StudentRecipe, add_adapter, export_student


def write_student(weights: Path, folder: Path) -> None:
    """A student of random matrices, as distillation exports it."""
    pipeline: Any = StableDiffusionPipeline.from_pretrained(weights, local_files_only=True)
    add_adapter(pipeline.unet, 4)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in pipeline.unet.parameters():
            if weight.requires_grad:
                weight.copy_(0.1 * torch.randn(weight.shape, generator=generator))
    export_student(pipeline.unet, StudentRecipe(rank=4, guidance=2.0), folder)
