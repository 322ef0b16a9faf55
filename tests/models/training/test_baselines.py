"""The DCGAN and the VAE at toy size: networks as in the tutorials, losses, exact resume, samples."""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from modelkit import interrupted_after, same
from PIL import Image
from torch import nn

from daguerre.models.data.raster import rasterise
from daguerre.models.data.store import SpriteSet
from daguerre.models.errors import TrainingError, WeightsMissing, WeightsRefused
from daguerre.models.training.baseline_runs import (
    DcganRecipe,
    VaeRecipe,
    elbo_terms,
    gan_loss,
    train_dcgan,
    train_vae,
)
from daguerre.models.training.baselines import (
    DcganShape,
    Discriminator,
    Generator,
    Vae,
    VaeShape,
    load_baseline,
    sample,
    save_baseline,
)
from daguerre.models.training.pictures import of_concepts, single_pictures
from daguerre.models.training.progress import Lines
from daguerre.models.training.recipes import section

RECIPES = Path(__file__).parents[3] / "models" / "recipes"
DCGAN = DcganRecipe(latent=16, width=4, batch=4, steps=4)
VAE = VaeRecipe(latent=8, width=4, batch=4, steps=4)
CONCEPTS = {"disc": ((), ())}
QUIET = Lines(str)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def sprites() -> SpriteSet:
    """Four discs, and one thing that is not asked for and one of another tier."""
    drawn, rows = [], []
    for index, colour in enumerate(("#d02020", "#2040d0", "#20a040", "#e0a020", "#000000", "#000000")):
        body = f'<circle cx="32" cy="32" r="28" fill="{colour}"/>'
        pixels = rasterise(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">{body}</svg>', 32)
        assert pixels is not None
        drawn.append(pixels)
        label, tier = ("other" if index == 4 else "disc"), ("B" if index == 5 else "A")
        rows.append({"i": index, "code": "", "name": str(index), "tier": tier, "caption_en": label})
    return SpriteSet(np.stack(drawn), rows)


def test_the_dcgan_is_the_tutorials() -> None:
    """100 → 512, 256, 128, 64, 3 and 64, 128, 256, 512, 1, kernel 4; batch norm everywhere but at the ends."""
    generator, discriminator = Generator(DcganShape()), Discriminator(DcganShape())
    up = [layer for layer in generator.layers if isinstance(layer, nn.ConvTranspose2d)]
    down = [layer for layer in discriminator.layers if isinstance(layer, nn.Conv2d)]
    assert [(layer.in_channels, layer.out_channels) for layer in up] == [
        (100, 512), (512, 256), (256, 128), (128, 64), (64, 3),
    ]  # fmt: skip
    assert [(layer.in_channels, layer.out_channels) for layer in down] == [
        (3, 64), (64, 128), (128, 256), (256, 512), (512, 1),
    ]  # fmt: skip
    assert {layer.kernel_size for layer in (*up, *down)} == {(4, 4)}
    assert [layer.stride for layer in up] == [(1, 1), *[(2, 2)] * 4]
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in discriminator.layers) == 3
    pictures = generator(torch.randn(2, 100))
    assert pictures.shape == (2, 3, 64, 64)
    assert discriminator(pictures).shape == (2,)
    weights = torch.cat([layer.weight.flatten() for layer in up])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)


def test_adversarial_losses_are_the_printed_ones() -> None:
    """−log D(x) and −log(1 − D(G(z))) on known scores; finite where a sigmoid would be 0 or 1."""
    logits = torch.tensor([0.0, 2.0])
    judged = logits.sigmoid()
    assert gan_loss(logits, real=True).item() == pytest.approx(-judged.log().mean().item())
    assert gan_loss(logits, real=False).item() == pytest.approx(-(1 - judged).log().mean().item())
    assert gan_loss(torch.tensor([-200.0]), real=True).item() == pytest.approx(200.0)
    assert gan_loss(torch.zeros(3), real=True).item() == pytest.approx(math.log(2))


