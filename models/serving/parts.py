"""Parts of a pipeline: which belong together, and whether its rows can share a step."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from torch import Tensor


def weigh(unet: Any, scale: float) -> None:
    """Let pictures count so much, as `set_ip_adapter_scale` does."""
    for processor in unet.attn_processors.values():
        if hasattr(processor, "scale") and isinstance(processor.scale, list):
            processor.scale = [scale] * len(processor.scale)


def encoders_of(pipeline: Any) -> list[tuple[Any, Any]]:
    """Tokenizers and text encoders that belong together."""
    names = (("tokenizer", "text_encoder"), ("tokenizer_2", "text_encoder_2"))
    found = [(getattr(pipeline, one, None), getattr(pipeline, other, None)) for one, other in names]
    return [(tokenizer, encoder) for tokenizer, encoder in found if tokenizer is not None and encoder is not None]


def tokenizers_of(pipeline: Any) -> list[Any]:
    return [tokenizer for tokenizer, _ in encoders_of(pipeline)]


def finite(values: Tensor) -> bool:
    return bool(torch.isfinite(values).all())


def steps_together(pipeline: Any) -> bool:
    """Whether rows of this pipeline can share a step: a U-Net that wants no more than text, time and latents."""
    if not isinstance(pipeline, StableDiffusionPipeline | StableDiffusionXLPipeline):
        return False
    unet, vae = pipeline.unet.config, pipeline.vae.config
    return unet.in_channels == vae.latent_channels and unet.time_cond_proj_dim is None
