"""What a checkpoint's makers draw with it: steps, guidance and side, by its family and by what its name says.

A family's figures are the defaults of its pipeline's call: diffusers has them from the makers. What the makers say
elsewhere, mostly of distilled models that share a family with their teacher, stands in the table, with where they say
it.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..drawer.pipeline import DrawerPipeline
from . import families

#: Of our own weights, as they were trained and judged (docs/evaluation.md), drawn at 64 and brought to this side.
OWN_STEPS, OWN_GUIDANCE, OWN_SIDE = 16, 3.0, 256
#: Of a family whose pipeline tells nothing.
STEPS, GUIDANCE = 30, 5.0
#: Sides of requests in pixels (queue/records/requests.py).
SHORTEST, LONGEST, GRAIN = 64, 2048, 16
#: 1 is none at all; 20 is the most that may be asked for.
MOST_GUIDANCE = 20.0


@dataclass(frozen=True, slots=True)
class Usual:
    """What a request is drawn with that says nothing else."""

    steps: int
    #: Classifier-free guidance scale, or what the family calls guidance; 1 means none.
    guidance: float
    #: Of a square picture in pixels.
    side: int


#: Figures by signs in the name of a folder or file: sign, beginning of the family's class (empty: any), steps, guidance
#: (None: the family's). The first that fits counts. Where a name says "4step" that number of steps counts.
_SIGNS: tuple[tuple[str, str, int, float | None], ...] = (
    # FLUX.1-schnell: 4 steps, guidance_scale 0.0 (model card, black-forest-labs).
    ("schnell", "Flux", 4, 1.0),
    # FLUX.1-Turbo-Alpha (alimama-creative): 8 steps, guidance 3.5 (model card).
    ("turbo", "Flux", 8, None),
    # Hyper-SD for FLUX.1-dev: 8 and 16 steps, guidance 3.5 (model card, ByteDance).
    ("hyper", "Flux", 8, None),
    # FLUX.2-klein, distilled: 4 steps, guidance 1.0 (model card); its undistilled base says "base".
    ("klein", "Flux2", 4, 1.0),
    # Z-Image-Turbo: 9 steps, which are 8 forwards, guidance 0.0 (model card, Tongyi-MAI).
    ("turbo", "ZImage", 9, 1.0),
    # Stable Diffusion 3.5 Large Turbo: 4 steps, guidance 0.0 (model card, Stability AI).
    ("turbo", "StableDiffusion3", 4, 1.0),
    # SD-Turbo, SDXL-Turbo: 1 to 4 steps, better with more, without guidance (model cards; Adversarial Diffusion
    # Distillation, arXiv:2311.17042, which is at its best with 4).
    ("turbo", "", 4, 1.0),
    # SDXL-Lightning: 4 steps if it does not say another number, guidance 0 (model card, ByteDance).
    # Qwen-Image-Lightning: 8 or 4 steps, true_cfg_scale 1.0 (model card, lightx2v).
    ("lightning", "QwenImage", 8, 1.0),
    ("lightning", "", 4, 1.0),
    # Hyper-SD, Hyper-SDXL: 1, 2, 4 or 8 steps, guidance 0 (model card, ByteDance; arXiv:2404.13686).
    ("hyper", "", 4, 1.0),
    # Latent consistency: 2 to 8 steps, guidance off or between 1 and 2 (model cards of lcm-sdxl and lcm-lora, where
    # guidance is no input of the network).
    ("lcm", "", 4, 1.0),
    # Trajectory consistency: 4 steps, guidance 0.0 (model card of TCD-SDXL-LoRA; arXiv:2402.19159).
    ("tcd", "", 4, 1.0),
    ("schnell", "", 4, 1.0),
    # Stable Diffusion 3.5 Medium: 40 steps, guidance 4.5; Large: 28 steps, 3.5 (model cards, Stability AI).
    ("medium35", "StableDiffusion3", 40, 4.5),
    ("35", "StableDiffusion3", 28, 3.5),
    # Playground v2.5: 50 steps, guidance 3 (model card).
    ("playground", "StableDiffusionXL", 50, 3.0),
)
#: Schedulers that only few-step models name, by the sign that stands for them.
_FEW = {"LCMScheduler": "lcm", "TCDScheduler": "tcd"}
#: Solvers of higher order: "sampling with only 20 steps can generate high-quality samples" (diffusers on DPM-Solver,
#: arXiv:2211.01095; UniPC, arXiv:2302.04867, needs no more), where the pipeline's default is meant for DDIM and PNDM.
_QUICK = ("DPMSolver", "UniPC", "DEIS")
_QUICK_STEPS = 25
_STEPS = re.compile(r"(?<!\d)(\d{1,2})[-_ ]?steps?(?![a-z])", re.IGNORECASE)
#: Words in names: runs of capitals or of letters after one.
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
#: These are parts of other words ("hyperrealism") where they do not stand alone.
_ALONE = frozenset({"hyper", "lcm", "tcd"})


def usual_of(pipeline: Any, weights: Path) -> Usual:
    """What a loaded pipeline from that folder or file is drawn with where nobody says anything."""
    if is_own(pipeline, weights):
        return Usual(OWN_STEPS, OWN_GUIDANCE, OWN_SIDE)
    kind = type(pipeline).__name__
    steps, guidance = _of_call(type(pipeline))
    scheduler = type(getattr(pipeline, "scheduler", None)).__name__
    if kind.startswith("StableDiffusion") and scheduler.startswith(_QUICK):
        steps = min(steps, _QUICK_STEPS)
    name = name_of(weights)
    for sign, family, few, scale in _SIGNS:
        if kind.startswith(family) and _says(name, kind, sign, scheduler, pipeline):
            said = _STEPS.search(name)
            steps = int(said[1]) if said and int(said[1]) >= 1 else few
            guidance = guidance if scale is None or _guidance_is_input(pipeline) else scale
            break
    return Usual(max(1, min(100, steps)), max(1.0, min(MOST_GUIDANCE, guidance)), _side(families.native_of(pipeline)))


def name_of(weights: Path) -> str:
    """The name that its makers, or the operator, gave it; a hub's cache keeps folders named by commits below it."""
    if weights.parent.name == "snapshots":
        return weights.parent.parent.name
    return weights.stem if weights.is_file() else weights.name


