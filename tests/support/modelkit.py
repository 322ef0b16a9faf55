"""A toy world for models: two things drawn as discs and squares, and everything trained from it at toy size."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn

from daguerre.models.data.colours import WORDS, looks, to_oklab
from daguerre.models.data.colours import names_of as colours_called
from daguerre.models.data.describe import names_of
from daguerre.models.data.raster import rasterise
from daguerre.models.data.sampler import SceneSampler
from daguerre.models.data.store import SpriteSet
from daguerre.models.training import networks
from daguerre.models.training.codec import CodecRecipe
from daguerre.models.training.denoiser import DenoiserRecipe
from daguerre.models.training.latents import Shard, draw_scenes, encode
from daguerre.models.training.sources import CachedLatents
from daguerre.models.training.tokenizer import train_tokenizer

CONCEPTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {"red apple": (("apple",), ("苹果",)), "pizza": ((), ())}
CODEC_CHANNELS = (16, 32, 32)
#: A codec that one thread trains in seconds.
CODEC = CodecRecipe(channels=CODEC_CHANNELS, size=16, crop=8, batch=2, steps=8, warmup=2)
DENOISER = DenoiserRecipe(channels=(16, 16, 32), attention=(False, True, True), batch=4, steps=8, warmup=2)
SIZE = 32
_SHAPES = {
    "red apple": '<circle cx="32" cy="32" r="{}" fill="#ff0000"/>',
    "pizza": '<rect x="4" y="4" width="{0}" height="{0}" fill="#ffcc00"/>',
}


def sprite_set(size: int = SIZE) -> SpriteSet:
    """Two concepts in two sizes, in two styles."""
    drawn, rows = [], []
    for index, (label, side) in enumerate([("red apple", 30), ("red apple", 20), ("pizza", 54), ("pizza", 40)]):
        body = _SHAPES[label].format(side)
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64">{body}</svg>'
        pixels = rasterise(svg, size)
        assert pixels is not None
        drawn.append(pixels)
        rows.append(
            {"i": index, "code": f"1F3{index}", "name": label, "source": "toy", "kind": "emoji", "group": 4,
             "style": ("noto", "3d")[index % 2], "tier": "A", "caption_en": label, "caption_zh": "",
             "keywords_en": [], "keywords_zh": []}
        )  # fmt: skip
    return SpriteSet(np.stack(drawn), rows)


def sampler(sprites: SpriteSet) -> SceneSampler:
    """Scenes of them; the pair itself may be held out."""
    known = dict(enumerate(looks(torch.from_numpy(sprites.images))))
    return SceneSampler(sprites.rows, CONCEPTS, looks=known)


def codec() -> AutoencoderKL:
    """An untrained one, always the same."""
    torch.manual_seed(0)
    return networks.codec(CODEC_CHANNELS).eval()


def source(sprites: SpriteSet, *, scenes: int = 24, aspects: tuple[float, ...] = (1.0, 1.5)) -> CachedLatents:
    """Latents of some scenes."""
    drawn = [draw_scenes(sampler(sprites), scenes, aspect, random.Random(1)) for aspect in aspects]
    shards = [Shard(encode(codec(), part, sprites.images, SIZE), part) for part in drawn]
    return CachedLatents(shards, torch.full((4,), 0.05), names_of(sprites.rows, CONCEPTS))


def tokenizer() -> Any:
    return train_tokenizer(
        ["a red apple", "a pizza", "一个苹果", "two apples and a pizza on a blue background"] * 20, 320
    )


def text_encoder(tokens: Any) -> Any:
    torch.manual_seed(4)
    return networks.text_encoder(len(tokens), 48, 1)


def interrupted_after(calls: int) -> Callable[[], bool]:
    """A `stop` that says yes after so many times."""
    left = iter(range(calls))
    return lambda: next(left, None) is None


def same(one: nn.Module, other: nn.Module) -> bool:
    """Whether both hold the same bits."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def name_colour(srgb: Sequence[float]) -> str:
    """The word for one sRGB colour, 0 to 255."""
    return WORDS[int(colours_called(to_oklab(torch.tensor(srgb, dtype=torch.float32)[None, :, None] / 255)))]


@torch.no_grad()
def decode_prior(codec: AutoencoderKL, count: int, side: int, *, seed: int = 0) -> torch.Tensor:
    """Pictures (count, 3, 4 side, 4 side) decoded from z ~ N(0, 1), not clamped; the same for the same seed."""
    return codec.decode(torch.randn(count, 4, side, side, generator=torch.Generator().manual_seed(seed))).sample.float()
