"""A tiny IP-Adapter with its encoder of pictures, laid into a folder of tiny weights as real ones are published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

#: Numbers of a picture's vector, and tokens that it becomes.
WIDTH, TOKENS = 16, 4


def encoder() -> CLIPVisionModelWithProjection:
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=32, intermediate_size=37, projection_dim=WIDTH, num_hidden_layers=2, num_attention_heads=4,
            image_size=32, patch_size=8,
        )
    ).eval()  # fmt: skip


def write_ip_adapter(weights: Path, *, place: str = "", name: str = "ip-adapter_toy", width: int = WIDTH) -> Path:
    """Beside the parts of a pipeline, or in a folder of it; gives the file."""
    torch.manual_seed(41)
    pipeline: Any = DiffusionPipeline.from_pretrained(weights, local_files_only=True)
    cross = pipeline.unet.config.cross_attention_dim
    folder = weights / place if place else weights
    encoder().save_pretrained(folder / "image_encoder", safe_serialization=True)
    tensors = {
        "image_proj.proj.weight": torch.randn(cross * TOKENS, width) * 0.3,
        "image_proj.proj.bias": torch.randn(cross * TOKENS) * 0.3,
        "image_proj.norm.weight": torch.ones(cross),
        "image_proj.norm.bias": torch.zeros(cross),
    }
    number = 1
    for key in pipeline.unet.attn_processors:
        if key.endswith("attn1.processor"):
            continue
        hidden = pipeline.unet.get_submodule(key.removesuffix(".processor")).to_q.out_features
        for which in ("k", "v"):
            tensors[f"ip_adapter.{number}.to_{which}_ip.weight"] = torch.randn(hidden, cross) * 0.3
        number += 2
    file = folder / f"{name}.safetensors"
    save_file(tensors, file)
    return file
