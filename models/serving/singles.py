"""Single files: a whole checkpoint as .safetensors in its makers' layout, or a quantised network as .gguf.

What they lack (configurations, tokenizers, parts) lies in a folder of their name beside them; nothing is fetched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import (
    DiffusionPipeline,
    FluxPipeline,
    GGUFQuantizationConfig,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)
from safetensors import safe_open

from ..common import parts_of
from ..errors import WeightsRefused, explained

ADVICE = (
    "A single file lacks configurations and the tokenizer, and nothing is fetched: put those of its diffusers folder "
    "(model_index.json, scheduler/, tokenizer/, config.json of the other parts) into {beside}."
)
#: Names of tensors that tell what a single file holds.
SIGNS: tuple[tuple[str, Any], ...] = (
    ("model.diffusion_model.double_blocks.", FluxPipeline),
    ("double_blocks.", FluxPipeline),
    ("model.diffusion_model.joint_blocks.", StableDiffusion3Pipeline),
    ("conditioner.embedders.1.", StableDiffusionXLPipeline),
    ("model.diffusion_model.input_blocks.", StableDiffusionPipeline),
)
#: Of an SDXL refiner in the original layout: it has the second text encoder alone.
_REFINER = "conditioner.embedders.0.model.transformer.resblocks."


def opened(file: Path, kind: Any, numbers: torch.dtype) -> Any:
    """The pipeline of a single file, on the processor."""
    beside = file.with_suffix("")
    if file.suffix == ".gguf":
        network, part = _network_of(beside)
        # Weights stay in their blocks of few bits and are unpacked layer by layer as they compute.
        loaded = part.from_single_file(
            str(file), config=str(beside), subfolder=network, torch_dtype=numbers, local_files_only=True,
            quantization_config=GGUFQuantizationConfig(compute_dtype=numbers),
        )  # fmt: skip
        return DiffusionPipeline.from_pretrained(
            beside, dtype=numbers, local_files_only=True, use_safetensors=True, **{network: loaded}
        )
    # What is not beside it may lie in the local cache of whoever used that model before.
    told = {"config": str(beside)} if beside.is_dir() else {}
    return kind.from_single_file(str(file), torch_dtype=numbers, local_files_only=True, **told)


def _network_of(beside: Path) -> tuple[str, Any]:
    """Name and class of the part that a GGUF file holds."""
    parts = parts_of(beside)
    name = next((each for each in ("transformer", "unet") if each in parts), "")
    found = getattr(diffusers, parts[name][1], None) if name else None
    if found is None or not hasattr(found, "from_single_file"):
        raise WeightsRefused(
            f"{beside / 'model_index.json'} names no network that is read from a GGUF file. Use the diffusers folder."
        )
    return name, found


def family_of(file: Path) -> Any:
    """The pipeline class of a single file, by the names of its tensors.

    Raises:
        WeightsRefused: it is not known.
    """
    damaged = explained(WeightsRefused, f"{file} is damaged: {{problem}}. Fetch it again.")
    with damaged, safe_open(file, framework="pt") as opened:
        names = list(opened.keys())
    if any(name.startswith(_REFINER) for name in names):
        raise WeightsRefused(f"{file} is an SDXL refiner: it finishes pictures of another model. Use the base model.")
    for sign, family in SIGNS:
        if any(name.startswith(sign) for name in names):
            return family
    raise WeightsRefused(f"{file} holds no Stable Diffusion, SDXL, SD3 or FLUX checkpoint. Use a diffusers folder.")
