"""The stage `distil`: the few-step student of a trained pipeline."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..errors import TrainingError
from ..training.pipeline import PipelineRecipe
from ..training.student import StudentRecipe, export_student, train_student
from .budget import Stretch
from .delivery import deliver
from .device import autocast
from .job import Job, Told, done_before, fed, on_device, parts, sprite_side, stocked
from .pace import Way, fastest


def distil(job: Job, recipe: PipelineRecipe) -> dict[str, Any]:
    """Train the few-step student of the pipeline to begin from."""
    plan, told = recipe.student or StudentRecipe(), Told(job.report)
    sprites = job.sprites(sprite_side(recipe.latents.size))
    _, drawer = stocked(recipe, sprites)
    begun = parts(replace(job, fresh=False))
    assert begun.unet is not None
    run, made = job.work / f"student-{recipe.latents.size}", job.work / "student-weights"
    done = done_before(run / "student.safetensors")

    with fed(job, drawer, on_device(sprites, job.device), begun.codec, f"student/{plan.seed}/{done}") as source:

        def train(wanted: StudentRecipe, folder: Path, stop: Any, progress: Any, save: Any = lambda step: None) -> Any:
            unet = copy.deepcopy(begun.unet).to(memory_format=torch.channels_last)
            saved = (lambda step: save(unet)) if folder == run else save
            # The teacher's steps inside a window are the most of the work; the loop's own autocast leaves them out.
            with autocast(job.device):
                train_student(wanted, source, unet, begun.text, begun.tokenizer, folder, progress, stop, saved)
            return unet

        quiet = Told(lambda _: None)
        ways = [
            Way(
                f"student, batch {batch}",
                lambda at, stop, b=batch: train(replace(plan, batch=b), at, stop, quiet),
                batch,
            )
            for batch in (plan.batch, max(1, plan.batch // 4))
        ]
        chosen = fastest(ways[:1], job.clock, job.work / "probe", job.report) or fastest(
            ways[1:], job.clock, job.work / "probe", job.report
        )
        if chosen is None:
            raise TrainingError("No way of training the student could be measured. Give more --minutes.")
        steps = job.steps([Stretch(1.0, chosen[1])], done)
        final = replace(plan, steps=steps, batch=chosen[0].samples, warmup=min(plan.warmup, max(1, steps // 10)))

        def save(unet: Any) -> None:
            export_student(unet, final, made / "student")
            deliver(made, job.out, told.scalars)

        unet = train(final, run, job.watch(), told, save)
    save(unet)
    return told.scalars | {"steps": done_before(run / "student.safetensors"), "batch": final.batch}
