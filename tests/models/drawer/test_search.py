"""Search by meaning: names, emoji, plurals, other words, slips of the pen, colours and styles in many languages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawerkit import write_toy_bank

from daguerre.models.drawer import bank
from daguerre.models.drawer.colour_words import SPOKEN, colour_of
from daguerre.models.drawer.search import NEAR, SURE, Search


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Search:
    return Search([write_toy_bank(tmp_path_factory.mktemp("bank"))])


@pytest.mark.parametrize(
    ("prompt", "thing", "colour", "style", "rest"),
    [
        ("a dog", "dog", "", "", ()),
        ("two dogs", "dog", "", "", ()),
        ("🐕", "dog", "", "", ()),
        ("hound", "dog", "", "", ()),
        ("a fortress", "castle", "", "", ()),
        ("an apple", "red apple", "", "", ()),
        ("a blue apple", "red apple", "blue", "", ()),
        ("a red apple", "red apple", "", "", ()),
        ("Drache", "dragon", "", "", ()),
        ("ein roter Drache", "dragon", "red", "", ()),
        ("красного дракона", "dragon", "red", "", ()),
        ("一条红色的龙", "dragon", "red", "", ()),
        ("un chien noir", "dog", "black", "", ()),
        ("a dragn", "dragon", "", "", ()),
        ("a dragoon", "dragon", "", "", ()),
        ("dog, noto style", "dog", "", "noto", ()),
        ("a 3d castle", "castle", "", "3d", ()),
        ("pixel art dragon", "dragon", "", "pixel art", ()),
        ("a wizard dog", "dog", "", "", ("wizard",)),
        ("democracy", None, "", "", ("democracy",)),
        ("", None, "", "", ()),
        ("🍕", None, "", "", ("🍕",)),
    ],
)
def test_prompts_are_read(
    search: Search, prompt: str, thing: str | None, colour: str, style: str, rest: tuple[str, ...]
) -> None:
    """The thing, its colour, its style, and what nothing was made of."""
    found = search.find(prompt)
    assert (found.thing.caption if found.thing and found.sure else None) == thing
    assert (found.colour, found.style, found.rest) == (colour, style, rest)


def test_a_style_that_is_asked_for_beside_the_prompt_counts(search: Search) -> None:
    """Before one that the prompt says; one that no drawing has counts for nothing."""
    assert search.find("dog, noto style", "3d").style == "3d"
    assert search.find("dog", "pixel-art").style == "pixel art"
    assert search.find("dog", "watercolour").style == ""


def test_the_nearest_is_named_where_nothing_is_sure(tmp_path: Path) -> None:
    """Vectors decide for words that no list has: near enough counts, farther off is told as the nearest only."""
    made = write_toy_bank(tmp_path)
    entries = [
        bank.Entry(thing, tuple(made.file(each) for each in thing.drawings)) for thing in made.things
    ]  # fmt: skip
    # A direction for each thing.
    vectors = np.eye(5, dtype=np.float32)
    names = [(k, thing.caption) for k, thing in enumerate(made.things)]
    bank.write(tmp_path / bank.FILE, 16, entries, made.sources, vectors, names, "toy")
    read = bank.read(tmp_path)
    assert np.allclose(read.vectors, vectors, atol=0.01)
    centre = np.full((1, 5), 0.2, np.float32)

    def toward(share: float) -> Search:
        along = vectors[3:4] - centre
        across = np.array([[1, -1, 0, 0, 0]], np.float32) * np.linalg.norm(along) / 2**0.5
        return Search([read], lambda texts: centre + share * along + (1 - share**2) ** 0.5 * across)

    sure = toward(NEAR + 0.1).find("wyvern")
    assert (sure.thing is not None and sure.thing.caption, sure.how, sure.sure) == ("dragon", "meaning", True)
    unsure = toward(NEAR - 0.1).find("wyvern")
    assert (unsure.thing is not None and unsure.thing.caption, unsure.sure) == ("dragon", False)
    assert unsure.score < SURE
    # What a list knows is never asked of vectors.
    assert toward(1.0).find("castle").how == "name"


def test_every_colour_is_known_in_every_language() -> None:
    """No word means two colours; endings of adjectives are understood, and words that only begin so are not."""
    words = [(word.replace("_", " "), colour) for colour, said in SPOKEN.items() for word in said.split()]
    whole = [word for word, _ in words]
    assert sorted({word for word in whole if whole.count(word) > 1}) == []
    assert all(colour_of(word.removesuffix("*")) == colour for word, colour in words if " " not in word)
    assert colour_of("белка") is None
    assert colour_of("зелёного") == "green"
    assert colour_of("czerwonego") == "red"
    assert colour_of("redemption") is None