def test_the_evidence_bound_has_the_textbook_values() -> None:
    """KL(N(1, e) ‖ N(0, 1)) per number, and half the squared error over the variance."""
    pictures = torch.zeros(2, 3, 4, 4)
    zero = torch.zeros(2, 5)
    reconstruction, divergence = elbo_terms(pictures + 0.5, pictures, zero, zero, deviation=0.25)
    assert divergence.item() == 0.0
    assert reconstruction.item() == pytest.approx(48 * 0.25 / (2 * 0.0625))
    _, divergence = elbo_terms(pictures, pictures, zero + 1, zero + 1, deviation=1.0)
    assert divergence.item() == pytest.approx(5 * 0.5 * (1 + math.e - 1 - 1))


def test_training_pictures_are_single_drawings_of_the_concepts_on_white(sprites: SpriteSet) -> None:
    """Only tier A sprites of the list, centred, never touching the corners."""
    images = of_concepts(sprites, CONCEPTS)
    assert len(images) == 4
    torch.manual_seed(0)
    pictures = single_pictures(images, 16, 64)
    assert pictures.shape == (16, 3, 64, 64)
    assert (pictures[:, :, :3, :3] == 1).all()
    assert (pictures[:, :, 32, 32] < 0.99).any(1).all()


@pytest.mark.parametrize(("train", "recipe"), [(train_dcgan, DCGAN), (train_vae, VAE)])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    train: Any, recipe: Any, sprites: SpriteSet, tmp_path: Path
) -> None:
    """Both optimisers of the DCGAN, running statistics and chances included."""
    whole = train(recipe, sprites, CONCEPTS, tmp_path / "whole", QUIET)
    train(recipe, sprites, CONCEPTS, tmp_path / "parts", QUIET, stop=interrupted_after(2))
    parts = train(recipe, sprites, CONCEPTS, tmp_path / "parts", QUIET)
    assert same(whole, parts)
    (name,) = (file.name for file in (tmp_path / "whole").glob("*.safetensors"))
    assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


@pytest.mark.parametrize(("kind", "train", "recipe"), [("dcgan", train_dcgan, DCGAN), ("vae", train_vae, VAE)])
def test_a_run_leaves_weights_samples_and_counts(
    kind: str, train: Any, recipe: Any, sprites: SpriteSet, tmp_path: Path
) -> None:
    """What is loaded again draws what the run drew, and says how many pictures it saw."""
    model = train(recipe, sprites, CONCEPTS, tmp_path, QUIET)
    again = load_baseline(tmp_path / kind)
    assert torch.equal(sample(model, 5, seed=3), sample(again, 5, seed=3))
    config = json.loads((tmp_path / kind / "config.json").read_text())
    assert config["kind"] == kind
    assert config["training"]["samples"] == recipe.steps * recipe.batch
    with Image.open(tmp_path / "samples.png") as sheet:
        assert sheet.size == (8 * (2 * 64 + 2) + 2,) * 2


@pytest.mark.parametrize("model", [Generator(DcganShape(16, 4)), Vae(VaeShape(8, 4))])
def test_samples_are_pictures_and_repeatable(model: Any) -> None:
    """(n, 3, 64, 64) in [-1, 1], the same for the same seed, whatever torch drew before; the model stays as it was."""
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    first = sample(model, 70, seed=5)
    torch.randn(10)
    assert first.shape == (70, 3, 64, 64)
    assert first.abs().max() <= 1
    assert torch.equal(first, sample(model, 70, seed=5))
    assert not torch.equal(first, sample(model, 70, seed=6))
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_the_vae_learns(sprites: SpriteSet, tmp_path: Path) -> None:
    """The bound on held pictures falls to less than a third of a fresh network's; samples become mostly white."""
    recipe = dataclasses.replace(VAE, width=8, batch=8, steps=80, rate=3e-3)
    torch.manual_seed(recipe.seed)
    fresh = Vae(VaeShape(recipe.latent, recipe.width)).eval()
    trained = train_vae(recipe, sprites, CONCEPTS, tmp_path, QUIET)
    torch.manual_seed(9)
    pictures = single_pictures(of_concepts(sprites, CONCEPTS), 16, 64)

    def bound(model: Vae) -> float:
        with torch.no_grad():
            mean, log_variance = model.encode(pictures)
            return float(sum(elbo_terms(model(mean), pictures, mean, log_variance, recipe.deviation)))

    assert bound(trained) < bound(fresh) / 3
    corner = sample(trained, 16, seed=0)[:, :, :4, :4]
    assert corner.mean() > 0.5


