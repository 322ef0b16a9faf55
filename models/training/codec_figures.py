"""How good a codec is, in numbers and for the eye, on pictures of drawings that its training leaves out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from ..data import SpriteSet
from .losses import psnr
from .pictures import random_pictures, save_grid, split

#: A step between neighbours that counts as an edge, in units of pictures in [-1, 1].
EDGE = 0.3
#: Side of the patches that the prior's pictures are compared by.
PATCH = 8


@dataclass(frozen=True, slots=True)
class CodecFigures:
    """Figures of one codec; measured by `measure`."""

    pictures: int
    #: Of all pixels together, from the latents' means and from samples of the posterior.
    psnr_db: float
    psnr_sampled_db: float
    #: Mean step between neighbours at the originals' edges ÷ the originals': below 1 is blurred, above is overdrawn.
    sharpness: float
    #: Mean absolute error of the steps between neighbours.
    edge_error: float
    #: Kernel distance (see `patch_distance`) × 1,000 between pictures and reconstructions, and decoded z ~ N(0, 1).
    patch_distance: float
    prior_patch_distance: float
    #: Mean absolute step between neighbours of decoded z ÷ that of pictures: above 1 is rougher than drawings are.
    prior_roughness: float
    #: Share of decoded z's numbers beyond [-1.05, 1.05], and the largest absolute one; NaN where any is not finite.
    prior_beyond: float
    prior_largest: float


def heldout_pictures(sprites: SpriteSet, count: int = 64, size: int = 64, seed: int = 1234) -> Tensor:
    """(count, 3, size, size), always the same for the same sprite set: placed at random over white or any colour."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return random_pictures(split(sprites)[1], count, size)


@torch.no_grad()
def measure(codec: AutoencoderKL, pictures: Tensor, *, seed: int = 0) -> CodecFigures:
    """All figures of a normalised codec (latents N(0, 1) per channel) on (B, 3, H, W) in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    posterior = codec.encode(pictures).latent_dist
    decoded = codec.decode(posterior.mean).sample
    noise = torch.randn(posterior.mean.shape, generator=generator).to(pictures.device)
    sampled = codec.decode(posterior.mean + posterior.std * noise).sample
    prior = decode_prior(codec, len(pictures), pictures.shape[-1] // 4, seed=seed)
    steps, wanted = _steps(decoded.clamp(-1, 1)), _steps(pictures)
    edges = wanted.abs() > EDGE
    finite = bool(torch.isfinite(prior).all())
    return CodecFigures(
        pictures=len(pictures),
        psnr_db=psnr(functional.mse_loss(decoded.clamp(-1, 1), pictures)),
        psnr_sampled_db=psnr(functional.mse_loss(sampled.clamp(-1, 1), pictures)),
        sharpness=float(steps[edges].abs().mean() / wanted[edges].abs().mean()),
        edge_error=float((steps - wanted).abs().mean()),
        patch_distance=1_000 * patch_distance(pictures, decoded.clamp(-1, 1), seed),
        prior_patch_distance=1_000 * patch_distance(pictures, prior.clamp(-1, 1), seed),
        prior_roughness=float(_steps(prior.clamp(-1, 1)).abs().mean() / wanted.abs().mean()),
        prior_beyond=float((prior.abs() > 1.05).float().mean()) if finite else float("nan"),
        prior_largest=float(prior.abs().max()) if finite else float("nan"),
    )


@torch.no_grad()
def decode_prior(codec: AutoencoderKL, count: int, side: int, *, seed: int = 0) -> Tensor:
    """Pictures (count, 3, 4 side, 4 side) decoded from z ~ N(0, 1), not clamped; the same for the same seed."""
    weight = next(codec.parameters())
    z = torch.randn(count, 4, side, side, generator=torch.Generator().manual_seed(seed))
    decoded: Tensor = codec.decode(z.to(weight.device, weight.dtype)).sample.float()
    return decoded


def patch_distance(ours: Tensor, theirs: Tensor, seed: int, patches: int = 2_000) -> float:
    """Unbiased MMD² with KID's kernel (x·y/d + 1)³ (1801.01401, sec. 4) between the pixels of 8 × 8 patches.

    It needs no network, so no discriminator can have been trained to please it; 0 on average for equal distributions.
    """
    generator = torch.Generator().manual_seed(seed)
    x, y = (_patches(p, patches, generator) for p in (ours, theirs))
    same_x, same_y, across = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    within = (same_x.sum() - same_x.trace()) + (same_y.sum() - same_y.trace())
    return float(within / (patches * (patches - 1)) - 2 * across.mean())


def compare(
    codecs: Mapping[str, AutoencoderKL], sprites: SpriteSet, folder: Path, *, size: int = 64
) -> dict[str, CodecFigures]:
    """Measure codecs on the same held-out pictures; writes `codec-figures.json` and two pictures into `folder`.

    `codec.png` has in each row an original and what each codec in order makes of it, four pixels for one;
    `codec-prior.png` has one row of decoded z ~ N(0, 1) for each codec.
    """
    pictures = heldout_pictures(sprites, size=size)
    figures = {name: measure(codec.eval(), pictures) for name, codec in codecs.items()}
    folder.mkdir(parents=True, exist_ok=True)
    told = {name: asdict(each) for name, each in figures.items()}
    (folder / "codec-figures.json").write_text(json.dumps(told, indent=1) + "\n")
    shown = pictures[:16]
    with torch.no_grad():
        columns = [shown, *(codec.decode(codec.encode(shown).latent_dist.mean).sample for codec in codecs.values())]
    # Two rows side by side, so that the sheet fits a screen.
    save_grid(torch.stack(columns, 1).flatten(0, 1), 2 * len(columns), folder / "codec.png", zoom=4)
    priors = torch.cat([decode_prior(codec, 8, size // 4) for codec in codecs.values()])
    save_grid(priors, 8, folder / "codec-prior.png", zoom=2)
    return figures


def _steps(pictures: Tensor) -> Tensor:
    """Differences to the right and lower neighbour, (B, 6, H-1, W-1)."""
    return torch.cat([pictures.diff(dim=-1)[..., :-1, :], pictures.diff(dim=-2)[..., :-1]], 1)


def _patches(pictures: Tensor, count: int, generator: torch.Generator) -> Tensor:
    unfolded = functional.unfold(pictures, PATCH, stride=PATCH // 2).transpose(1, 2).flatten(0, 1)
    chosen = torch.randint(len(unfolded), (count,), generator=generator).to(pictures.device)
    return unfolded[chosen]


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x.double() @ y.double().T / x.shape[1] + 1) ** 3
