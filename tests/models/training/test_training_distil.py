"""Earlier weights have a say in what the denoiser learns: real toy weights, real batches."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

import modelkit
import pytest
import torch
from toyweights import write_toy_weights

from daguerre.models.commands.kinds import read_pipeline
from daguerre.models.data.describe import names_of
from daguerre.models.data.scene import Scene, Thing
from daguerre.models.errors import TrainingError
from daguerre.models.training.denoiser import train_denoiser
from daguerre.models.training.distil import DistilRecipe, Teacher, known, plainly
from daguerre.models.training.progress import Lines
from daguerre.models.training.sources import CachedLatents, SceneSource
from daguerre.models.training.tokenizer import tokenize

QUIET = Lines(str)
pytest_plugins = ("trainingfixtures",)
SPRITES = modelkit.sprite_set()
NAMES = names_of(SPRITES.rows, modelkit.CONCEPTS)
APPLE = Thing(0, "red apple")


@pytest.fixture(scope="module")
def source() -> CachedLatents:
    return modelkit.source(SPRITES, aspects=(1.0,))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_toy_weights(tmp_path_factory.mktemp("teacher")))


def test_what_the_teacher_is_asked_is_all_that_a_plain_scene_shows() -> None:
    assert plainly(Scene("single", (APPLE,), "blue", style="noto"), NAMES) == (
        "a red apple in noto style on a blue background"
    )
    assert plainly(Scene("single", (APPLE,)), NAMES) == "a red apple"


@pytest.mark.parametrize(
    ("scene", "whether"),
    [
        (Scene("single", (APPLE,)), True),
        (Scene("single", (APPLE,), "blue"), True),
        (Scene("single", (APPLE,), "blue", "red"), False),
        (Scene("single", (APPLE,), aspect=1.5), False),
        (Scene("colour", (dataclasses.replace(APPLE, colour="green"),)), False),
        (Scene("count", (APPLE, APPLE)), False),
    ],
)
def test_it_is_asked_only_about_what_it_was_taught(scene: Scene, whether: bool) -> None:
    assert known(scene) is whether


def test_its_share_is_in_the_rows_it_knows_and_nowhere_else(weights: str) -> None:
    """A quarter of the way from the data to the teacher with share 0.25, the whole way with 1."""
    plain, several = Scene("single", (APPLE,), style="noto"), Scene("count", (APPLE, APPLE))
    scenes, texts = [plain, several, plain], ["an apple", "two apples", ""]
    noisy, truth = torch.randn(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    times = torch.tensor([900.0, 900.0, 900.0])
    whole, quarter = (
        Teacher(DistilRecipe(weights, share), NAMES, "cpu").target(noisy, times, truth, scenes, texts)
        for share in (1.0, 0.25)
    )
    assert torch.equal(whole[1:], truth[1:])
    assert not torch.allclose(whole[0], truth[0], atol=0.1)
    coloured, white = dataclasses.replace(plain, background="blue"), DistilRecipe(weights, 1.0, backgrounds=False)
    asked = Teacher(white, NAMES, "cpu").target(noisy, times, truth, [plain, coloured, coloured], ["an apple"] * 3)
    assert torch.equal(asked[0], whole[0])
    assert torch.equal(asked[1:], truth[1:])
    assert torch.allclose(quarter[0], truth[0] + 0.25 * (whole[0] - truth[0]), atol=1e-6)
    # Its own prediction for its own caption: another style is another prediction.
    other = dataclasses.replace(plain, background="blue")
    asked = Teacher(DistilRecipe(weights, 1.0), NAMES, "cpu").target(
        noisy[:1], times[:1], truth[:1], [other], ["an apple"]
    )
    assert not torch.equal(asked[0], whole[0])


def test_who_learns_from_a_teacher_ends_up_nearer_to_it(
    source: CachedLatents, text: Any, tokenizer: Any, weights: str, tmp_path: Path
) -> None:
    """On noisy latents of scenes it was asked about; same seed, same steps, same batches."""
    recipe = dataclasses.replace(modelkit.DENOISER, steps=60, rate=3e-3, ema=0.8, batch=8, dropout=0.0)
    teacher = Teacher(DistilRecipe(weights, 1.0), NAMES, "cpu")
    alone = train_denoiser(recipe, source, text, tokenizer, tmp_path / "alone", QUIET)
    taught = train_denoiser(recipe, source, text, tokenizer, tmp_path / "taught", QUIET, teacher=teacher)
    clean, texts, scenes = source.scenes(64, random.Random(5), torch.Generator().manual_seed(5))
    rows = [row for row, scene in enumerate(scenes) if known(scene)]
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(6))
    times = torch.full((len(clean),), 800.0)
    noisy = 0.2 * clean + 0.8 * noise
    wanted = teacher.target(noisy, times, noise - clean, scenes, texts)
    with torch.no_grad():
        apart = [
            (each(noisy, times, tokenize(tokenizer, texts)) - wanted)[rows].square().mean() for each in (alone, taught)
        ]
    assert rows
    assert apart[1] < 0.7 * apart[0]


def test_a_taught_run_that_was_stopped_goes_on_to_the_same_bits(
    source: CachedLatents, text: Any, tokenizer: Any, weights: str, tmp_path: Path
) -> None:
    teacher = Teacher(DistilRecipe(weights), NAMES, "cpu")
    left = iter(range(3))
    whole = train_denoiser(modelkit.DENOISER, source, text, tokenizer, tmp_path / "whole", QUIET, teacher=teacher)
    parts = tmp_path / "parts"
    stop = lambda: next(left, None) is None  # noqa: E731
    train_denoiser(modelkit.DENOISER, source, text, tokenizer, parts, QUIET, stop, teacher=teacher)
    again = train_denoiser(modelkit.DENOISER, source, text, tokenizer, parts, QUIET, teacher=teacher)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_batches_without_their_scenes_are_refused(
    source: CachedLatents, text: Any, tokenizer: Any, weights: str, tmp_path: Path
) -> None:
    """A source that only gives batches cannot say whom to ask about what."""

    class Bare:
        def batch(self, *args: Any) -> Any:
            return source.batch(*args)

    assert not isinstance(Bare(), SceneSource)
    with pytest.raises(TrainingError, match="without their scenes"):
        train_denoiser(
            modelkit.DENOISER, Bare(), text, tokenizer, tmp_path, QUIET,
            teacher=Teacher(DistilRecipe(weights), NAMES, "cpu"),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('[denoiser]\nobjective = "epsilon"\n[distil]\nweights = "w"', "compares velocities"),
        ('[distil]\nweights = "w"\nshare = 1.5', "0 to 1, not 1.5"),
        ('[distil]\nwieghts = "w"', "wieghts"),
    ],
)
def test_a_wrong_section_is_refused_with_what_to_do(lines: str, told: str, tmp_path: Path) -> None:
    recipe = tmp_path / "wrong.toml"
    recipe.write_text(f'kind = "pipeline"\nname = "wrong"\n{lines}\n')
    with pytest.raises(TrainingError, match=told):
        read_pipeline(recipe)
