"""What a stage is given, and the parts that several stages share: sprites on the device, the pipeline to begin from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors import safe_open
from torch import Tensor
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from ..data.sampler import SceneSampler
from ..data.store import SpriteSet
from ..errors import TrainingError
from ..training.pipeline import PipelineRecipe, Scenery, names_only, scenery
from ..training.progress import Lines
from . import unpack
from .budget import Clock, Stretch, planned
from .feed import Drawer, FedScenes
from .pace import Watch

Report = Callable[[str], None]
#: What a drawing process needs of a row.
DRAWN_BY = ("i", "caption_en", "tier", "style")


@dataclass(frozen=True)
class Job:
    """One stage on one machine."""

    clock: Clock
    #: Seconds that must be left when training ends: for figures, pictures, results.
    reserve: float
    device: torch.device
    pack: Path
    #: Folder of everything that is kept between calls on the same machine.
    work: Path
    out: Path
    #: Pipeline folder to begin from; its codec and text encoder unless others are named.
    start: Path
    codec: Path
    text: Path
    #: Processes that draw; None for one a core, 0 for none.
    processes: int | None
    #: Begin the networks of this stage from nothing.
    fresh: bool
    stopped: Callable[[], bool]
    report: Report = print

    def watch(self) -> Callable[[], bool]:
        """`stop` of a training loop: the time is over, or somebody asked."""
        over = Watch(self.clock, reserve=self.reserve)
        return lambda: over() or self.stopped()

    def steps(self, stretches: list[Stretch], done: int) -> int:
        """How many steps the run has in all.

        Raises:
            TrainingError: none fits.
        """
        steps = planned(self.clock.left(), self.reserve, stretches, done)
        if steps <= done:
            raise TrainingError(
                f"No step fits into the {max(0.0, self.clock.left()):.0f} s that are left, of which "
                f"{self.reserve:.0f} s are for the results. Give more --minutes."
            )
        self.report(f"{steps - done} steps until {self.clock.left() - self.reserve:.0f} s from now, {done} done before")
        return steps

    def sprites(self, size: int) -> SpriteSet:
        """The packed drawings at `size` pixels."""
        folder = self.work / "data" / f"sprites{size}"
        return unpack.sprites(self.pack, folder, size, processes=self.processes, report=self.report)


class Told(Lines):
    """Progress as lines; keeps the last scalars."""

    def __init__(self, report: Report, every: float = 15.0) -> None:
        super().__init__(report, every)
        self.scalars: dict[str, float] = {}

    def step(self, stage: str, step: int, steps: int, scalars: Mapping[str, float]) -> None:
        """See `Progress`."""
        self.scalars = dict(scalars)
        super().step(stage, step, steps, scalars)


@dataclass(frozen=True)
class Parts:
    """The networks of a pipeline folder, fp32."""

    codec: AutoencoderKL
    tokenizer: PreTrainedTokenizerFast
    text: T5EncoderModel
    unet: UNet2DConditionModel | None


def parts(job: Job) -> Parts:
    """Read what the job begins from; the codec lies on the device and is not trained.

    Raises:
        TrainingError: a folder does not hold them.
    """
    read = {"local_files_only": True, "use_safetensors": True}
    try:
        codec: AutoencoderKL = AutoencoderKL.from_pretrained(job.codec, **read)
        text: T5EncoderModel = T5EncoderModel.from_pretrained(job.text / "text_encoder", **read)
        tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(
            job.text / "tokenizer", local_files_only=True
        )
        unet = None if job.fresh else UNet2DConditionModel.from_pretrained(job.start, subfolder="unet", **read)
    except (OSError, ValueError) as problem:
        raise TrainingError(f"Cannot begin from {job.start}, {job.codec}, {job.text}: {problem}") from problem
    codec = codec.float().eval().requires_grad_(False).to(job.device, memory_format=torch.channels_last)
    return Parts(codec, tokenizer, text.float(), unet if unet is None else unet.float())


def stocked(recipe: PipelineRecipe, sprites: SpriteSet) -> tuple[Scenery, Drawer]:
    """What scenes are drawn from, and who draws them."""
    scene = scenery(recipe, sprites)
    kinds = asdict(recipe.scenes)
    plain = kinds.pop("plain")
    light = [{key: row[key] for key in DRAWN_BY} for row in sprites.rows if row["caption_en"] in scene.names]
    sampler = SceneSampler(light, names_only(scene.concepts, scene.names), looks=scene.looks, kinds=kinds, plain=plain)
    return scene, Drawer(sampler, scene.names, recipe.latents.size, sprites.images.shape[1], recipe.latents.aspects)


def on_device(sprites: SpriteSet, device: torch.device) -> Tensor:
    """All pictures, uint8 (N, S, S, 4)."""
    return torch.from_numpy(np.array(sprites.images)).to(device)


def done_before(checkpoint: Path) -> int:
    """Steps in a checkpoint; 0 where there is none."""
    if not checkpoint.is_file():
        return 0
    with safe_open(checkpoint, "pt") as opened:
        return int(json.loads(opened.metadata()["numbers"])["step"])


def fed(job: Job, drawer: Drawer, images: Tensor, codec: AutoencoderKL, seed: str) -> FedScenes:
    """The source of a stage's batches."""
    # One core is left to the loop.
    processes = max(0, (os.cpu_count() or 1) - 1) if job.processes is None else job.processes
    return FedScenes(drawer, images, codec, seed=seed, processes=processes)


def sprite_side(size: int) -> int:
    """Side of the sprites that pictures of `size` are composed of: drawings lose by being enlarged."""
    return size if size <= 64 else 128