def is_own(pipeline: Any, weights: Path) -> bool:
    """Whether weights were trained by this project: they tell their words, or read them by T5 with a stock U-Net."""
    if isinstance(pipeline, DrawerPipeline) or (weights / "vocabulary.json").is_file():
        return True
    encoder = type(pipeline.components.get("text_encoder")).__name__
    return type(pipeline).__name__ == "StableDiffusionPipeline" and encoder == "T5EncoderModel"


def _of_call(kind: Any) -> tuple[int, float]:
    """Steps and guidance that a pipeline's call has as defaults."""
    takes = inspect.signature(kind.__call__).parameters

    def default(name: str, least: float) -> float | None:
        found = takes[name].default if name in takes else None
        return float(found) if isinstance(found, int | float) and found >= least else None

    # Where both are there, `guidance_scale` is an input of the network unless it is None.
    scales = (default("guidance_scale", 0.0), default("true_cfg_scale", 0.0), default("decoder_guidance_scale", 0.0))
    guidance = next((scale for scale in scales if scale is not None), GUIDANCE)
    return int(default("num_inference_steps", 1) or STEPS), guidance


def _says(name: str, kind: str, sign: str, scheduler: str, pipeline: Any) -> bool:
    """Whether the name, or what the checkpoint tells, bears a sign."""
    words = [word.lower() for word in _WORDS.findall(name)]
    match sign:
        case "35" | "medium35":
            return bool(re.search(r"3[._-]?5", name)) and (sign == "35" or "medium" in words)
        case "klein":
            return kind == "Flux2KleinPipeline" and "base" not in words
        case "schnell" if kind.startswith("Flux"):
            # It was distilled without guidance as an input; dev has one.
            part = pipeline.components.get("transformer")
            return getattr(part.config, "guidance_embeds", True) is False and not kind.startswith("Flux2")
        case _ if _FEW.get(scheduler) == sign and not kind.startswith("LatentConsistency"):
            return True
        case _ if sign in _ALONE:
            return sign in words and not kind.startswith("LatentConsistency")
        case _:
            return any(word.endswith(sign) for word in words)


def _guidance_is_input(pipeline: Any) -> bool:
    """Whether a U-Net reads the guidance beside the time, as latent consistency models do: then the family's holds."""
    unet = pipeline.components.get("unet")
    return unet is not None and getattr(unet.config, "time_cond_proj_dim", None) is not None


def _side(native: int) -> int:
    return max(SHORTEST, min(LONGEST, round(native / GRAIN) * GRAIN))
