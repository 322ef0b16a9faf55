"""What the model knows: unknown words are named before anything is rendered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daguerre.queue.prompt.vocabulary import Vocabulary

VOCABULARY = Vocabulary(
    concepts=("red apple", "cat face", "french fries", "pizza"),
    names=("apple", "kitten", "苹果", "红苹果", "猫", "t-shirt"),
    words=("a", "on", "blue", "background", "cute", "一只", "可爱的", "蓝色", "背景", "of"),
)


def unknown(prompt: str) -> list[str]:
    return [word.word for word in VOCABULARY.check(prompt).unknown]


@pytest.mark.parametrize(
    "prompt",
    [
        "a red apple",
        "A RED APPLE!",
        "cats",
        "apples on a blue background",
        "一只可爱的猫",
        "红苹果，蓝色背景",
        "a t-shirt",
        "ａｐｐｌｅ",
        "pizza’s background",
    ],
)
def test_words_that_it_knows_pass(prompt: str) -> None:
    """In any case, number, width or language it was taught."""
    report = VOCABULARY.check(prompt)
    assert report.unknown == ()
    assert report.anything_known


def test_an_unknown_word_comes_with_the_nearest_known_ones() -> None:
    """A slip of the keyboard is offered its correction."""
    report = VOCABULARY.check("a red aple on a sofa, aple")
    assert [word.word for word in report.unknown] == ["aple", "sofa"]
    assert "apple" in report.unknown[0].nearest
    assert report.anything_known


@pytest.mark.parametrize("prompt", ["a dragon", "一只龙", "blue background", "!!!", "12 34"])
def test_a_prompt_without_any_thing_it_knows_is_recognised(prompt: str) -> None:
    """Colours and articles alone are nothing to draw."""
    assert not VOCABULARY.check(prompt).anything_known


def test_chinese_is_cut_into_the_longest_known_words() -> None:
    """What is left over is named whole."""
    assert unknown("红苹果和大龙") == ["和大龙"]


def test_weights_without_a_list_are_not_checked(tmp_path: Path) -> None:
    """Somebody else's checkpoint knows what it knows."""
    assert Vocabulary.load(tmp_path / "vocabulary.json") is None


def test_a_damaged_list_says_so(tmp_path: Path) -> None:
    """And names the file."""
    file = tmp_path / "vocabulary.json"
    file.write_text(json.dumps(["not", "a", "vocabulary"]))
    with pytest.raises(ValueError, match="export the weights again"):
        Vocabulary.load(file)
