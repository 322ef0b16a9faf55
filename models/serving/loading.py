"""Open a pipeline folder, or one .safetensors file: from this disk only, safetensors only, nobody's code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    DiffusionPipeline,
    FluxPipeline,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)
from diffusers.utils import logging
from safetensors import SafetensorError, safe_open
from transformers.utils import logging as transformers_logging

from ..common.folder import check_folder
from ..errors import DeviceMissing, WeightsRefused

#: Names of tensors that tell what a single file holds.
SIGNS: tuple[tuple[str, Any], ...] = (
    ("model.diffusion_model.double_blocks.", FluxPipeline),
    ("double_blocks.", FluxPipeline),
    ("model.diffusion_model.joint_blocks.", StableDiffusion3Pipeline),
    ("conditioner.embedders.1.", StableDiffusionXLPipeline),
    ("model.diffusion_model.input_blocks.", StableDiffusionPipeline),
)


def load_pipeline(weights: Path, device: str) -> Any:
    """The pipeline on `device`; slow.

    Raises:
        WeightsMissing, WeightsRefused: there is none, or it holds pickles, foreign code or damage.
        DeviceMissing: see there.
    """
    check_folder(weights)
    check_device(device)
    # Warnings of diffusers quote prompts (what was cut off); bars are for nobody here.
    for library in (logging, transformers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
    # bf16 has no fast path on most CPUs; fp16 keeps our half-precision weights exact on CUDA.
    kind = torch.float16 if device.startswith("cuda") else torch.float32
    what = f"The weights in {weights}"
    advice = "Fetch or export them again."
    try:
        if weights.is_file():
            # What a single file leaves out (configurations, tokenizer) lies in a folder of its name beside it, or in
            # the local cache of whoever used that model before.
            beside = weights.with_suffix("")
            what = f"The file {weights} with what lies in {beside}" if beside.is_dir() else f"The file {weights} alone"
            advice = (
                "A single file lacks configurations and the tokenizer, and nothing is fetched: put those of its "
                "diffusers folder (model_index.json, scheduler/, tokenizer/, config.json of the other parts) into "
                f"{beside}."
            )
            told = {"config": str(beside)} if beside.is_dir() else {}
            pipeline: Any = family_of(weights).from_single_file(
                str(weights), torch_dtype=kind, local_files_only=True, **told
            )
        else:
            pipeline = DiffusionPipeline.from_pretrained(
                weights, dtype=kind, local_files_only=True, use_safetensors=True, safety_checker=None
            )
        pipeline.to(device)
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as problem:
        raise WeightsRefused(f"{what} cannot be used on {device}: {problem}. {advice}") from problem
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def check_device(device: str) -> None:
    """Whether torch has that device.

    Raises:
        DeviceMissing: it has not; says which there are.
    """
    if not device.startswith("cuda"):
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    number = device.partition(":")[2] or "0"
    if not number.isdigit() or int(number) >= count:
        there = ", ".join(f"cuda:{k}" for k in range(count)) or "no GPU that this torch can use"
        raise DeviceMissing(f"There is no device {device} here, but {there}. Name another in [render] devices.")
    # Whatever torch does without naming a device (emptying its cache, events) shall be done on this one.
    torch.cuda.set_device(int(number))


def family_of(file: Path) -> Any:
    """The pipeline class of a single file, by the names of its tensors.

    Raises:
        WeightsRefused: it is not known.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            names = list(opened.keys())
    except (SafetensorError, OSError) as problem:
        raise WeightsRefused(f"{file} is damaged: {problem}. Fetch it again.") from problem
    for sign, family in SIGNS:
        if any(name.startswith(sign) for name in names):
            return family
    raise WeightsRefused(f"{file} holds no Stable Diffusion, SDXL, SD3 or FLUX checkpoint. Use a diffusers folder.")
