"""Emoji are words to an emoji model: what each prompt says to it, to the vocabulary, and to layouts."""

from __future__ import annotations

from pathlib import Path

import pytest

from daguerre.app.render import ask_of
from daguerre.models.layout.reading import names_of_weights, read
from daguerre.queue.prompt.emoji_words import custom_alone, emoji_in, in_words
from daguerre.queue.prompt.vocabulary import Vocabulary
from daguerre.queue.records.requests import Part, image_request

WEIGHTS = Path(__file__).parents[2] / "models" / "weights" / "first-light"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("🍎", "red apple"),
        ("🐶🐱", "dog face and cat face"),
        ("🐶 🐱 🦊", "dog face, cat face and fox"),
        ("🍎🍎🍎", "three red apples"),
        ("a 🐱 on a blue background", "a cat face on a blue background"),
        ("two🐱", "two cat face"),
        ("一只🐶和🐱", "一只狗脸和猫脸"),
        ("🍎🍎，蓝色背景", "两个红苹果，蓝色背景"),
        ("👍🏽", "thumbs up"),
        ("👨🏽‍🚀", "man astronaut"),
        ("❤️ and ☀", "red heart and sun"),
        # What is said already is not said again.
        ("a red apple 🍎", "a red apple"),
        ("two cats 🐱🐱", "two cats"),
        ("一个红苹果🍎", "一个红苹果"),
        # Discord's own, by their names.
        ("<:red_apple:123456789012345678>", "red apple"),
        ("<a:happyDog2:123456789012345678> on green", "happy dog on green"),
        ("🐱<:cup:123456789012345678>", "cat face and cup"),
        # No emoji at all.
        ("a red apple", "a red apple"),
        ("© 2026 → 5", "© 2026 → 5"),
        ("1️⃣", "1️⃣"),
        ("a <b> <:x>", "a <b> <:x>"),
    ],
)
def test_emoji_are_said_in_words(typed: str, words: str) -> None:
    """In the language of the text around them."""
    assert in_words(typed) == words


def test_the_model_reads_words_and_the_request_keeps_what_was_typed() -> None:
    """In prompt, negative prompt and parts."""
    request = image_request(
        prompt="🐶🐱 🍎",
        negative="🚗",
        seed=1,
        parts=(Part(text="🐶", weight=2), Part(text="<:cat:123456789012345678>")),
    )
    ask = ask_of(request, {})
    assert (ask.prompt, ask.negative) == ("dog face, cat face and red apple", "automobile")
    assert ask.parts == (("dog face", 2.0), ("cat", 1.0))
    assert (request.prompt, request.negative) == ("🐶🐱 🍎", "🚗")


@pytest.mark.parametrize(
    ("typed", "groups"),
    [
        ("🐶🐱", [("a dog face", 1), ("a cat face", 1)]),
        ("🍎🍎🍎", [("a red apple", 3)]),
        ("🍌🍌 🍕", [("a banana", 2), ("a pizza", 1)]),
        ("一个苹果和🐱", [("一个苹果", 1), ("猫脸", 1)]),
    ],
)
def test_layouts_set_out_several_emoji(typed: str, groups: list[tuple[str, int]]) -> None:
    """As the same in words."""
    layout = read(in_words(typed), names_of_weights(WEIGHTS))
    assert layout is not None
    assert [(group.text, group.count) for group in layout.groups] == groups


def test_the_vocabulary_knows_what_emoji_show() -> None:
    """🍎 is something to draw; one that the model was never shown is named as it was typed."""
    vocabulary = Vocabulary.load(WEIGHTS / "vocabulary.json")
    assert vocabulary is not None
    assert vocabulary.check("🍎").anything_known
    assert vocabulary.check("🐶🐱").unknown == ()
    assert vocabulary.check("<:pizza:123456789012345678>").anything_known
    report = vocabulary.check("🍎 with 🪗")
    assert [unknown.word for unknown in report.unknown] == ["🪗"]
    assert [unknown.word for unknown in vocabulary.check("<:pepeHappy:123456789012345678>").unknown] == [":pepeHappy:"]


def test_places_are_those_of_the_text() -> None:
    """For whoever replaces what was found."""
    text = "a 👨🏽‍🚀 and <:cat:123456789012345678>!"
    assert [text[each.start : each.end] for each in emoji_in(text)] == ["👨🏽‍🚀", "<:cat:123456789012345678>"]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("<:cat:123456789012345678>", ("123456789012345678", False)),
        (" <a:cat:123456789012345678> <:b_c:123456789012345670>", ("123456789012345678", True)),
        ("<:cat:123456789012345678> on blue", None),
        ("a cat", None),
        ("<:c:1>", None),
    ],
)
def test_a_custom_emoji_alone_is_a_picture(typed: str, found: tuple[str, bool] | None) -> None:
    """With words beside it it is one of them."""
    assert custom_alone(typed) == found
