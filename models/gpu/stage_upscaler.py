"""The stage `upscaler`: small pictures → the vector drawings they are of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL

from ..common import upscaler as networks
from ..data.store import SpriteSet
from ..errors import TrainingError
from ..evaluation.fidelity import upscaler_gain
from ..training.upscaler import UpscalerRecipe, train_upscaler
from ..training.upscaler_pairs import large_pictures
from ..training.upscaler_sprites import held_out
from . import unpack
from .budget import Stretch
from .delivery import deliver
from .job import Job, done_before
from .pace import Way, fastest, probe

#: Pictures that the gain over Lanczos is measured on.
MEASURED = 64


def upscaler(job: Job, plan: UpscalerRecipe) -> dict[str, Any]:
    """Train it and measure its gain over Lanczos, in dB, on compositions of held-out drawings.

    Raises:
        TrainingError: see `train_upscaler`.
    """
    folder = job.work / "data" / f"crisp{plan.size}-{plan.drawings}"
    crisp = unpack.crisp(job.pack, folder, plan.drawings, plan.size, processes=job.processes, report=job.report)
    codec = AutoencoderKL.from_pretrained(job.codec, local_files_only=True, use_safetensors=True)
    codec = codec.float().eval().requires_grad_(False).to(job.device, memory_format=torch.channels_last)
    run, made = job.work / "upscaler", job.work / "upscaler-weights"

    def train(wanted: UpscalerRecipe, at: Path, stop: Any, report: Any) -> networks.Upscaler:
        return train_upscaler(wanted, crisp, at, codec, report, stop, device=str(job.device))

    def way(name: str, share: float) -> Way:
        wanted = replace(plan, crop_share=share)
        return Way(name, lambda at, stop: train(wanted, at, stop, lambda _: None), plan.pictures)

    found = fastest([way("upscaler, small windows", 1.0)], job.clock, job.work / "probe", job.report)
    if found is None:
        raise TrainingError("The pace of the upscaler could not be measured. Give more --minutes.")
    large = probe(way("upscaler, large windows", 0.0), job.clock, job.work / "probe") or found[1]
    stretches = [Stretch(plan.crop_share, found[1]), Stretch(1.0, large)]
    steps = job.steps(stretches, done_before(run / "upscaler.safetensors"))
    model = train(replace(plan, steps=steps), run, job.watch(), job.report).cpu().eval()
    model.save_pretrained(made, safe_serialization=True)
    gain = upscaler_gain(lambda small: networks.upscale(model, small), drawings(crisp), plan.factor)
    figures = {"steps": steps, "gain_db": gain.value, "gain_db_interval": gain.interval}
    deliver(made, job.out, figures)
    return figures


def drawings(crisp: SpriteSet) -> torch.Tensor:
    """Compositions that no training saw, (MEASURED, 3, S, S) in [-1, 1]; of all drawings where none is held out."""
    held = [row["i"] for row in crisp.rows if held_out(row)] or [row["i"] for row in crisp.rows]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return large_pictures(torch.from_numpy(np.asarray(crisp.images)[held]), MEASURED)