def test_the_dcgan_learns(sprites: SpriteSet, tmp_path: Path) -> None:
    """The discriminator learns to tell, and samples come nearer to the drawings' mean picture than a fresh grey."""
    recipe = dataclasses.replace(DCGAN, width=8, batch=8, steps=80, rate=2e-3)
    torch.manual_seed(recipe.seed)
    fresh = Generator(DcganShape(recipe.latent, recipe.width))
    said: list[str] = []
    trained = train_dcgan(recipe, sprites, CONCEPTS, tmp_path, Lines(said.append, every=0.0))
    told = [float(line.split(" D ")[1].split()[0]) for line in said if " D " in line]
    assert len(told) == recipe.steps
    # 2 log 2 = 1.39 is the loss of a discriminator that knows nothing.
    assert min(told) < 0.5
    torch.manual_seed(9)
    wanted = single_pictures(of_concepts(sprites, CONCEPTS), 64, 64).mean(0)
    before, after = ((sample(model, 32, seed=0).mean(0) - wanted).square().mean() for model in (fresh, trained))
    assert after < 0.9 * before


@pytest.mark.parametrize(("train", "recipe"), [(train_dcgan, DCGAN), (train_vae, VAE)])
def test_a_loss_that_is_no_number_stops_the_run(train: Any, recipe: Any, sprites: SpriteSet, tmp_path: Path) -> None:
    """Before the checkpoint is overwritten."""
    train(dataclasses.replace(recipe, steps=1), sprites, CONCEPTS, tmp_path, QUIET)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.safetensors")}
    broken = dataclasses.replace(recipe, rate=1e38)
    with pytest.raises(TrainingError, match=r"(nan|inf) at step"):
        train(broken, sprites, CONCEPTS, tmp_path, QUIET)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.safetensors")} == before


def test_without_the_concepts_there_is_nothing_to_train_on(sprites: SpriteSet, tmp_path: Path) -> None:
    """An empty choice says so."""
    with pytest.raises(TrainingError, match="none of the recipe's concepts"):
        train_vae(VAE, sprites, {"unicorn"}, tmp_path, QUIET)


def test_baselines_that_are_missing_or_broken_are_named(tmp_path: Path) -> None:
    """Neither a traceback nor a pickle."""
    with pytest.raises(WeightsMissing, match="scripts/start train"):
        load_baseline(tmp_path)
    shape = VaeShape(8, 4)
    save_baseline(Vae(shape), shape, tmp_path, {})
    config = tmp_path / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"shape": {"latent": 9, "width": 4}}))
    with pytest.raises(WeightsRefused, match="cannot be used"):
        load_baseline(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"half a file")
    with pytest.raises(WeightsRefused, match="cannot be used"):
        load_baseline(tmp_path)


@pytest.mark.parametrize(("name", "kind"), [("dcgan", DcganRecipe), ("vae", VaeRecipe)])
def test_the_recipes_are_read_whole(name: str, kind: Any) -> None:
    """The tutorials' numbers: Adam 2e-4 and β1 0.5, z of 100."""
    file = RECIPES / f"baseline-{name}.toml"
    recipe = section(file, name, kind, tomllib.loads(file.read_text(encoding="utf-8"))[name])
    if name == "dcgan":
        assert (recipe.rate, recipe.beta1, recipe.latent) == (2e-4, 0.5, 100)
