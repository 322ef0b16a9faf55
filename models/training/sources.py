"""Where the denoiser's batches come from: a cache of latents, or scenes composed and encoded on the spot."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from ..data import Scene
from ..data.compose import render
from ..data.describe import Names, describe, languages
from ..data.sampler import SceneSampler
from .latents import Shard, draw_scenes

#: Share of the captions in Chinese, and in any of the other languages; the rest is English.
CHINESE, OTHER = 0.3, 0.1


class Source(Protocol):
    """Gives batches."""

    def batch(self, count: int, choose: random.Random, generator: torch.Generator) -> tuple[Tensor, list[str]]:
        """`count` clean latents (count, 4, h, w) fp32 on the generator's device, and a true caption of each."""
        ...


@runtime_checkable
class SceneSource(Source, Protocol):
    """Gives batches, and says what they show."""

    def scenes(
        self, count: int, choose: random.Random, generator: torch.Generator
    ) -> tuple[Tensor, list[str], list[Scene]]:
        """As `batch`, with the scene of each row."""
        ...


class CachedLatents:
    """Draws from shards in memory; every batch has one aspect, drawn by how many scenes have it."""

    def __init__(self, shards: Sequence[Shard], deviation: Tensor, names: Names) -> None:
        self._shards = shards
        self._deviation = deviation[:, None, None]
        self._names = names
        self._shapes = sorted({tuple(shard.means.shape[1:]) for shard in shards})
        self._by_shape = {
            shape: [shard for shard in shards if tuple(shard.means.shape[1:]) == shape] for shape in self._shapes
        }
        self._weights = [sum(len(shard.scenes) for shard in self._by_shape[shape]) for shape in self._shapes]

    def batch(self, count: int, choose: random.Random, generator: torch.Generator) -> tuple[Tensor, list[str]]:
        return self.scenes(count, choose, generator)[:2]

    def scenes(
        self, count: int, choose: random.Random, generator: torch.Generator
    ) -> tuple[Tensor, list[str], list[Scene]]:
        (shape,) = choose.choices(self._shapes, self._weights)
        rows = [
            (shard, choose.randrange(len(shard.scenes))) for shard in choose.choices(self._by_shape[shape], k=count)
        ]
        means = torch.stack([shard.means[row] for shard, row in rows]).float().to(generator.device)
        noise = torch.randn(means.shape, generator=generator, device=generator.device)
        scenes = [shard.scenes[row] for shard, row in rows]
        clean = means + self._deviation.to(means.device) * noise
        return clean, [caption(scene, self._names, choose) for scene in scenes], scenes


class ComposedScenes:
    """Composes and encodes every batch anew, on the generator's device: for GPUs, where that costs little."""

    def __init__(
        self,
        sampler: SceneSampler,
        images: NDArray[np.uint8],
        codec: AutoencoderKL,
        names: Names,
        *,
        size: int,
        aspects: Sequence[float],
    ) -> None:
        self._sampler = sampler
        self._images = images
        self._codec = codec
        self._names = names
        self._size = size
        self._aspects = aspects

    def batch(self, count: int, choose: random.Random, generator: torch.Generator) -> tuple[Tensor, list[str]]:
        return self.scenes(count, choose, generator)[:2]

    @torch.no_grad()
    def scenes(
        self, count: int, choose: random.Random, generator: torch.Generator
    ) -> tuple[Tensor, list[str], list[Scene]]:
        scenes = draw_scenes(self._sampler, count, choose.choice(self._aspects), choose)
        pictures = render(scenes, self._images, self._size, device=generator.device)
        posterior = self._codec.encode(pictures.contiguous(memory_format=torch.channels_last)).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator, device=generator.device)
        clean = posterior.mean.float() + posterior.std.float() * noise
        return clean, [caption(scene, self._names, choose) for scene in scenes], scenes


def caption(scene: Scene, names: Names, choose: random.Random) -> str:
    """A caption in a language drawn by share."""
    drawn = choose.random()
    if drawn < OTHER and (others := languages(names)):
        return describe(scene, names, choose, choose.choice(others))
    return describe(scene, names, choose, "zh" if drawn < OTHER + CHINESE else "en")
