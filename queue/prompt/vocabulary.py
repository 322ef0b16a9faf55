"""What the shipped model has learnt to draw, so that a member hears before rendering what it has not.

Emoji are looked at by their names. For an unknown word the nearest thing is offered by its meaning (meanings.py), for
a slip of the keyboard the word that is spelt nearly so, and otherwise none. Pure but for `load`. The file lies beside
the weights; a pipeline without one (somebody else's checkpoint) is not checked. Reads plain JSON, never the weights:
the control process has no torch.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rapidfuzz.distance import OSA

from . import meanings
from .emoji_words import Spoken, emoji_in

#: Latin, Cyrillic, … words, or one run of Chinese, Japanese or Korean characters.
_PIECES = re.compile(r"[^\W\d_\u2E80-\u9FFF\uAC00-\uD7AF]+(?:['-][^\W\d_]+)*|[\u2E80-\u9FFF\uAC00-\uD7AF]+")
#: Letters that a word has at least to be a slip of another, with one letter wrong; and with two.
_ONE_WRONG, _TWO_WRONG = 4, 8
#: Cosine from which two words that are spelt alike are taken for one, though both exist.
_SAME = 0.6
#: Words that are offered for one.
_OFFERED = 3


@dataclass(frozen=True, slots=True)
class UnknownWord:
    """A word of a prompt that the model never saw, and the nearest that it did."""

    #: As it was typed, an emoji too.
    word: str
    nearest: tuple[str, ...]
    #: Whether `nearest` are spelt like it; else they are near by meaning.
    spelt: bool = True


@dataclass(frozen=True, slots=True)
class VocabularyReport:
    """What the model can make of a prompt."""

    unknown: tuple[UnknownWord, ...]
    #: Whether at least one word names a thing that it can draw.
    anything_known: bool


class Vocabulary:
    """Names of things and other words that the captions used."""

    def __init__(self, concepts: Iterable[str], names: Iterable[str], words: Iterable[str], model: str = "") -> None:
        """`model`: whose words they are; empty: of whatever draws."""
        self.model = model
        #: What it draws, one English name each, for "it knows: …".
        self.concepts = tuple(concepts)
        self._names = frozenset(_plain(name) for name in names) | frozenset(_plain(name) for name in self.concepts)
        #: Single words of the names: "apple" of "red apple".
        self._name_words = frozenset(piece for name in self._names for piece in _PIECES.findall(name))
        self._concept_words = frozenset(piece for name in self.concepts for piece in _PIECES.findall(_plain(name)))
        self._words = self._name_words | frozenset(_plain(word) for word in words)
        self._longest = max((len(word) for word in self._words), default=0)

    @classmethod
    def load(cls, file: Path, model: str = "") -> Vocabulary | None:
        """Read `vocabulary.json`, or None where there is none (nothing is checked then).

        Raises:
            ValueError: the file is there but is not a vocabulary.
        """
        if not file.is_file():
            return None
        content: Any = json.loads(file.read_text(encoding="utf-8"))
        try:
            return cls(content["concepts"], content["names"], content["words"], model)
        except (KeyError, TypeError) as problem:
            raise ValueError(f"{file} is not a vocabulary; export the weights again.") from problem

    def prepare(self) -> None:
        """Read the table of meanings, so that the first unknown word is answered as quickly as others. Blocking."""
        if meanings.load() is not None:
            _ = self._meant

    def reads(self, model: str) -> bool:
        """Whether a request for that model is drawn by whose words these are."""
        return not model or not self.model or model == self.model

    def check(self, prompt: str) -> VocabularyReport:
        """Say which words are unknown; each is listed once, in order."""
        unknown: dict[str, UnknownWord] = {}
        named, place = False, 0
        for each in emoji_in(prompt):
            named = self._look(prompt[place : each.start], unknown) or named
            if self._shows(each):
                named = True
            elif each.typed not in unknown:
                near = self._nearest(each.names[0])
                unknown[each.typed] = UnknownWord(each.typed, near.nearest, spelt=False)
            place = each.end
        named = self._look(prompt[place:], unknown) or named
        return VocabularyReport(tuple(unknown.values()), named)

    def _look(self, text: str, unknown: dict[str, UnknownWord]) -> bool:
        """Whether a text without emoji names a thing; unknown words are added."""
        named = False
        for piece in _PIECES.findall(_plain(text)):
            if piece[0] >= "\u2e80":
                found, rest = self._split(piece)
                named = named or found
            else:
                form = self._known_form(piece)
                named = named or form in self._name_words
                rest = [piece] if form is None else []
            for word in rest:
                if word not in unknown:
                    unknown[word] = self._nearest(word)
        return named

    def _shows(self, each: Spoken) -> bool:
        """Whether it knows what an emoji shows, by any of its names: all words of one are known, and one is a thing."""
        for name in each.names:
            forms = [self._known_form(piece) for piece in _PIECES.findall(_plain(name))]
            if None not in forms and any(form in self._name_words for form in forms):
                return True
        return False

    def _known_form(self, word: str) -> str | None:
        """The word itself, its singular, or its parts around a hyphen, whichever is known."""
        for form in (word, word.removesuffix("'s"), word.removesuffix("es"), word.removesuffix("s"), word + "s"):
            if form in self._words:
                return form
        parts = re.split(r"['-]", word)
        return parts[-1] if len(parts) > 1 and all(part in self._words for part in parts) else None

    def _split(self, run: str) -> tuple[bool, list[str]]:
        """Cut a run without spaces into known words, longest first; what is left over is unknown."""
        named, rest, start = False, [""], 0
        while start < len(run):
            ends = range(min(len(run), start + self._longest), start, -1)
            word = next((run[start:end] for end in ends if run[start:end] in self._words), None)
            if word is None:
                rest[-1] += run[start]
                start += 1
            else:
                named = named or word in self._name_words
                rest.append("")
                start += len(word)
        return named, [word for word in rest if word]

    def _nearest(self, word: str) -> UnknownWord:
        """What is offered for it: sensible, or nothing."""
        spelt = [] if word[0] >= "\u2e80" else _slips(word, self._name_words, self._concept_words)
        table = meanings.load()
        told = next((form for form in _forms(word) if table is not None and form in table), None)
        if told is None:
            return UnknownWord(word, tuple(spelt[:_OFFERED]))
        # A word of its own is no slip of another, unless they mean the same.
        same = [other for other in spelt if self._meant.likeness(told, other) >= _SAME]
        if same:
            return UnknownWord(word, tuple(same[:_OFFERED]))
        return UnknownWord(word, self._meant.nearest(told), spelt=False)

    @cached_property
    def _meant(self) -> meanings.Known:
        table = meanings.load()
        assert table is not None
        return table.known(self._names)


def _slips(word: str, choices: Iterable[str], first: Collection[str]) -> list[str]:
    """Of these the words that this one may be a slip of the keyboard of: the nearest first, of equal ones those in
    `first`."""
    most = 0 if len(word) < _ONE_WRONG else 1 if len(word) < _TWO_WRONG else 2
    near = [(OSA.distance(word, other, score_cutoff=most), other) for other in choices if other[0] == word[0]]
    return [
        other for _, _, other in sorted((wrong, other not in first, other) for wrong, other in near if wrong <= most)
    ]


def _forms(word: str) -> Iterable[str]:
    """A word as a table may have it: itself, its singular; of a Chinese run its end, which says what kind it is."""
    if word[0] >= "\u2e80":
        yield from (word[start:] for start in range(len(word)))
        return
    yield word
    for plural, one in (("'s", ""), ("ies", "y"), ("es", ""), ("s", "")):
        if word.endswith(plural) and len(word) > len(plural) + 1:
            yield word.removesuffix(plural) + one
    parts = re.split(r"['-]", word)
    if len(parts) > 1 and parts[-1]:
        yield parts[-1]


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().replace("’", "'").strip()
