"""What is said of a codec: figures, comparisons, pictures from its prior."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import nn

from daguerre.models.data.store import SpriteSet
from daguerre.models.training.codec_figures import compare, decode_prior, heldout_pictures, measure, patch_distance

RECIPES = Path(__file__).parents[1] / "models" / "recipes"
pytest_plugins = ("codecfixtures",)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_the_prior_decodes(exported: Path) -> None:
    """z ~ N(0, 1) gives finite pictures of the right shape, the same for the same seed."""
    codec = AutoencoderKL.from_pretrained(exported, local_files_only=True)
    decoded = decode_prior(codec, 3, 4, seed=1)
    assert decoded.shape == (3, 3, 16, 16)
    assert torch.isfinite(decoded).all()
    assert torch.equal(decoded, decode_prior(codec, 3, 4, seed=1))
    assert not torch.equal(decoded, decode_prior(codec, 3, 4, seed=2))


def test_the_shipped_prior_is_in_range(sprites: SpriteSet) -> None:
    """Random latents decode to colours, not to overflow: the shipped codec is nearly always within [-1.05, 1.05]."""
    folder = RECIPES.parent / "weights" / "first-light" / "vae"
    codec = AutoencoderKL.from_pretrained(folder, local_files_only=True, use_safetensors=True).float()
    decoded = decode_prior(codec, 2, 16)
    assert decoded.shape == (2, 3, 64, 64)
    assert torch.isfinite(decoded).all()
    assert (decoded.abs() > 1.05).float().mean() < 0.02
    assert decoded.abs().max() < 2


def test_figures_tell_blur_from_sharpness() -> None:
    """On a codec that is the identity but for a blur: PSNR falls and sharpness is below one."""

    class Blur(nn.Module):
        """Stands where an autoencoder stands; latents are the picture's mean over 4 × 4 cells, the rest is kept."""

        def __init__(self, width: int) -> None:
            super().__init__()
            self.width = width
            self.own = nn.Parameter(torch.zeros(1))
            self.kept = torch.zeros(0)

        def encode(self, pictures: torch.Tensor) -> Any:
            self.kept = pictures
            mean = torch.zeros(len(pictures), 4, pictures.shape[-2] // 4, pictures.shape[-1] // 4)
            posterior = type("Posterior", (), {"mean": mean, "std": torch.zeros_like(mean)})
            return type("Encoded", (), {"latent_dist": posterior})

        def decode(self, z: torch.Tensor) -> Any:
            pad = self.width // 2
            blurred = nn.functional.avg_pool2d(self.kept, self.width, 1, pad, count_include_pad=False)
            return type("Decoded", (), {"sample": blurred})

    stripes = torch.ones(4, 3, 32, 32)
    stripes[..., ::8] = stripes[..., 1::8] = stripes[..., 2::8] = -1.0
    sharp, soft = (measure(Blur(width), stripes) for width in (1, 3))
    assert sharp.sharpness == pytest.approx(1.0)
    assert sharp.psnr_db > 100
    assert soft.sharpness < 0.7
    assert soft.psnr_db < 20
    assert soft.edge_error > sharp.edge_error
    assert soft.patch_distance > sharp.patch_distance + 1


def test_patch_distance_is_small_for_the_same_kind_and_large_for_another(sprites: SpriteSet) -> None:
    """Two draws of the same pictures against noise."""
    one, other = (heldout_pictures(sprites, 64, 32, seed) for seed in (1, 2))
    near = patch_distance(one, other, seed=0)
    far = patch_distance(one, torch.rand(64, 3, 32, 32) * 2 - 1, seed=0)
    assert abs(near) < far / 5


def test_comparing_leaves_figures_and_pictures(sprites: SpriteSet, exported: Path, tmp_path: Path) -> None:
    """One column for the originals and one for each codec; always on the same pictures."""
    codec = AutoencoderKL.from_pretrained(exported, local_files_only=True)
    figures = compare({"before": codec, "after": codec}, sprites, tmp_path, size=16)
    assert figures["before"] == figures["after"]
    assert json.loads((tmp_path / "codec-figures.json").read_text())["before"]["pictures"] == 64
    with Image.open(tmp_path / "codec.png") as sheet:
        assert sheet.width == 6 * (4 * 16 + 2) + 2
    assert (tmp_path / "codec-prior.png").is_file()
    state = torch.get_rng_state()
    assert torch.equal(heldout_pictures(sprites, 4, 16), heldout_pictures(sprites, 4, 16))
    assert torch.equal(torch.get_rng_state(), state)
