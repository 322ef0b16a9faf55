"""The shipped codec's prior, and the pictures that codecs are measured on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from modelkit import decode_prior

from daguerre.models.data.store import SpriteSet
from daguerre.models.training.pictures import heldout_pictures

RECIPES = Path(__file__).parents[3] / "models" / "recipes"
pytest_plugins = ("codecfixtures",)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_the_shipped_prior_is_in_range() -> None:
    """Random latents decode to colours, not to overflow: the shipped codec is nearly always within [-1.05, 1.05]."""
    folder = RECIPES.parent / "weights" / "first-light" / "vae"
    codec = AutoencoderKL.from_pretrained(folder, local_files_only=True, use_safetensors=True).float()
    decoded = decode_prior(codec, 2, 16)
    assert decoded.shape == (2, 3, 64, 64)
    assert torch.isfinite(decoded).all()
    assert (decoded.abs() > 1.05).float().mean() < 0.02
    assert decoded.abs().max() < 2


def test_the_pictures_to_measure_on_are_always_the_same(sprites: SpriteSet) -> None:
    """Whatever torch drew before, which they leave as it was."""
    state = torch.get_rng_state()
    assert torch.equal(heldout_pictures(sprites, 4, 16), heldout_pictures(sprites, 4, 16))
    assert torch.equal(torch.get_rng_state(), state)
