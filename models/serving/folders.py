"""What a pipeline folder asks for: its class, and what `from_pretrained` is told about it."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path
from typing import Any

import diffusers
from diffusers import DiffusionPipeline

from ..common import UNUSED, class_of, index_of, variant_of
from ..errors import WeightsRefused


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
