"""The stage `codec`: pictures ⇄ latents, with an adversary at the end, measured on held-out drawings."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL

from ..errors import TrainingError
from ..training.codec import CodecRecipe, train_codec
from ..training.codec_figures import decode_prior, heldout_pictures, measure
from ..training.latents import normalise
from ..training.networks import LATENT_FACTOR
from ..training.pictures import save_grid
from ..training.pipeline import MEASURED, PipelineRecipe
from .budget import Stretch
from .delivery import deliver
from .device import autocast
from .feed import Drawer
from .job import Job, Told, done_before, on_device, sprite_side, stocked
from .layers import paint
from .pace import Way, fastest, probe


def codec(job: Job, recipe: PipelineRecipe) -> dict[str, Any]:
    """Train a codec, make its latents N(0, 1), measure it on held-out drawings."""
    plan, told = recipe.codec, Told(job.report)
    sprites = job.sprites(sprite_side(plan.size))
    run, made = job.work / "codec", job.work / "codec-weights"
    start = None if job.fresh or not plan.freeze_encoder else job.codec

    def train(wanted: CodecRecipe, folder: Path, stop: Any, progress: Any, *, half: bool) -> AutoencoderKL:
        with autocast(job.device, wanted=half):
            return train_codec(wanted, sprites, folder, progress, stop, start, job.device)

    # The pace of each stretch: windows or whole pictures, without or with the adversary.
    def way(wanted: CodecRecipe, *, half: bool) -> Way:
        name = f"codec, {'bf16' if half else 'fp32'}, {'windows' if wanted.crop_share else 'whole pictures'}" + (
            ", adversary" if wanted.adversary_share else ""
        )
        quiet = Told(lambda _: None)
        return Way(name, lambda at, stop: train(wanted, at, stop, quiet, half=half), wanted.batch)

    ends = sorted({each for each in (plan.crop_share, 1 - plan.adversary_share, 1.0) if each > 0})
    kinds = [
        replace(
            plan, crop_share=float(end <= plan.crop_share), adversary_share=float(end > 1 - plan.adversary_share),
            adversary_alone=0,
        )
        for end in ends
    ]  # fmt: skip
    halves = (True, False) if job.device.type == "cuda" else (False,)
    chosen = fastest([way(kinds[-1], half=half) for half in halves], job.clock, job.work / "probe", job.report)
    if chosen is None:
        raise TrainingError("No way of training the codec could be measured. Give more --minutes.")
    half = "bf16" in chosen[0].name
    stretches = []
    for end, kind in zip(ends, kinds, strict=True):
        last = kind is kinds[-1]
        seconds = chosen[1] if last else probe(way(kind, half=half), job.clock, job.work / "probe")
        stretches.append(Stretch(end, seconds or chosen[1]))
        job.report(f"until {end:.0%}: {1000 * stretches[-1].seconds:.1f} ms a step")

    # Train, normalise, measure.
    steps = job.steps(stretches, done_before(run / "codec.safetensors"))
    model = train(replace(plan, steps=steps), run, job.watch(), told, half=half).eval()
    scene, drawer = stocked(replace(recipe, latents=replace(recipe.latents, size=plan.size)), sprites)
    drawer = replace(drawer, aspects=(1.0,))
    normalise(model, _means(model, drawer, on_device(sprites, job.device)))
    model.save_pretrained(made, safe_serialization=True)
    pictures = heldout_pictures(sprites, size=plan.size).to(job.device)
    figures = told.scalars | asdict(measure(model, pictures)) | {"steps": steps, "scenes": len(scene.names)}
    with torch.no_grad():
        decoded = model.decode(model.encode(pictures[:16]).latent_dist.mean).sample
        save_grid(torch.stack([pictures[:16], decoded], 1).flatten(0, 1), 8, job.out / "codec.png")
        save_grid(decode_prior(model, 16, plan.size // LATENT_FACTOR), 8, job.out / "codec-prior.png")
    deliver(made, job.out, figures)
    return figures


@torch.no_grad()
def _means(codec: AutoencoderKL, drawer: Drawer, images: torch.Tensor) -> torch.Tensor:
    """Means of the posteriors of `MEASURED` scenes, (n, 4, h, w)."""
    found = []
    for begin in range(0, MEASURED, 128):
        pictures = paint(drawer.draw(128, f"means/{begin}")[0], images).contiguous(memory_format=torch.channels_last)
        found.append(codec.encode(pictures).latent_dist.mean)
    return torch.cat(found)
