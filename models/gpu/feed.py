"""The denoiser's batches on a GPU: scenes and captions are drawn by other processes, ahead of time, and composed and
encoded on the device.

Drawing and describing a thousand scenes takes a processor longer than a GPU needs to train on them.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from ..data.describe import Names
from ..data.raster import drawing_pool
from ..data.sampler import SceneSampler
from ..training.latents import draw_scenes
from ..training.sources import caption
from .device import autocast
from .layers import Layers, layers, paint

#: Batches that are drawn ahead, for each process.
AHEAD = 2


@dataclass(frozen=True)
class Drawer:
    """Draws batches. It is sent to another process with every task: its rows should hold no more than is needed."""

    sampler: SceneSampler
    names: Names
    size: int
    #: Side of the sprites in pixels.
    sprite: int
    aspects: Sequence[float]

    def draw(self, count: int, seed: str) -> tuple[Layers, list[str]]:
        """`count` scenes of one aspect, and a true caption of each; the same for the same seed."""
        choose = random.Random(seed)
        scenes = draw_scenes(self.sampler, count, choose.choice(self.aspects), choose)
        return layers(scenes, self.size, self.sprite), [caption(scene, self.names, choose) for scene in scenes]


class FedScenes:
    """A `Source` for GPUs; also a context, whose end ends the processes.

    Two runs with the same seed see the same batches in the same order, whatever the number of processes.
    """

    def __init__(self, drawer: Drawer, images: Tensor, codec: AutoencoderKL, *, seed: str, processes: int) -> None:
        """`images`: (N, S, S, 4) uint8 on the device that batches are made on; without processes this one draws."""
        self._drawer = drawer
        self._images = images
        self._codec = codec
        self._seed = seed
        self._pool = drawing_pool(processes)
        self._ahead = AHEAD * processes
        self._waiting: deque[tuple[int, Future[tuple[Layers, list[str]]]]] = deque()
        self._next = 0
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> FedScenes:
        self._executor = self._pool.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for _, waiting in self._waiting:
            waiting.cancel()
        self._pool.__exit__(kind, error, at)

    @torch.no_grad()
    def batch(self, count: int, choose: random.Random, generator: torch.Generator) -> tuple[Tensor, list[str]]:
        """See `Source`; the scenes come from this source's own seed, not from `choose`."""
        scenes, texts = self._drawn(count)
        # Colours are exact whatever the loop computes in.
        with autocast(self._images.device, wanted=False):
            pictures = paint(scenes, self._images).contiguous(memory_format=torch.channels_last)
        with autocast(self._images.device):
            posterior = self._codec.encode(pictures).latent_dist
        mean, deviation = posterior.mean.float(), posterior.std.float()
        noise = torch.randn(mean.shape, generator=generator, device=generator.device)
        return mean + deviation * noise, texts

    def _drawn(self, count: int) -> tuple[Layers, list[str]]:
        if self._executor is None:
            self._next += 1
            return self._drawer.draw(count, f"{self._seed}/{self._next}")
        while self._waiting and self._waiting[0][0] != count:
            self._waiting.popleft()[1].cancel()
        while len(self._waiting) < self._ahead:
            self._next += 1
            task = self._executor.submit(self._drawer.draw, count, f"{self._seed}/{self._next}")
            self._waiting.append((count, task))
        return self._waiting.popleft()[1].result()
