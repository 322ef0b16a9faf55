"""Scenes encoded once, so that composing and the codec stay out of the training loop on slow machines.

A cache is a folder of shards, each `NNNNN.npy` (fp16 means, (n, 4, h, w)) and `NNNNN.jsonl` (one scene a line), and
`cache.json`, which says what they were made of. A shard is renamed into place when it is whole, so a stopped build
goes on where it was.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from ..data import Scene, scene_from_json
from ..data.compose import render
from ..data.sampler import SceneSampler
from .progress import Progress

#: Pictures that are encoded at a time.
CHUNK = 64


@dataclass(frozen=True, slots=True)
class LatentRecipe:
    """Which scenes are encoded, and how many."""

    #: Shorter side of the pictures in pixels.
    size: int = 64
    shards: int = 12
    #: Scenes in a shard; all of one aspect.
    scenes: int = 4_096
    #: Width ÷ height of the shards, in turn; square ones are most.
    aspects: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.5, 2 / 3, 16 / 9, 9 / 16)
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Shard:
    """Latents of scenes of one aspect."""

    #: fp16 (n, 4, h, w).
    means: Tensor
    scenes: Sequence[Scene]


def build_latents(
    folder: Path,
    recipe: LatentRecipe,
    codec: AutoencoderKL,
    images: NDArray[np.uint8],
    sampler: SceneSampler,
    progress: Progress,
    stop: Callable[[], bool] = lambda: False,
) -> list[Shard] | None:
    """Encode what is missing of the cache and give all of it; None where `stop` came first."""
    made_of = {
        "size": recipe.size, "scenes": recipe.scenes, "aspects": recipe.aspects, "seed": recipe.seed,
        "codec": fingerprint(codec), "sprites": len(images), "sampler": sampler.fingerprint(),
    }  # fmt: skip
    marker, text = folder / "cache.json", json.dumps(made_of, indent=1)
    folder.mkdir(parents=True, exist_ok=True)
    if not marker.is_file() or marker.read_text() != text:
        for stale in (*folder.glob("*.npy"), *folder.glob("*.jsonl")):
            stale.unlink()
        marker.write_text(text)
    for number in range(recipe.shards):
        if stop():
            return None
        if not (folder / f"{number:05}.npy").is_file():
            _build_shard(folder, number, recipe, codec, images, sampler)
        progress.step("latents", number + 1, recipe.shards, {})
    return [_load_shard(folder, number) for number in range(recipe.shards)]


def draw_scenes(sampler: SceneSampler, count: int, aspect: float, choose: random.Random) -> list[Scene]:
    """`count` scenes of one aspect."""
    return [sampler.draw(choose, aspect=aspect) for _ in range(count)]


@torch.no_grad()
def encode(codec: AutoencoderKL, scenes: Sequence[Scene], images: NDArray[np.uint8], size: int) -> Tensor:
    """Means of the codec's posteriors, (n, 4, h, w) fp16."""
    means: list[Tensor] = []
    for begin in range(0, len(scenes), CHUNK):
        pictures = render(scenes[begin : begin + CHUNK], images, size).contiguous(memory_format=torch.channels_last)
        means.append(codec.encode(pictures).latent_dist.mean.half().contiguous())
    return torch.cat(means)


def normalise(codec: AutoencoderKL, means: Tensor) -> None:
    """Fold the latents' mean and deviation per channel into the codec, so that they are N(0, 1) for any pipeline.

    The stock pipelines apply one scaling factor only, so it becomes 1 and `quant_conv` and `post_quant_conv` carry
    the rest: z' = (z − m) / s, decoded as W(s z' + m) + b.

    Args:
        codec: changed in place.
        means: (n, 4, h, w) of many pictures, as the codec gives them now.
    """
    values = means.float()
    mean, deviation = values.mean((0, 2, 3)), values.std((0, 2, 3))
    quant, post = codec.quant_conv, codec.post_quant_conv
    if not isinstance(quant, torch.nn.Conv2d) or not isinstance(post, torch.nn.Conv2d):
        raise TypeError("this codec has no quant_conv")
    with torch.no_grad():
        half = len(mean)
        post_bias = post.bias + (post.weight[:, :, 0, 0] @ mean)
        post.weight.mul_(deviation[None, :, None, None])
        post.bias.copy_(post_bias)
        quant.weight[:half].div_(deviation[:, None, None, None])
        quant.bias[:half].sub_(mean).div_(deviation)
        # Log-variance scales by −2 log s.
        quant.bias[half:].sub_(2 * deviation.log())
    codec.register_to_config(scaling_factor=1.0)


@torch.no_grad()
def posterior_deviation(codec: AutoencoderKL, pictures: Tensor) -> Tensor:
    """Standard deviation of the codec's posterior for each latent channel, (4,); training holds it constant."""
    deviation: Tensor = codec.encode(pictures).latent_dist.std.mean((0, 2, 3))
    return deviation


def fingerprint(codec: AutoencoderKL) -> str:
    """sha256 of everything that decides what the codec's encoder gives."""
    total = hashlib.sha256()
    for name, value in sorted(codec.state_dict().items()):
        if name.startswith(("encoder.", "quant_conv.")):
            total.update(name.encode())
            total.update(value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def _build_shard(
    folder: Path,
    number: int,
    recipe: LatentRecipe,
    codec: AutoencoderKL,
    images: NDArray[np.uint8],
    sampler: SceneSampler,
) -> None:
    choose = random.Random(f"{recipe.seed}/{number}")
    scenes = draw_scenes(sampler, recipe.scenes, recipe.aspects[number % len(recipe.aspects)], choose)
    means = encode(codec, scenes, images, recipe.size)
    with (folder / f"{number:05}.jsonl").open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(dataclasses.asdict(scene)) + "\n" for scene in scenes)
    part = folder / f"{number:05}.part"
    with part.open("wb") as handle:
        np.save(handle, means.numpy(), allow_pickle=False)
    part.rename(folder / f"{number:05}.npy")


def _load_shard(folder: Path, number: int) -> Shard:
    means = torch.from_numpy(np.load(folder / f"{number:05}.npy", allow_pickle=False))
    with (folder / f"{number:05}.jsonl").open(encoding="utf-8") as lines:
        return Shard(means, [scene_from_json(json.loads(line)) for line in lines])
