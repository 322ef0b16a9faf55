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

from ..common import files_of, parts_of
from ..errors import WeightsRefused, explained
from . import families
from .folders import class_named, left_out

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
#: The first layer of a U-Net.
_FIRST = "model.diffusion_model.input_blocks.0.0.weight"
#: Where text encoders and codecs begin.
_ENCODERS = ("cond_stage_model.", "conditioner.", "text_encoders.")
_CODECS = ("first_stage_model.", "vae.")


def opened(file: Path, kind: Any, numbers: torch.dtype) -> Any:
    """The pipeline of a single file, on the processor.

    Raises:
        WeightsRefused: parts that it lacks are not beside it; says which.
    """
    beside = file.with_suffix("")
    names = [] if file.suffix == ".gguf" else _names_in(file)
    if names and (any(name.startswith(_ENCODERS) for name in names) or not (beside / "model_index.json").is_file()):
        # What is not beside it may lie in the local cache of whoever used that model before.
        told = {"config": str(beside)} if beside.is_dir() else {}
        return kind.from_single_file(str(file), torch_dtype=numbers, local_files_only=True, **told)
    # The network, with the codec or without; the rest is what its folder has.
    network, part = _network_of(beside)
    held = {network: part}
    if any(name.startswith(_CODECS) for name in names):
        held["vae"] = getattr(diffusers, parts_of(beside)["vae"][1])
    missing = [
        name
        for name in parts_of(beside)
        if name not in held and (beside / name / "config.json").is_file() and not files_of(beside, name)
    ]
    if missing:
        raise WeightsRefused(
            f"{file} holds {' and '.join(held)} alone, and {beside} has no weights for {', '.join(missing)}: put their "
            ".safetensors files there."
        )
    more: dict[str, Any] = {}
    if not names:
        # Weights stay in their blocks of few bits and are unpacked layer by layer as they compute.
        more["quantization_config"] = GGUFQuantizationConfig(compute_dtype=numbers)
    loaded = {
        name: each.from_single_file(
            str(file), config=str(beside), subfolder=name, torch_dtype=numbers, local_files_only=True, **more
        )
        for name, each in held.items()
    }
    return DiffusionPipeline.from_pretrained(
        beside, dtype=numbers, local_files_only=True, use_safetensors=True, **left_out(beside, kind), **loaded
    )


def _names_in(file: Path) -> list[str]:
    damaged = explained(WeightsRefused, f"{file} is damaged: {{problem}}. Fetch it again.")
    with damaged, safe_open(file, framework="pt") as found:
        return list(found.keys())


def _network_of(beside: Path) -> tuple[str, Any]:
    """Name and class of the part that a file holds that is no whole checkpoint."""
    parts = parts_of(beside)
    name = next((each for each in ("transformer", "unet") if each in parts), "")
    found = getattr(diffusers, parts[name][1], None) if name else None
    if found is None or not hasattr(found, "from_single_file"):
        raise WeightsRefused(
            f"{beside / 'model_index.json'} names no network that is read from a single file. Use the diffusers folder."
        )
    return name, found


def family_of(file: Path) -> Any:
    """The pipeline class of a single file, by the names of its tensors; by the folder beside it, where there is one.

    Raises:
        WeightsRefused: it is not known, or draws from more than a text.
    """
    names = _names_in(file)
    if any(name.startswith(_REFINER) for name in names):
        raise WeightsRefused(f"{file} is an SDXL refiner: it finishes pictures of another model. Use the base model.")
    if _FIRST in names:
        with safe_open(file, framework="pt") as found:
            shape = list(found.get_slice(_FIRST).get_shape())
        if len(shape) == 4:
            families.check_channels(int(shape[1]), 4)
    beside = file.with_suffix("")
    if (beside / "model_index.json").is_file():
        # Several families name their tensors alike.
        return class_named(beside)
    for sign, family in SIGNS:
        if any(name.startswith(sign) for name in names):
            return family
    raise WeightsRefused(
        f"{file} holds no Stable Diffusion, SDXL, SD3 or FLUX checkpoint. Put its diffusers folder beside it, as "
        f"{beside}, or use that."
    )
