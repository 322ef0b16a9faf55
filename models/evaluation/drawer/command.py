"""What `daguerre evaluate` does with weights that draw from drawings: opens what is there, and hands it on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...data import drawer, load
from ...drawer.network import channels_in
from ...errors import DataMissing
from ..features import imagenet_features
from ..painter import Sampling, open_pipeline, painter
from .evaluate import DrawerMaterial, DrawerPlan, Finder, evaluate_drawer
from .painter import DrawerSampling, drawer_painter, open_denoiser, open_words
from .quick import RECOGNISER, QuickPlan, quick
from .recogniser import load as load_recogniser
from .scores import Judge

#: Weights whose text encoder reads the words of a denoiser that has none, and that new weights are compared with.
BEFORE = Path(__file__).parents[2] / "weights" / "first-light"


def draws_from_drawings(weights: Path) -> bool:
    """Whether a folder is of our own pipeline, or a denoiser alone that a training has exported."""
    return _told(weights / "model_index.json", "_class_name") == "DrawerPipeline" or _is_denoiser(weights)


def evaluate_drawer_weights(
    weights: Path,
    data: Path,
    *,
    out: Path | None = None,
    each: int | None = None,
    quickly: bool = False,
    sampling: DrawerSampling | None = None,
    recogniser: Path = RECOGNISER,
    before: Path = BEFORE,
    finder: Finder | None = None,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Evaluate a folder; results are written beside the weights, or into `out`. A quick one only prints.

    `data` holds `sprites<side>` and `features`; `each` is how many pictures of each large set are drawn.

    Raises:
        DataMissing: no drawings are built.
        WeightsMissing, WeightsRefused: the weights or the recogniser cannot be opened.
    """
    words = weights if (weights / "text_encoder").is_dir() else before
    model = open_denoiser(weights)
    folder = data / f"sprites{model.size}"
    if quickly:
        plan = QuickPlan(weights, words, folder, recogniser, each or 40, sampling or DrawerSampling(steps=8))
        quick(plan, report)
        return {}
    sprites = load(folder)
    found = drawer(sprites.rows)
    judge = Judge(load_recogniser(recogniser), found)
    if not any(thing.emoji for thing in found.things):
        raise DataMissing(f"{folder} holds no drawing of an emoji. Build the data set anew: daguerre data build")
    card = json.loads((recogniser / "config.json").read_text(encoding="utf-8"))
    digest = hashlib.sha256((recogniser / "model.safetensors").read_bytes()).hexdigest()[:16]
    earlier = painter(open_pipeline(before), Sampling(16, 3.0)) if before != weights else None
    known = json.loads((before / "vocabulary.json").read_text(encoding="utf-8"))["concepts"] if earlier else ()
    material = DrawerMaterial(
        sprites, found, judge, {**card, "digest": digest}, imagenet_features(data / "features"), earlier,
        frozenset(known), finder,
    )  # fmt: skip
    chosen = sampling or DrawerSampling()
    full = DrawerPlan(chosen)
    if each is not None:
        full = DrawerPlan(chosen, each, max(8, each // 3), 2 * each)
    paint = drawer_painter(model, open_words(words), sprites, chosen)
    return evaluate_drawer(weights.name, paint, material, full, out or weights, report)


def _is_denoiser(folder: Path) -> bool:
    """A pipeline's U-Net that reads no drawings is none, whatever lies beside it."""
    latents = _told(folder / "vae" / "config.json", "latent_channels")
    return isinstance(latents, int) and _told(folder / "unet" / "config.json", "in_channels") == channels_in(latents)


def _told(file: Path, name: str) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8")).get(name)
    except (OSError, ValueError, AttributeError):
        return None
