"""The codec's training at toy size: losses with known values, the adversary, exact resume, a frozen encoder."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from modelkit import CODEC as TOY
from modelkit import decode_prior, interrupted_after, same
from torch import nn

from daguerre.models.data.store import SpriteSet
from daguerre.models.errors import TrainingError
from daguerre.models.training import checkpoints, losses, networks
from daguerre.models.training.adversary import MultiScaleDiscriminator
from daguerre.models.training.codec import Adversary, CodecRecipe, reconstruct, train_codec
from daguerre.models.training.pictures import random_pictures, split
from daguerre.models.training.progress import Lines
from daguerre.models.training.recipes import section

RECIPES = Path(__file__).parents[3] / "models" / "recipes"
ADVERSARIAL = dataclasses.replace(
    TOY, adversary_share=0.75, adversary_alone=2, adversary_width=8, prior=0.5, crop_share=0.25
)
QUIET = Lines(str)
pytest_plugins = ("codecfixtures",)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_reconstruction_counts_pixels_and_edges() -> None:
    """A constant offset costs its size and no edge; one wrong column costs both of its edges."""
    target = torch.zeros(1, 3, 4, 4)
    assert losses.reconstruction(target + 0.5, target, edges=0.5).item() == pytest.approx(0.5)
    column = target.clone()
    column[..., 1] = 1.0
    # A quarter of the pixels are off by 1, two thirds of the steps to the right, no step down.
    assert losses.reconstruction(column, target, edges=0.5).item() == pytest.approx(0.25 + 0.5 * 2 / 3)


def test_decibels_count_each_picture_alike() -> None:
    """Ten times the error of one picture costs the same whichever it is, and PSNR follows."""
    target = torch.zeros(2, 3, 4, 4)
    near, far = (torch.stack([target[0] + a, target[1] + b]) for a, b in ((0.1, 1.0), (1.0, 1.0)))
    lost = losses.decibels(far, target) - losses.decibels(near, target)
    assert lost.item() == pytest.approx(np.log(100) / 2, rel=0.01)


def test_overflow_counts_what_no_picture_shows() -> None:
    """Nothing within [-1, 1]; beyond it, the distance, on either side."""
    inside = torch.tensor([-1.0, -0.3, 0.0, 1.0])
    assert losses.overflow(inside).item() == 0
    assert losses.overflow(torch.tensor([1.5, -1.5, 0.0, 1.0])).item() == pytest.approx(0.25)


def test_divergence_is_zero_only_at_the_wanted_posterior() -> None:
    """Mean 0 and deviation `noise`."""
    wanted = torch.full((2, 4, 3, 3), 2 * float(np.log(0.1)))
    zero = torch.zeros_like(wanted)
    assert losses.divergence(zero, wanted, noise=0.1).item() == pytest.approx(0.0, abs=1e-9)
    assert losses.divergence(zero + 2, wanted, noise=0.1).item() == pytest.approx(2.0)
    assert losses.divergence(zero, wanted + 1, noise=0.1).item() == pytest.approx(1.0)


def test_hinge_losses_have_the_right_signs_and_values() -> None:
    """Beyond the margin nothing is learnt; the generator gains by higher scores; scales count alike."""
    one, two = torch.full((2, 1, 4, 4), 1.0), torch.full((2, 1, 2, 2), 2.0)
    assert losses.hinge_discriminator([one, two], [-one, -two]).item() == 0.0
    assert losses.hinge_discriminator([0 * one], [0 * one]).item() == pytest.approx(2.0)
    # Scale one: (1 + 1) + (1 + 1); scale two: (1 + 2) + (1 + 2); the mean, whatever the number of patches.
    assert losses.hinge_discriminator([-one, -two], [one, two]).item() == pytest.approx(5.0)
    assert losses.hinge_generator([one, two]).item() == pytest.approx(-1.5)
    score = torch.zeros(1, 1, 1, 1, requires_grad=True)
    losses.hinge_generator([score]).backward()
    assert score.grad is not None
    assert score.grad.item() < 0


def test_feature_matching_is_a_distance_that_pulls_the_fake_only() -> None:
    """Zero for equal features; real features are constants."""
    real = [[torch.ones(1, 2, 3, 3, requires_grad=True)], [torch.zeros(1, 2, 2, 2)]]
    fake = [[torch.full((1, 2, 3, 3), 3.0, requires_grad=True)], [torch.zeros(1, 2, 2, 2)]]
    assert losses.feature_matching(real, real).item() == 0.0
    distance = losses.feature_matching(real, fake)
    assert distance.item() == pytest.approx(1.0)  # 2 on one scale, 0 on the other
    distance.backward()
    assert real[0][0].grad is None
    assert fake[0][0].grad is not None
    assert (fake[0][0].grad > 0).all()


def test_the_adaptive_weight_is_the_ratio_of_gradients_and_bounded() -> None:
    """λ = share · ‖∇ base‖ / ‖∇ adversarial‖, never above its cap, finite where the adversary is silent."""
    last = torch.tensor([1.0, 2.0], requires_grad=True)
    base, adversarial = 3 * last.sum(), 6 * last.sum()
    weight = losses.adaptive_weight(base, adversarial, last, share=0.5, cap=10.0)
    assert weight.item() == pytest.approx(0.25, rel=1e-4)
    assert not weight.requires_grad
    assert losses.adaptive_weight(base, 0.001 * adversarial, last, share=0.5, cap=0.2).item() == pytest.approx(0.2)
    assert losses.adaptive_weight(base, 0 * adversarial, last, share=0.5, cap=0.2).item() == pytest.approx(0.2)
    assert losses.adaptive_weight(0 * base, adversarial, last, share=0.5, cap=0.2).item() == 0.0


def test_discriminators_see_two_scales_and_are_lipschitz() -> None:
    """Scores at a quarter of each scale's side; no layer stretches by more than about one."""
    torch.manual_seed(0)
    discriminator = MultiScaleDiscriminator(8)
    scores, features = discriminator(torch.rand(2, 3, 32, 48) * 2 - 1)
    assert [tuple(score.shape) for score in scores] == [(2, 1, 8, 12), (2, 1, 4, 6)]
    assert [len(felt) for felt in features] == [3, 3]
    for _ in range(20):
        discriminator(torch.rand(1, 3, 16, 16))
    norms = [
        torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()
        for layer in discriminator.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    assert max(norms) < 1.1


def test_the_discriminators_learn_to_tell_blurred_pictures(sprites: SpriteSet, exported: Path) -> None:
    """L_D falls well below 2, the value of knowing nothing, and real pictures score above fakes."""
    torch.manual_seed(0)
    recipe = dataclasses.replace(ADVERSARIAL, adversary_rate=2e-3, prior=0.0)
    model = AutoencoderKL.from_pretrained(exported, local_files_only=True)
    adversary = Adversary(recipe, model, "cpu")
    images = split(sprites)[0]
    for step in range(60):
        with torch.no_grad():
            made = reconstruct(model, random_pictures(images, 8, 16), recipe, half=False)
        adversary.step(made, step, Path("none"), alone=True)
    assert adversary.scalars["D"] < 1.0
    with torch.no_grad():
        real, fake = (adversary.discriminator(pictures)[0][0].mean() for pictures in (made.target, made.decoded))
    assert real > fake


def test_the_adversary_joins_for_the_last_share_only(sprites: SpriteSet, tmp_path: Path) -> None:
    """Until then the same bits as without one; then it learns alone, and only then changes the codec."""
    recipe = dataclasses.replace(ADVERSARIAL, prior=0.0)
    assert recipe.adversary_from == 2
    joined = recipe.adversary_from + recipe.adversary_alone
    said: list[str] = []
    progress = Lines(said.append, every=0.0)
    train_codec(recipe, sprites, tmp_path / "gan", progress, stop=interrupted_after(joined))
    assert ["D " in line for line in said] == [False, False, True, True]
    assert not any("weight" in line for line in said)
    train_codec(recipe, sprites, tmp_path / "gan", progress, stop=interrupted_after(1))
    assert "weight" in said[-1]
    weight = float(said[-1].split("weight ")[1].split()[0])
    assert 0 < weight <= recipe.adversary_cap


def test_a_run_with_two_optimisers_goes_on_to_the_same_bits(sprites: SpriteSet, tmp_path: Path) -> None:
    """Autoencoder, average, discriminators with their power iterations, both optimisers and all chances come back.

    Stopped before the adversary joins, while it learns alone, and in the full game.
    """
    whole = train_codec(ADVERSARIAL, sprites, tmp_path / "whole", QUIET)
    for calls in (1, 2, 3):
        train_codec(ADVERSARIAL, sprites, tmp_path / "parts", QUIET, stop=interrupted_after(calls))
    parts = train_codec(ADVERSARIAL, sprites, tmp_path / "parts", QUIET)
    assert same(whole, parts)
    assert (tmp_path / "whole/codec.safetensors").read_bytes() == (tmp_path / "parts/codec.safetensors").read_bytes()


def test_the_adversary_changes_what_is_learnt(sprites: SpriteSet, tmp_path: Path) -> None:
    """A guard for the test above: with the adversary switched off the same run ends elsewhere."""
    with_it = train_codec(ADVERSARIAL, sprites, tmp_path / "with", QUIET)
    without = train_codec(dataclasses.replace(ADVERSARIAL, adversary_share=0.0), sprites, tmp_path / "without", QUIET)
    assert not same(with_it, without)


def test_the_whole_loss_lowers_the_error(sprites: SpriteSet, tmp_path: Path) -> None:
    """The codec still learns to reconstruct while it plays against the discriminators."""
    recipe = dataclasses.replace(
        ADVERSARIAL, batch=8, steps=120, rate=1e-3, ema=0.9, crop_share=0.5, adversary_share=0.5, adversary_alone=10
    )
    torch.manual_seed(recipe.seed)
    fresh = networks.codec(recipe.channels)
    trained = train_codec(recipe, sprites, tmp_path, QUIET)
    torch.manual_seed(3)
    pictures = random_pictures(split(sprites)[1], 16, 16)
    with torch.no_grad():
        before, after = (reconstruct(codec, pictures, recipe, half=False) for codec in (fresh, trained))
    wrong_before, wrong = ((made.decoded - made.target).square().mean() for made in (before, after))
    assert wrong < wrong_before / 2
    assert after.loss < before.loss


def test_a_frozen_encoder_keeps_every_latent(sprites: SpriteSet, exported: Path, tmp_path: Path) -> None:
    """Encoder and quant_conv stay to the bit, averages included; the decoder and its first convolution move."""
    recipe = dataclasses.replace(ADVERSARIAL, freeze_encoder=True)
    before = AutoencoderKL.from_pretrained(exported, local_files_only=True)
    after = train_codec(recipe, sprites, tmp_path, QUIET, start=exported)
    assert same(before.encoder, after.encoder)
    assert same(before.quant_conv, after.quant_conv)
    assert not same(before.decoder, after.decoder)
    assert not same(before.post_quant_conv, after.post_quant_conv)
    torch.manual_seed(3)
    pictures = random_pictures(split(sprites)[0], 4, 16)
    with torch.no_grad():
        old, new = (codec.encode(pictures).latent_dist for codec in (before, after))
    assert torch.equal(old.mean, new.mean)
    assert torch.equal(old.std, new.std)


def test_a_decoder_is_taught_to_stay_within_the_range(sprites: SpriteSet, exported: Path, tmp_path: Path) -> None:
    """What random latents decode to leaves [-1, 1] far less after some steps of that loss."""
    before = AutoencoderKL.from_pretrained(exported, local_files_only=True)
    with torch.no_grad():
        before.decoder.conv_out.weight.mul_(4)
    before.save_pretrained(tmp_path / "loud", safe_serialization=True)
    recipe = dataclasses.replace(TOY, steps=40, batch=8, rate=3e-3, ema=0.5, freeze_encoder=True, pixels=0.0)

    def left(codec: AutoencoderKL) -> float:
        return losses.overflow(decode_prior(codec, 4, 4, seed=7)).item()

    pictures = random_pictures(split(sprites)[0], 4, 16)
    assert reconstruct(before, pictures, recipe, half=False).loss.item() == 0
    recipe = dataclasses.replace(recipe, overflow=1.0)
    assert reconstruct(before, pictures, recipe, half=False).loss.item() > 0.1
    taught = train_codec(recipe, sprites, tmp_path / "run", QUIET, start=tmp_path / "loud")
    assert left(taught) < left(before) / 2


def test_a_warm_start_begins_where_the_folder_ends(sprites: SpriteSet, exported: Path, tmp_path: Path) -> None:
    """One tiny step away from it, not from fresh weights; the encoder learns, too, when it is not frozen."""
    recipe = dataclasses.replace(TOY, steps=1, rate=1e-6)
    before = AutoencoderKL.from_pretrained(exported, local_files_only=True)
    after = train_codec(recipe, sprites, tmp_path, QUIET, start=exported)
    pairs = list(zip(before.parameters(), after.parameters(), strict=True))
    assert all((a - b).abs().max() < 2e-6 for a, b in pairs)
    assert not same(before.encoder, after.encoder)


@pytest.mark.parametrize(
    ("changes", "start", "says"),
    [
        ({"freeze_encoder": True}, None, "freeze_encoder needs a codec"),
        ({"channels": (16, 16, 32)}, "exported", r"has channels \[16, 32, 32\]"),
        ({}, "nowhere", "Cannot start from"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(
    changes: dict[str, Any], start: str | None, says: str, sprites: SpriteSet, exported: Path, tmp_path: Path
) -> None:
    """With what to do, and before anything is written."""
    folder = {"exported": exported, "nowhere": tmp_path / "nowhere", None: None}[start]
    with pytest.raises(TrainingError, match=says):
        train_codec(dataclasses.replace(TOY, **changes), sprites, tmp_path / "run", QUIET, start=folder)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("broken", ["codec", "discriminator"])
def test_a_loss_that_is_no_number_stops_the_run(broken: str, sprites: SpriteSet, tmp_path: Path) -> None:
    """The last good checkpoint stays, whichever side broke."""
    train_codec(ADVERSARIAL, sprites, tmp_path, QUIET, stop=interrupted_after(6))
    good = (tmp_path / "codec.safetensors").read_bytes()
    reckless = {"codec": {"kl": float("nan")}, "discriminator": {"prior": 1.0, "prior_weight": float("nan")}}[broken]
    with pytest.raises(TrainingError, match="nan at step 6"):
        train_codec(dataclasses.replace(ADVERSARIAL, **reckless), sprites, tmp_path, QUIET)
    assert (tmp_path / "codec.safetensors").read_bytes() == good


def test_held_out_drawings_are_never_trained_on() -> None:
    """Both parts together are the whole set, each drawing in one of them, whatever rows a set was narrowed to."""
    images = np.arange(300, dtype=np.uint8).repeat(4 * 4 * 4).reshape(300, 4, 4, 4)
    rows = [{"i": i, "code": f"{i:X}", "name": "x", "tier": "A"} for i in range(250)]
    trained, held = split(SpriteSet(images, rows))
    assert len(trained) + len(held) == 250
    assert 5 < len(held) < 40
    kept = {int(each[0, 0, 0]) for each in trained}
    assert kept.isdisjoint(int(each[0, 0, 0]) for each in held)


def test_an_old_checkpoint_of_one_optimiser_is_still_read(tmp_path: Path) -> None:
    """Into one optimiser as before, and into several as the first one's; the others begin without moments."""

    def parts() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(1)
        model = nn.Linear(3, 2)
        return model, torch.optim.AdamW(model.parameters(), lr=0.1)

    model, optimizer = parts()
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    checkpoints.save(tmp_path / "old.safetensors", {"model": model}, optimizer, {"step": 4})
    for several in (False, True):
        other, fresh = parts()
        _, second = parts()
        both = {"codec": fresh, "discriminator": second} if several else fresh
        assert checkpoints.load(tmp_path / "old.safetensors", {"model": other}, both) == {"step": 4}
        assert same(model, other)
        assert torch.equal(fresh.state_dict()["state"][0]["exp_avg"], optimizer.state_dict()["state"][0]["exp_avg"])
        assert not second.state_dict()["state"]


def test_a_checkpoint_with_parts_that_nobody_asks_for_is_refused(sprites: SpriteSet, tmp_path: Path) -> None:
    """A run with an adversary cannot silently go on without it."""
    train_codec(ADVERSARIAL, sprites, tmp_path, QUIET, stop=interrupted_after(4))
    before = (tmp_path / "codec.safetensors").read_bytes()
    with pytest.raises(TrainingError, match="another recipe"):
        train_codec(dataclasses.replace(ADVERSARIAL, adversary_share=0.0), sprites, tmp_path, QUIET)
    assert (tmp_path / "codec.safetensors").read_bytes() == before


@pytest.mark.parametrize(("name", "adversary"), [("codec", True), ("codec-decoder", False)])
def test_the_recipes_are_read_whole(name: str, adversary: bool) -> None:
    """Every key of [codec] is known, and what they ask for: the decoder alone, against an adversary or for PSNR."""
    file = RECIPES / f"{name}.toml"
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    recipe = section(file, "codec", CodecRecipe, content["codec"])
    assert recipe.freeze_encoder
    assert (recipe.adversary_from < recipe.steps, recipe.decibels > 0) == (adversary, not adversary)
    assert (RECIPES.parents[1] / content["start"]).is_dir()
