"""The recogniser learns, resumes and travels; an evaluation measures a whole pipeline folder and writes it down."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
from safetensors.torch import load_file

from daguerre.models.common.folder import check_folder
from daguerre.models.data.build import SpriteSet
from daguerre.models.data.raster import rasterise
from daguerre.models.data.scene import Scene, Thing
from daguerre.models.errors import DataMissing, TrainingError, WeightsMissing, WeightsRefused
from daguerre.models.evaluation import recogniser as recognisers
from daguerre.models.evaluation.evaluate import evaluate
from daguerre.models.evaluation.figures import KEYS
from daguerre.models.evaluation.material import Material, Plan, open_recogniser, subset
from daguerre.models.evaluation.painter import Order, Sampling, open_pipeline, painter
from daguerre.models.evaluation.suite import Asked, judge_pictures, score
from daguerre.models.evaluation.training import RecogniserRecipe, split, train_recogniser
from daguerre.models.training import networks
from daguerre.models.training.baselines import DcganShape, Generator, save_baseline
from daguerre.models.training.tokenizer import train_tokenizer

CONCEPTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {"red apple": (("apple",), ("苹果",)), "star": ((), ())}
RECIPE = RecogniserRecipe(
    widths=(8, 16, 24, 32), batch=8, steps=8, rate=4e-3, warmup=2, aspects=(1.0,), questions=12, save_minutes=60
)


def drawn(label: str, size: int) -> str:
    apple = f'<circle cx="32" cy="36" r="{size}" fill="#d02020"/><rect x="30" y="2" width="5" height="14" fill="#542"/>'
    star = '<polygon points="32,1 40,24 63,24 45,39 52,62 32,48 12,62 19,39 1,24 24,24" fill="#f0c020"/>'
    turned = f'<g transform="rotate({size - 24} 32 32)">{star}</g>'
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64">'
    return f"{head}{apple if label == 'red apple' else turned}</svg>"


@pytest.fixture(scope="module")
def sprites() -> SpriteSet:
    """Two concepts, four drawings of each, and one drawing of a licence that is not trained on."""
    images, rows = [], []
    for label, chinese in (("red apple", "红苹果"), ("star", "星星")):
        for number, size in enumerate((20, 23, 26, 28)):
            pixels = rasterise(drawn(label, size), 64)
            assert pixels is not None
            rows.append(
                {
                    "i": len(images), "style": f"style {number}", "tier": "A", "name": f"{label} {number}",
                    "licence": "MIT", "code": label, "group": 0, "kind": "emoji", "source": "test",
                    "caption_en": label, "caption_zh": chinese, "keywords_en": [], "keywords_zh": [],
                }
            )  # fmt: skip
            images.append(pixels)
    rows.append({**rows[0], "i": len(images), "tier": "B"})
    images.append(images[0])
    return SpriteSet(np.stack(images), rows)


@pytest.fixture(scope="module")
def folder(sprites: SpriteSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recogniser that has learnt the two."""
    made = tmp_path_factory.mktemp("recogniser")
    recipe = dataclasses.replace(RECIPE, steps=120, batch=12, corrupted=0.2)
    train_recogniser(recipe, sprites, CONCEPTS, made / "run", made / "weights", report=str)
    return made / "weights"


def test_it_learns_two_concepts_in_seconds(folder: Path) -> None:
    """On drawings that it never saw, and on composites; what it measured is in its card."""
    accuracy = json.loads((folder / "config.json").read_text())["accuracy"]
    assert accuracy["unseen_drawings"]["object"]["value"] > 0.85
    assert accuracy["composites"]["object"]["value"] > 0.85
    assert accuracy["composites"]["object"]["pictures"] == RECIPE.questions
    assert (folder / "model.safetensors").stat().st_size < 4e6
    assert {value.dtype for value in load_file(folder / "model.safetensors").values()} <= {torch.float16, torch.int64}


