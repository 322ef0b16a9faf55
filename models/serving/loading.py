"""Open a pipeline folder, or one .safetensors file: from this disk only, safetensors only, nobody's code."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import (
    DiffusionPipeline,
    FluxPipeline,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)
from diffusers.utils import logging
from safetensors import safe_open
from transformers.utils import logging as transformers_logging

from ..common import UNUSED, check_folder, class_of, index_of, variant_of
from ..drawer.pipeline import is_drawer
from ..drawer.pipeline import load as load_drawer
from ..errors import DeviceMissing, EngineError, WeightsRefused, explained
from . import families
from .memory import Way, plan

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


def load_pipeline(weights: Path, device: str, dtype: str = "") -> Any:
    """The pipeline on `device`; slow. `dtype`: what a GPU computes in; empty: what its family was made for.

    Raises:
        WeightsMissing, WeightsRefused: there is none, it holds pickles, foreign code or damage, or it is of a kind
            that is not drawn with; says which.
        DeviceMissing: see there.
    """
    if is_drawer(weights):
        return _drawer(weights, device)
    families.check_told(weights)
    kind = family_of(weights) if weights.is_file() else class_named(weights)
    families.check_drawing(kind)
    check_device(device)
    # Warnings of diffusers quote prompts (what was cut off); bars are for nobody here.
    for library in (logging, transformers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
    numbers = getattr(torch, dtype or families.half_of(kind.__name__)) if device.startswith("cuda") else torch.float32
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
            pipeline: Any = kind.from_single_file(str(weights), torch_dtype=numbers, local_files_only=True, **told)
        else:
            pipeline = DiffusionPipeline.from_pretrained(
                weights, dtype=numbers, local_files_only=True, use_safetensors=True, **left_out(weights, kind)
            )
        families.check_network(pipeline)
        lay(pipeline, device, way_for(pipeline, device))
    except EngineError:
        raise
    except torch.OutOfMemoryError as problem:
        raise WeightsRefused(
            f"{what} do not fit into the memory of {device}. Use a smaller model, or one worker a device."
        ) from problem
    except Exception as problem:
        # Whatever a stranger's file makes of the libraries: never a traceback.
        missing = f"the package {problem.name} is not installed" if isinstance(problem, ImportError) else problem
        told_as = missing if str(missing) else type(problem).__name__
        raise WeightsRefused(f"{what} cannot be used on {device}: {told_as}. {advice}") from problem
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _drawer(weights: Path, device: str) -> Any:
    """Weights that draw from drawings: opened part by part by our own classes."""
    check_folder(weights)
    check_device(device)
    for library in (logging, transformers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
    with explained(
        WeightsRefused, f"The weights in {weights} cannot be used on {device}: {{problem}}. Fetch or export them again."
    ):
        pipeline = load_drawer(weights, torch.float16 if device.startswith("cuda") else torch.float32)
        pipeline.to(device)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def way_for(pipeline: Any, device: str) -> Way:
    """How a loaded pipeline is laid onto a device, by what is free there.

    Raises:
        WeightsRefused: it fits in no way.
    """
    # Stable Diffusion and SDXL are taken apart for steps that pictures share: their parts stay where they are.
    if not device.startswith("cuda") or isinstance(pipeline, StableDiffusionPipeline | StableDiffusionXLPipeline):
        return "whole"
    free, _ = torch.cuda.mem_get_info(device)
    return plan(sizes_of(pipeline), int(free), families.native_of(pipeline) ** 2).way


def sizes_of(pipeline: Any) -> dict[str, int]:
    """Bytes of each part's weights."""
    parts = {name: part for name, part in pipeline.components.items() if isinstance(part, torch.nn.Module)}
    return {
        name: sum(weight.numel() * weight.element_size() for weight in part.parameters())
        for name, part in parts.items()
    }


def lay(pipeline: Any, device: str, way: Way) -> None:
    """Bring a pipeline onto its device, whole or as its parts are needed."""
    if way == "parts":
        pipeline.enable_model_cpu_offload(device=device)
    elif way == "layers":
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)


def class_named(weights: Path) -> Any:
    """The pipeline class that a folder names.

    Raises:
        WeightsRefused: the installed diffusers has none of that name.
    """
    name = class_of(weights)
    found = getattr(diffusers, name, None)
    if needed := getattr(found, "_backends", None):
        # A stand-in of diffusers for a class whose packages are not all there.
        missing = [each for each in needed if importlib.util.find_spec(each) is None]
        raise WeightsRefused(
            f"{weights} is a {name}, which needs packages that are not installed: {', '.join(missing or needed)}. "
            "Install them into the worker's environment with pip."
        )
    if not isinstance(found, type) or not issubclass(found, DiffusionPipeline):
        made_by = index_of(weights).get("_diffusers_version", "")
        newer = f" It was saved by diffusers {made_by}." if made_by else ""
        raise WeightsRefused(
            f"{weights} is a {name}, which the installed diffusers {diffusers.__version__} does not know.{newer} "
            "A newer diffusers may; models that come with code of their own are never run."
        )
    return found


def left_out(weights: Path, kind: Any) -> dict[str, Any]:
    """What `from_pretrained` is told besides: parts that are not needed are None, and the variant."""
    takes = inspect.signature(kind.__init__).parameters
    told: dict[str, Any] = {name: None for name in sorted(UNUSED) if name in takes}
    if "requires_safety_checker" in takes:
        told["requires_safety_checker"] = False
    variant = variant_of(weights)
    return told | ({"variant": variant} if variant else {})


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
    damaged = explained(WeightsRefused, f"{file} is damaged: {{problem}}. Fetch it again.")
    with damaged, safe_open(file, framework="pt") as opened:
        names = list(opened.keys())
    if any(name.startswith(_REFINER) for name in names):
        raise WeightsRefused(f"{file} is an SDXL refiner: it finishes pictures of another model. Use the base model.")
    for sign, family in SIGNS:
        if any(name.startswith(sign) for name in names):
            return family
    raise WeightsRefused(f"{file} holds no Stable Diffusion, SDXL, SD3 or FLUX checkpoint. Use a diffusers folder.")
