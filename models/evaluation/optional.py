"""Parts that not every folder of weights has: the upscaler, the few-step student, the baselines' pictures."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from ..common import upscaler as upscaling
from ..data import load
from ..errors import DataMissing, WeightsMissing, WeightsRefused, explained
from ..training.baselines import load_baseline, sample
from ..training.upscaler_pairs import large_pictures
from ..training.upscaler_sprites import held_out
from .fidelity import Decibels, upscaler_gain
from .painter import Sampling


def upscaler(folder: Path, crisp: Path | None, pictures: int, seed: int = 20_772) -> Decibels:
    """Gain over Lanczos in dB of the upscaler in `folder`, on compositions of the large sprites in `crisp`.

    Raises:
        WeightsMissing: there is no upscaler.
        DataMissing: there are no large sprites.
    """
    if not folder.is_dir():
        raise WeightsMissing(f"these weights have no {folder.name}/")
    if crisp is None:
        raise DataMissing("no folder of large sprites was given")
    model = upscaling.load(folder)
    sprites = load(crisp)
    unseen = [row["i"] for row in sprites.rows if held_out(row)]
    if not unseen:
        raise DataMissing(f"{crisp} holds no drawing that the upscaler has not been trained on")
    images = torch.from_numpy(sprites.images[unseen])
    # `large_pictures` draws from torch's own chances: fix them for it, and give them back.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        large = large_pictures(images, pictures)
    return upscaler_gain(lambda small: upscaling.upscale(model, small), large, model.config.factor)


def student(pipeline: StableDiffusionPipeline, folder: Path) -> tuple[StableDiffusionPipeline, Sampling]:
    """The pipeline with its student's adapter and the sampling that the student was made for; changed in place.

    Raises:
        WeightsMissing: there is no student.
        WeightsRefused: its files are damaged.
    """
    settings = folder / "config.json"
    if not settings.is_file():
        raise WeightsMissing(f"these weights have no {folder.name}/")
    with explained(WeightsRefused, f"the student in {folder.name}/ cannot be used: {{problem}}"):
        content = json.loads(settings.read_text(encoding="utf-8"))
        pipeline.load_lora_weights(
            folder, weight_name="pytorch_lora_weights.safetensors", local_files_only=True, use_safetensors=True
        )
        order = int(content["solver_order"])
        pipeline.scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config, solver_order=order)
        return pipeline, Sampling(int(content["steps"]), float(content["guidance"]))


def baseline(folder: Path | None, pictures: int, seed: int = 0) -> Tensor:
    """Pictures (n, 3, 64, 64) in [-1, 1] of a DCGAN or VAE.

    Raises:
        WeightsMissing, WeightsRefused: see `baselines.load_baseline`.
    """
    if folder is None:
        raise WeightsMissing("no folder was given")
    return sample(load_baseline(folder), pictures, seed)