def test_one_drawing_of_each_concept_is_kept_from_it(sprites: SpriteSet) -> None:
    """Always the same one; nothing of another tier is used at all."""
    train, kept = split(sprites.rows, CONCEPTS)
    assert sorted(row["caption_en"] for row in kept) == sorted(CONCEPTS)
    assert sorted(row["i"] for row in train + kept) == list(range(8))
    assert split(sprites.rows, CONCEPTS) == (train, kept)
    assert split(sprites.rows[:3], CONCEPTS)[1] == []
    with pytest.raises(DataMissing):
        split(sprites.rows, {"rocket": ()})


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(sprites: SpriteSet, tmp_path: Path) -> None:
    """Weights, running statistics, moments and chances all come back."""
    left = iter(range(3))
    whole = train_recogniser(RECIPE, sprites, CONCEPTS, tmp_path / "a", tmp_path / "wa", report=str)
    train_recogniser(
        RECIPE, sprites, CONCEPTS, tmp_path / "b", tmp_path / "wb", report=str, stop=lambda: next(left, None) is None
    )
    assert not (tmp_path / "wb").exists()
    parts = train_recogniser(RECIPE, sprites, CONCEPTS, tmp_path / "b", tmp_path / "wb", report=str)
    a, b = whole.state_dict(), parts.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_broken_loss_stops_it(sprites: SpriteSet, tmp_path: Path) -> None:
    """Before a checkpoint is written."""
    recipe = dataclasses.replace(RECIPE, rate=float("inf"))
    with pytest.raises(TrainingError, match="Lower `rate`"):
        train_recogniser(recipe, sprites, CONCEPTS, tmp_path, tmp_path / "weights", report=str)
    assert not (tmp_path / "recogniser.safetensors").exists()


def test_weights_come_back_as_they_went(folder: Path, tmp_path: Path) -> None:
    """Half precision is all that is lost; a missing or damaged file is named."""
    model, _ = open_recogniser(folder)
    recognisers.save(model, tmp_path / "again", {})
    again = recognisers.load(tmp_path / "again")
    pictures = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        assert torch.equal(model(pictures).concepts, again(pictures).concepts)
    assert again.threshold == model.threshold
    (tmp_path / "again" / "model.safetensors").write_bytes(b"half a file")
    with pytest.raises(WeightsRefused, match="Train it again"):
        recognisers.load(tmp_path / "again")
    with pytest.raises(WeightsMissing, match=r"recogniser\.toml"):
        recognisers.load(tmp_path)


