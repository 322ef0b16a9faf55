"""The text stage put together from the project's own concepts, captions and examination."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from daguerre.models.data.describe import names_of
from daguerre.models.data.firstlight import CONCEPTS
from daguerre.models.data.heldout import is_heldout
from daguerre.models.data.sampler import SceneSampler
from daguerre.models.data.synonyms import SYNONYMS
from daguerre.models.training import recipes
from daguerre.models.training.corpus import build_corpus
from daguerre.models.training.lexicon import Unseen, lexicon
from daguerre.models.training.meaning import HEADS, UNSAID, Vocabulary
from daguerre.models.training.networks import TEXT_LENGTH
from daguerre.models.training.progress import Lines
from daguerre.models.training.text import TextRecipe
from daguerre.models.training.textstage import TextStage, scene_captions, text_stage, unseen_wordings

TOY = TextRecipe(
    width=24, layers=1, vocabulary=600, captions=4, pairs=2, words=2, steps=3, warmup=1, short=8, teacher=False
)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """A drawing of every concept, named in Chinese by the list's own words."""
    return [
        {"i": i, "style": "noto", "tier": "A", "caption_en": concept, "caption_zh": (*chinese, "东西")[0]}
        for i, (concept, (_, chinese)) in enumerate(CONCEPTS.items())
    ]


@pytest.fixture(scope="module")
def sampler(rows: list[dict[str, Any]]) -> SceneSampler:
    return SceneSampler(rows, CONCEPTS)


@pytest.fixture(scope="module")
def unseen(rows: list[dict[str, Any]]) -> Unseen:
    return unseen_wordings(rows, CONCEPTS)


def test_every_synonym_of_the_evaluation_is_kept_from_training(unseen: Unseen) -> None:
    """Alone and inside a sentence; there are at least sixty in each language."""
    english, chinese = ([both[i] for both in SYNONYMS.values() if both[i]] for i in range(2))
    assert min(len(english), len(chinese)) >= 60
    assert all(unseen.holds(word) and unseen.holds(f"a cute {word} on red") for word in english)
    assert all(unseen.holds(word) and unseen.holds(f"画一个{word}，红色背景") for word in chinese)


def test_a_longer_name_may_hold_a_wording() -> None:
    """雨伞 is taught though 伞 is not; the wording beside it is still found."""
    unseen = Unseen(["伞", "soccer"], ["雨伞", "伞", "soccer ball", "猫"])
    assert not unseen.holds("一把红色的雨伞")
    assert unseen.holds("雨伞和伞")
    assert unseen.holds("一把红色的伞")
    assert not unseen.holds("a soccer ball")
    assert unseen.holds("a soccer ball for soccer")


def test_every_concept_keeps_a_name(rows: list[dict[str, Any]], unseen: Unseen) -> None:
    """However many wordings the examination takes away."""
    words = lexicon(rows, CONCEPTS, unseen)
    assert set(words.concepts) == set(CONCEPTS)
    assert all(words.of(concept, "en") for concept in CONCEPTS)


def test_real_captions_hold_no_synonym_and_no_held_out_combination(
    rows: list[dict[str, Any]], sampler: SceneSampler, unseen: Unseen, tmp_path: Path
) -> None:
    """Over a thousand of them, in both languages and of every kind; the examination's are all held out."""
    names = names_of(rows, CONCEPTS)
    words = lexicon(rows, CONCEPTS, unseen)
    corpus = build_corpus(words, scene_captions(sampler, names), unseen, tmp_path, teacher=False)
    drawn = corpus.captions(1_000, random.Random(1))
    assert not [text for text, _ in drawn if unseen.holds(text)]
    assert not [text for text, scene in drawn if is_heldout(scene)]
    assert {scene.kind for _, scene in drawn} >= {"single", "count", "position", "two", "size"}
    assert 0.2 < sum(not text.isascii() for text, _ in drawn) / len(drawn) < 0.6
    examined = scene_captions(sampler, names, heldout_only=True)
    # Without the drawings' looks nothing can be recoloured: the kinds that remain.
    assert all(is_heldout(sampler.draw(random.Random(i), kind="two", heldout_only=True)) for i in range(20))
    assert callable(examined)


def test_what_real_captions_say_has_a_class(rows: list[dict[str, Any]], sampler: SceneSampler) -> None:
    """Every scene that the sampler draws fits the heads."""
    vocabulary = Vocabulary({concept: i for i, concept in enumerate(sorted(CONCEPTS))}, {"noto": 0})
    draw = scene_captions(sampler, names_of(rows, CONCEPTS))
    seen: Mapping[str, set[int]] = {head: set() for head in HEADS}
    for i in range(800):
        text, scene = draw(random.Random(i))
        for order in vocabulary.targets(scene, text):
            for head, count, target in zip(HEADS, vocabulary.classes(), order, strict=True):
                assert target == UNSAID or 0 <= target < count
                seen[head].add(target)
    assert seen["size"] == {0, 1, 2, 3}
    assert seen["relation"] == {0, 1, 2}
    assert seen["count 1"] == {1, 2, 3, 4, 5}


def test_the_stage_leaves_a_tokenizer_an_encoder_and_its_figures(
    rows: list[dict[str, Any]], sampler: SceneSampler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same call again reads them; a call that is stopped gives nothing."""
    monkeypatch.setattr(
        "daguerre.models.training.textstage.scene_captions",
        lambda sampler, names, heldout_only=False: scene_captions(sampler, names),  # nothing can be recoloured here
    )

    def run(stop: bool = False) -> TextStage | None:
        return text_stage(
            TOY, rows, CONCEPTS, sampler, names_of(rows, CONCEPTS), tmp_path, tmp_path / "teacher", Lines(str),
            lambda: stop,
        )  # fmt: skip

    assert run(stop=True) is None
    made = run()
    assert made is not None
    assert made.encoder.config.vocab_size == len(made.tokenizer)
    assert made.tokenizer.model_max_length == TEXT_LENGTH
    figures = json.loads((tmp_path / "text-report.json").read_text())
    assert {"en", "zh"} == set(figures["synonyms"])
    assert 0 <= figures["cut"] <= 1
    again = run()
    assert again is not None
    for one, two in zip(made.encoder.parameters(), again.encoder.parameters(), strict=True):
        assert torch.equal(one, two)


def test_the_shipped_recipe_fits(request: pytest.FixtureRequest) -> None:
    """It is read without unknown keys, and its encoder is at most 3 M parameters: 6 MB in fp16."""
    from daguerre.models.training.networks import text_encoder

    file = request.config.rootpath / "models" / "recipes" / "text.toml"
    recipe = recipes.section(file, "text", TextRecipe, recipes.read(file)["text"])
    encoder = text_encoder(recipe.vocabulary, recipe.width, recipe.layers)
    assert sum(weight.numel() for weight in encoder.parameters()) <= 3_000_000
