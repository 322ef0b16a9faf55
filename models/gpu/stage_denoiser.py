"""The stage `denoiser`: denoiser and text encoder on scenes composed on the device, and a sheet of samples."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import torch
from diffusers import AutoencoderKL

from ..data.compose import STEP
from ..errors import TrainingError
from ..training.denoiser import DenoiserRecipe, TextToLatent, train_denoiser
from ..training.export import export, pipeline
from ..training.networks import LATENT_FACTOR
from ..training.objectives import objective
from ..training.pictures import save_grid
from ..training.pipeline import PipelineRecipe
from .budget import Stretch
from .delivery import deliver
from .device import autocast
from .job import Job, Told, done_before, fed, on_device, parts, sprite_side, stocked
from .pace import Way, fastest

#: What the sample sheet of a denoiser shows.
PROMPTS = (
    "a red apple", "a cute cat", "一只可爱的猫", "a blue car", "three bananas", "a star left of a house",
    "a green rocket on a black background", "a tiny fish", "a pizza", "two penguins", "a yellow flower",
    "一辆红色的汽车",
)  # fmt: skip
#: Pictures are made in so many steps, at this guidance.
SAMPLING = {"num_inference_steps": 16, "guidance_scale": 3.0}


def denoiser(job: Job, recipe: PipelineRecipe) -> dict[str, Any]:
    """Train denoiser and text encoder on scenes composed on the device."""
    plan, told = recipe.denoiser, Told(job.report)
    size = recipe.latents.size
    sprites = job.sprites(sprite_side(size))
    scene, drawer = stocked(recipe, sprites)
    begun = parts(job)
    run, made = job.work / f"denoiser-{size}", job.work / "weights"
    aim = objective(plan.objective, shift=plan.shift)
    done = done_before(run / "denoiser.safetensors")
    begin = None if done else begun.unet

    def save(model: TextToLatent, step: int, samples: int) -> None:
        card = {"recipe": asdict(recipe), "steps": step, "samples": samples}
        model.unet.register_to_config(sample_size=size // LATENT_FACTOR)
        styles = sorted({row["style"] for row in sprites.rows})
        export(model, begun.codec, begun.tokenizer, made, scene.names, card, aim.scheduler(), styles=styles)
        deliver(made, job.out, told.scalars | {"steps": step, "samples": samples})

    with fed(job, drawer, on_device(sprites, job.device), begun.codec, f"denoiser/{plan.seed}/{size}/{done}") as source:
        # The fastest way that works here; smaller batches only where the wanted one does not fit.
        def way(wanted: DenoiserRecipe) -> Way:
            name = f"denoiser, batch {wanted.batch}" + (", compiled" if wanted.compile else "")
            args = (source, begun.text, begun.tokenizer)
            quiet = Told(lambda _: None)
            return Way(name, lambda at, stop: train_denoiser(wanted, *args, at, quiet, stop, start=begin), wanted.batch)

        plain = replace(plan, compile=False)
        wished = [plain, plan] if plan.compile and job.device.type == "cuda" else [plain]
        fitting = {way(each).name: each for each in wished}
        chosen = fastest([way(each) for each in wished], job.clock, job.work / "probe", job.report)
        if chosen is None:
            smaller = [replace(plain, batch=max(1, plan.batch // cut)) for cut in (2, 4, 8)]
            fitting = {way(each).name: each for each in smaller}
            chosen = fastest([way(each) for each in smaller], job.clock, job.work / "probe", job.report)
        if chosen is None:
            raise TrainingError("No way of training the denoiser could be measured. Give more --minutes.")

        # Train until the planned end.
        final = fitting[chosen[0].name]
        steps = job.steps([Stretch(1.0, chosen[1])], done)
        final = replace(final, steps=steps, warmup=min(final.warmup, max(1, steps // 10)))
        recipe = replace(recipe, denoiser=final)
        model = train_denoiser(
            final, source, begun.text, begun.tokenizer, run, told, job.watch(), save, start=begin
        ).eval()

    # Results.
    figures = told.scalars | {"steps": done_before(run / "denoiser.safetensors"), "batch": final.batch}
    figures |= {"compiled": final.compile, "parameters_m": sum(p.numel() for p in model.parameters()) / 1e6}
    deliver(made, job.out, figures)
    sheet(job, model, begun.codec, begun.tokenizer, aim.scheduler(), size)
    return figures


def sheet(job: Job, model: TextToLatent, codec: AutoencoderKL, tokenizer: Any, scheduler: Any, size: int) -> None:
    """Write `samples.png`, two pictures of each of `PROMPTS`, if there is time."""
    if job.clock.left() < job.reserve / 3:
        job.report("no time is left for the sample sheet")
        return
    drawn = pipeline(model, codec, tokenizer, scheduler)
    drawn.set_progress_bar_config(disable=True)
    side = max(STEP, size)
    prompts = [prompt for prompt in PROMPTS for _ in range(2)]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad(), autocast(job.device):
        images = drawn(prompts, height=side, width=side, generator=generator, output_type="pt", **SAMPLING).images
    save_grid(images.float() * 2 - 1, 8, job.out / "samples.png", zoom=max(1, 128 // side))
