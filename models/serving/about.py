"""What is written into every picture's metadata of what drew it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ..drawer.pipeline import DrawerPipeline
from . import families
from .memory import Plan
from .samplers import name_of

#: Raised whenever the same request may give other pixels than before.
ENGINE_VERSION = 5


def about_of(pipeline: Any, weights: Path, digest: str, device: str, laid: Plan, name: str) -> dict[str, Any]:
    """Of a loaded pipeline, which members know as `name`: enough, with the request, to make its pictures again."""
    own = isinstance(pipeline, DrawerPipeline)
    how = laid.quantised or families.quantised_by(weights) if not own else ""
    told: Mapping[str, Any] = {"quantised": how} if how else {}
    return {
        "model": name,
        "model_digest": digest,
        "device": device,
        "upscaler": "none",
        "sampler": name_of(pipeline.scheduler),
        "engine": ENGINE_VERSION,
        "precision": _precision(pipeline),
        "torch": torch.__version__,
        "diffusers": version("diffusers"),
        "family": type(pipeline).__name__,
        "native": pipeline.denoiser.size if own else families.native_of(pipeline),
        **told,
    }


def _precision(pipeline: Any) -> str:
    """Of the part that draws, as torch calls it."""
    part = next((found for name in ("unet", "transformer") if (found := pipeline.components.get(name))), None)
    return str(getattr(part, "dtype", "")).removeprefix("torch.")
