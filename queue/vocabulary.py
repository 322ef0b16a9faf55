"""What the shipped model has learnt to draw, so that a member hears before rendering what it has not.

Pure but for `load`. The file lies beside the weights; a pipeline without one (somebody else's checkpoint) is not
checked. Reads plain JSON, never the weights: the control process has no torch.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz, process

#: Latin, Cyrillic, … words, or one run of Chinese, Japanese or Korean characters.
_PIECES = re.compile(r"[^\W\d_\u2E80-\u9FFF\uAC00-\uD7AF]+(?:['-][^\W\d_]+)*|[\u2E80-\u9FFF\uAC00-\uD7AF]+")
#: Similarity (0-100) from which a known word is offered for an unknown one.
_NEAR = 68


@dataclass(frozen=True, slots=True)
class UnknownWord:
    """A word of a prompt that the model never saw, and the nearest that it did."""

    word: str
    nearest: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VocabularyReport:
    """What the model can make of a prompt."""

    unknown: tuple[UnknownWord, ...]
    #: Whether at least one word names a thing that it can draw.
    anything_known: bool


class Vocabulary:
    """Names of things and other words that the captions used."""

    def __init__(self, concepts: Iterable[str], names: Iterable[str], words: Iterable[str]) -> None:
        #: What it draws, one English name each, for "it knows: …".
        self.concepts = tuple(concepts)
        self._names = frozenset(_plain(name) for name in names) | frozenset(_plain(name) for name in self.concepts)
        #: Single words of the names: "apple" of "red apple".
        self._name_words = frozenset(piece for name in self._names for piece in _PIECES.findall(name))
        self._words = self._name_words | frozenset(_plain(word) for word in words)
        self._longest = max((len(word) for word in self._words), default=0)

    @classmethod
    def load(cls, file: Path) -> Vocabulary | None:
        """Read `vocabulary.json`, or None where there is none (nothing is checked then).

        Raises:
            ValueError: the file is there but is not a vocabulary.
        """
        if not file.is_file():
            return None
        content: Any = json.loads(file.read_text(encoding="utf-8"))
        try:
            return cls(content["concepts"], content["names"], content["words"])
        except (KeyError, TypeError) as problem:
            raise ValueError(f"{file} is not a vocabulary; export the weights again.") from problem

    def check(self, prompt: str) -> VocabularyReport:
        """Say which words are unknown; each is listed once, in order."""
        unknown: dict[str, None] = {}
        named = False
        for piece in _PIECES.findall(_plain(prompt)):
            if piece[0] >= "\u2e80":
                found, rest = self._split(piece)
                named = named or found
                unknown |= dict.fromkeys(rest)
            elif (form := self._known_form(piece)) is None:
                unknown[piece] = None
            else:
                named = named or form in self._name_words
        return VocabularyReport(tuple(UnknownWord(word, self._nearest(word)) for word in unknown), named)

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

    def _nearest(self, word: str) -> tuple[str, ...]:
        choices = sorted(self._name_words)
        return tuple(
            name for name, _, _ in process.extract(word, choices, scorer=fuzz.ratio, score_cutoff=_NEAR, limit=3)
        )


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().replace("’", "'").strip()
