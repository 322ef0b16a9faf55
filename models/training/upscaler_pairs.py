"""Pairs for the upscaler: a large picture as it should be, and the small one that a decoder might give of it."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

#: sRGB → luma and back, for what happens to colours but not to brightness (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)


def large_pictures(images: Tensor, batch: int) -> Tensor:
    """Compositions of the sprites, uint8 (N, S, S, 4) with straight alpha: (batch, 3, S, S) in [-1, 1].

    One or two sprites over white, a colour or a gradient; a tenth are bare alpha in grey, since transparent pictures
    are enlarged that way. Turned and mirrored by right angles. Nothing is resampled.
    """
    size = images.shape[1]
    pictures = []
    for _ in range(batch):
        kind = float(torch.rand(()))
        if kind < 0.1:
            picture = torch.full((3, size, size), -1.0, device=images.device)
            paste(picture, torch.ones_like(picture), _alpha(_sprite(images)))
        else:
            picture = background(size).to(images.device)
            for _ in range(2 if kind < 0.35 else 1):
                sprite = _sprite(images)
                paste(picture, sprite[:3] / 127.5 - 1, _alpha(sprite))
        picture = torch.rot90(picture, int(torch.randint(4, ())), (1, 2))
        pictures.append(picture.flip(2) if torch.rand(()) < 0.5 else picture)
    return torch.stack(pictures).contiguous(memory_format=torch.channels_last)


def background(size: int) -> Tensor:
    """(3, size, size): white, one colour, or a gradient from top to bottom."""
    kind = float(torch.rand(()))
    top, bottom = torch.rand(3, 1, 1) * 2 - 1, torch.rand(3, 1, 1) * 2 - 1
    if kind < 0.45:
        top = bottom = torch.ones(3, 1, 1)
    elif kind < 0.8:
        bottom = top
    return torch.lerp(top, bottom, torch.linspace(0, 1, size)[None, :, None]).expand(3, size, size).clone()


def paste(picture: Tensor, colours: Tensor, alpha: Tensor) -> None:
    """Lay a sprite over the picture in place, moved by whole pixels up to a quarter of the side."""
    size = picture.shape[-1]
    moves = [int(torch.randint(-size // 4, size // 4 + 1, ())) for _ in range(2)]
    there = tuple(slice(max(0, move), size + min(0, move)) for move in moves)
    here = tuple(slice(max(0, -move), size - max(0, move)) for move in moves)
    part = picture[:, there[0], there[1]]
    part.lerp_(colours[:, here[0], here[1]], alpha[:, here[0], here[1]])


def shrink(large: Tensor, factor: int) -> Tensor:
    """The same pictures at 1/factor of the size, by a box filter."""
    return functional.avg_pool2d(large, factor).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def through_codec(codec: AutoencoderKL, small: Tensor, noise: float) -> Tensor:
    """What the decoder makes of the pictures' latents, each with its own amount of noise up to `noise` deviations.

    Latents that were drawn by the denoiser are never quite those of a picture; the noise stands for that.
    """
    latents = codec.encode(small).latent_dist.mean
    amount = noise * torch.rand(len(small), 1, 1, 1, device=small.device)
    return codec.decode(latents + amount * torch.randn_like(latents)).sample.clamp(-1, 1)


def degrade(small: Tensor, clean: float) -> Tensor:
    """Blur, bleeding colours and noise, each picture by its own amounts; the share `clean` stays as it is."""
    worse = []
    for picture in small:
        if torch.rand(()) >= clean:
            luma = _luma(picture)
            chroma = blur(picture - luma, 1.5 * float(torch.rand(())))
            picture = blur(luma + chroma, 0.8 * float(torch.rand(())))
            picture = picture + 0.06 * float(torch.rand(())) * torch.randn_like(picture)
        worse.append(picture)
    return torch.stack(worse).clamp(-1, 1).contiguous(memory_format=torch.channels_last)


def blur(picture: Tensor, deviation: float) -> Tensor:
    """Gaussian blur of (C, H, W) by `deviation` pixels, the border repeated."""
    if deviation < 0.2:
        return picture
    reach = torch.arange(-3, 4, dtype=picture.dtype, device=picture.device)
    weights = torch.exp(-0.5 * (reach / deviation) ** 2)
    weights = (weights / weights.sum()).expand(len(picture), 1, 1, 7)
    padded = functional.pad(picture[None], (3, 3, 3, 3), mode="replicate")
    across = functional.conv2d(padded, weights, groups=len(picture))
    return functional.conv2d(across, weights.transpose(2, 3), groups=len(picture))[0]


def windows(small: Tensor, large: Tensor, side: int, each: int) -> tuple[Tensor, Tensor]:
    """Cut `each` windows of `side` small pixels out of every picture, around edges rather than in empty places.

    Returns:
        (B·each, 3, side, side) and (B·each, 3, factor·side, factor·side).
    """
    factor = large.shape[-1] // small.shape[-1]
    last = small.shape[-1] - side
    bright = _luma(shrink(large, factor))
    across = bright.diff(dim=-1, append=bright[..., -1:]).abs()
    down = bright.diff(dim=-2, append=bright[..., -1:, :]).abs()
    busy = (across + down)[:, 0]
    weights = busy.flatten(1) + 0.2 * busy.mean((1, 2))[:, None] + 1e-6
    cut_small, cut_large = [], []
    for index, places in enumerate(torch.multinomial(weights, each, replacement=True)):
        for place in places.tolist():
            row, column = (min(max(0, middle - side // 2), last) for middle in divmod(place, small.shape[-1]))
            cut_small.append(small[index, :, row : row + side, column : column + side])
            row, column, wide = factor * row, factor * column, factor * side
            cut_large.append(large[index, :, row : row + wide, column : column + wide])
    channels_last = {"memory_format": torch.channels_last}
    return torch.stack(cut_small).contiguous(**channels_last), torch.stack(cut_large).contiguous(**channels_last)


def _sprite(images: Tensor) -> Tensor:
    """One of them, (4, S, S), 0 to 255."""
    return images[int(torch.randint(len(images), ()))].permute(2, 0, 1).float()


def _alpha(sprite: Tensor) -> Tensor:
    return sprite[3:] / 255


def _luma(picture: Tensor) -> Tensor:
    return (picture * picture.new_tensor(LUMA).view(3, 1, 1)).sum(-3, keepdim=True)
