"""Open a pipeline folder, or one .safetensors file: from this disk only, safetensors only, nobody's code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging
from transformers.utils import logging as transformers_logging

from ..common import check_folder
from ..drawer.pipeline import is_drawer
from ..drawer.pipeline import load as load_drawer
from ..errors import DeviceMissing, EngineError, TooLarge, WeightsRefused, explained
from . import families, singles
from .folders import class_named, left_out
from .laying import bound, lay
from .memory import Plan
from .quantised import quantise


def load_pipeline(weights: Path, device: str, dtype: str = "", laid: Plan | None = None) -> Any:
    """The pipeline on `device`; slow.

    Args:
        weights: folder or file.
        device: as torch names it.
        dtype: what a GPU computes in; empty: what its family was made for.
        laid: how it is laid out there, as `planning.plan_of` found; None: whole.

    Raises:
        WeightsMissing, WeightsRefused: there is none, it holds pickles, foreign code or damage, or it is of a kind
            that is not drawn with; says which.
        TooLarge: it does not fit so.
        DeviceMissing: see there.
    """
    if is_drawer(weights):
        return _drawer(weights, device)
    families.check_told(weights)
    kind = kind_of(weights)
    families.check_drawing(kind)
    check_device(device)
    # Warnings of diffusers quote prompts (what was cut off); bars are for nobody here.
    for library in (logging, transformers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
    numbers = numbers_of(kind, device, dtype)
    what = f"The weights in {weights}"
    advice = "Fetch or export them again."
    try:
        if weights.is_file():
            beside = weights.with_suffix("")
            what = f"The file {weights} with what lies in {beside}" if beside.is_dir() else f"The file {weights} alone"
            advice = singles.ADVICE.replace("{beside}", str(beside))
            pipeline: Any = singles.opened(weights, kind, numbers)
        else:
            pipeline = DiffusionPipeline.from_pretrained(
                weights, dtype=numbers, local_files_only=True, use_safetensors=True, **left_out(weights, kind)
            )
        families.check_network(pipeline)
        laid = laid or Plan("whole", 0)
        if laid.quantised:
            quantise(pipeline, laid.quantised)
        if (codec := getattr(pipeline, "vae", None)) is not None:
            bound(codec, families.factor_of(pipeline))
        lay(pipeline, device, laid.way)
    except EngineError:
        raise
    except torch.OutOfMemoryError as problem:
        raise TooLarge(
            f"{what} do not fit into the memory of {device}. Use a smaller model, or one worker a device."
        ) from problem
    except Exception as problem:
        # Whatever a stranger's file makes of the libraries: never a traceback.
        missing = f"the package {problem.name} is not installed" if isinstance(problem, ImportError) else problem
        told_as = missing if str(missing) else type(problem).__name__
        raise WeightsRefused(f"{what} cannot be used on {device}: {told_as}. {advice}") from problem
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def kind_of(weights: Path) -> Any:
    """The pipeline class of a folder or file.

    Raises:
        WeightsMissing, WeightsRefused: none that is known.
    """
    if weights.suffix == ".gguf":
        return class_named(weights.with_suffix(""))
    return singles.family_of(weights) if weights.is_file() else class_named(weights)


def numbers_of(kind: Any, device: str, dtype: str) -> torch.dtype:
    """What a family computes in on a device."""
    return getattr(torch, dtype or families.half_of(kind.__name__)) if device.startswith("cuda") else torch.float32


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