def questions() -> list[Asked]:
    """Every figure, in both languages and wordings, about the tiny set."""
    apple, star = Thing(0, "red apple", scale=0.85), Thing(4, "star", scale=0.85)
    left, beside = dataclasses.replace(apple, x=-0.5, scale=0.45), dataclasses.replace(star, x=0.5, scale=0.45)
    scenes = {
        "a red apple": Scene("single", (apple,)),
        "a star": Scene("single", (star,)),
        "a blue star": Scene("colour", (dataclasses.replace(star, colour="blue"),)),
        "two stars": Scene("count", (dataclasses.replace(beside, x=-0.5), beside)),
        "an apple left of a star": Scene("position", (left, beside)),
        "a red apple and a star": Scene("two", (left, beside)),
    }
    asked = [Asked(prompt, scene, "en", True, seed) for prompt, scene in scenes.items() for seed in (1, 2)]
    asked += [Asked(f"画 {prompt}", scene, "zh", True, seed) for prompt, scene in scenes.items() for seed in (1, 2)]
    return asked + [Asked(f"one {prompt[2:]}", scene, "en", False, 1) for prompt, scene in scenes.items()]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole pipeline of stock classes that has learnt nothing."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer([asked.prompt for asked in questions()] * 20, 300)
    made = tmp_path_factory.mktemp("weights") / "toy"
    StableDiffusionPipeline(
        vae=networks.codec((8, 16, 16)),
        text_encoder=networks.text_encoder(len(tokenizer), 48, 1),
        tokenizer=tokenizer,
        unet=networks.denoiser((16, 16, 32), (False, False, True), 48),
        scheduler=DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(made)
    return made


def test_real_composites_are_judged_right(sprites: SpriteSet, folder: Path, tmp_path: Path) -> None:
    """The whole way from a question to its score, on pictures that are right by construction, and on wrong ones."""
    model, card = open_recogniser(folder)
    material = Material(sprites, CONCEPTS, model, card, questions(), tmp_path)
    pictures = material.compose([asked.scene for asked in material.questions])
    answers = judge_pictures(material.questions, pictures, model)
    single = [answer.right for answer in answers if answer.asked.scene.kind == "single"]
    assert sum(single) >= 0.8 * len(single)
    scores = score(answers)
    assert scores.suite is not None
    wrong = score(judge_pictures(material.questions, [torch.ones(3, 64, 64)] * len(pictures), model))
    assert wrong.suite == 0 < scores.suite
    # Seen wording alone makes the figures.
    assert sum(share.total for share in scores.figures.values()) == 24
    assert (scores.wording["seen"].total, scores.wording["unseen"].total) == (12, 6)
    assert len(subset(material.questions, 1)) == 10 + 5


def test_a_batch_gives_the_pictures_of_its_seeds(weights: Path) -> None:
    """Whatever else is in the batch, and in the order asked for, whatever the shapes."""
    pipeline = open_pipeline(weights, device="cpu")
    orders = [Order("a star", 3), Order("a blue star", 4, aspect=1.5), Order("a red apple", 5)]
    together = painter(pipeline, Sampling(2, 2.0), batch=2)(orders)
    assert [picture.shape[-1] > picture.shape[-2] for picture in together] == [False, True, False]
    for order, picture in zip(orders, together, strict=True):
        (alone,) = painter(pipeline, Sampling(2, 2.0))([order])
        assert torch.allclose(alone, picture, atol=1e-3)


def test_an_evaluation_is_whole(sprites: SpriteSet, folder: Path, weights: Path, tmp_path: Path) -> None:
    """Every key, every file, and a reason for each figure that was not measured."""
    pytest.importorskip("efficientnet_lite_pytorch", reason="KID's feature network is not installed")
    pytest.importorskip("matplotlib", reason="the sweep's plot needs matplotlib")
    model, card = open_recogniser(folder)
    shape = DcganShape(latent=8, width=8)
    save_baseline(Generator(shape), shape, tmp_path / "dcgan", {})
    material = Material(sprites, CONCEPTS, model, card, questions(), tmp_path / "cache", dcgan=tmp_path / "dcgan")
    plan = Plan(Sampling(2, 2.0), quick=True, pictures=8, sweep=1, sweep_steps=(1, 2), sweep_guidance=(1.0, 2.0))
    result = evaluate(weights, material, plan, tmp_path / "out", report=str)
    written: dict[str, Any] = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert written == result
    assert list(written) == [*KEYS, "details"]
    missing = {line.split(":")[0] for line in written["details"]["missing"]}
    for key in KEYS:
        assert (written[key] is None) == (key in missing), key
    assert {"kid_vae", "upscaler_gain_db", "student_over_teacher"} <= {key for key in KEYS if written[key] is None}
    assert set(written["details"]["intervals"]) == {key for key in KEYS if written[key] is not None}
    assert len(written["details"]["sweep"]) == 4
    page = (tmp_path / "out" / "EVALUATION.md").read_text()
    assert "| **suite**" in page
    pictures = [file for file in (tmp_path / "out").iterdir() if file.suffix in (".webp", ".png")]
    assert {file.name for file in pictures} >= {"evaluation-object.webp", "evaluation-nearest.webp"}
    assert all(file.name in page and file.stat().st_size <= 300_000 for file in pictures)
    assert str(tmp_path) not in page + json.dumps(written)
    check_folder(weights)
