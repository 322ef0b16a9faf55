"""The weights in the repository: whole, small, harmless, and they draw what they are asked for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image, ImageStat

from daguerre.models.common.folder import check_folder
from daguerre.models.data.firstlight import CONCEPTS
from daguerre.models.evaluation.figures import KEYS
from daguerre.models.serving.engine import Engine
from daguerre.queue.prompt.vocabulary import Vocabulary

SHIPPED = Path(__file__).parents[3] / "models" / "weights"
WEIGHTS = SHIPPED / "first-light"


def test_shipped_weights_stay_small() -> None:
    """Files below 16 MB and 36 MB in all, as every clone carries them; reports and word lists beside them are small."""
    sizes = [file.stat().st_size for file in SHIPPED.rglob("*.safetensors")]
    assert max(sizes) < 16e6
    assert sum(sizes) < 36e6
    assert sum(file.stat().st_size for file in SHIPPED.rglob("*") if file.is_file()) < 38e6


def test_shipped_weights_are_safetensors_and_nobodys_code() -> None:
    """As any other folder has to be."""
    check_folder(WEIGHTS)


def test_the_list_of_words_is_that_of_the_weights() -> None:
    """Members are told what this model knows, not another."""
    vocabulary = Vocabulary.load(WEIGHTS / "vocabulary.json")
    assert vocabulary is not None
    assert set(vocabulary.concepts) == set(CONCEPTS)
    for prompt in ("a red apple", "a pizza on a blue background", "a rocket", "a cat face", "一只可爱的猫"):
        assert vocabulary.check(prompt).unknown == ()


def test_the_card_says_what_was_trained_on_what() -> None:
    """Steps of the file and of the card agree; the licences are credited."""
    card = (WEIGHTS / "README.md").read_text(encoding="utf-8")
    training = json.loads((WEIGHTS / "training.json").read_text())
    assert f"{training['steps']:,}" in card
    assert '"/' not in json.dumps(training)
    assert "CREDITS.md" in card


def test_the_evaluation_beside_the_weights_is_whole() -> None:
    """The report tells the figures of the file, the file has every key, and the sheets it shows are there."""
    found = json.loads((WEIGHTS / "evaluation.json").read_text(encoding="utf-8"))
    report = (WEIGHTS / "EVALUATION.md").read_text(encoding="utf-8")
    assert set(found) == {*KEYS, "details"}
    assert f"{found['object']:.3f}" in report
    assert all((WEIGHTS / name).is_file() for name in re.findall(r"\]\(([\w.-]+)\)", report))


@pytest.fixture(scope="module")
def engine() -> Engine:
    made = Engine(WEIGHTS, device="cpu")
    made.load()
    return made


def mean(pictures: list[Image.Image], box: tuple[int, int, int, int]) -> list[float]:
    """Mean sRGB of the same region of several pictures."""
    means = [ImageStat.Stat(picture.crop(box)).mean for picture in pictures]
    return [sum(values) / len(values) for values in zip(*means, strict=True)]


def test_pictures_follow_the_prompt(engine: Engine) -> None:
    """An apple is red, a lemon yellow, the background the one that was asked for; in Chinese as well."""

    def drawn(prompt: str) -> list[Image.Image]:
        return engine.generate(prompt, seeds=range(4), steps=12, guidance=3.0, width=64, height=64)

    middle, corner = (24, 24, 40, 40), (0, 0, 6, 6)
    for apple in (drawn("a red apple"), drawn("一个红苹果")):
        red, green, blue = mean(apple, middle)
        assert red > 1.5 * max(green, blue)
        assert min(mean(apple, corner)) > 235
    red, green, blue = mean(drawn("a lemon"), middle)
    assert min(red, green) > 1.3 * blue
    red, green, blue = mean(drawn("a red apple on a blue background"), corner)
    assert blue > 1.3 * max(red, green) or blue > red + 60
