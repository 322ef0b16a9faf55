"""Which of the things that a model knows lies nearest to a word by its meaning: dragon → crocodile, 肖像 → 相机.

Pure but for `load`. The table (meanings.npz) is made by scripts/meanings.py from the vectors of a sentence encoder and
knows nothing of any model: what is near is looked for among the names of a vocabulary, in the word's own language.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("meanings.npz")
#: Cosine from which another word is thought to be near, and how much the second may be behind the first. Short words
#: that begin alike lie nearer in the encoder than they mean.
NEAR, BEHIND, SHORT_NEAR = 0.575, 0.1, 0.85
#: Letters that a name has at least, where letters are sounds.
SHORTEST = 3
#: Not offered: what people are called by it would offend.
_NEVER = frozenset({"chick", "chicks", "hen", "hens"})
#: Names that are offered.
OFFERED = 3
#: Where a word belongs to several languages, the one it is taken for.
_FIRST = ("en", "zh", "zh-hant")


class Meanings:
    """Words, their languages and their vectors."""

    def __init__(self, texts: list[str], languages: tuple[str, ...], entries: Any, vectors: Any) -> None:
        """`texts` sorted; `entries` (n, 4): text, language, vector, may it be offered; `vectors` int8 (m, d)."""
        self._texts = texts
        self._languages = languages
        # Sorted by text, so that the entries of one stand together.
        self._entries = entries[entries[:, 0].argsort(kind="stable")]
        self._vectors = vectors

    def __contains__(self, word: str) -> bool:
        return self._place(word) is not None

    def known(self, names: Iterable[str]) -> Known:
        """The names among these that the table has."""
        may_be = set(names) - _NEVER
        fit = [name for name in may_be if _is_word(name) and not _several(name, may_be)]
        found = [entry for name in fit for entry in self._entries_of(name) if entry[3]]
        return Known(self, _numpy().array(found, dtype="int64").reshape(-1, 4))

    def text(self, number: int) -> str:
        return self._texts[number]

    def vectors(self, numbers: Any) -> Any:
        """float32 (n, d) of length 1."""
        found = self._vectors[numbers].astype("float32")
        return found / _numpy().linalg.norm(found, axis=-1, keepdims=True)

    def entry(self, word: str) -> tuple[int, int] | None:
        """Language and vector of a word; None where it is not in the table."""
        entries = self._entries_of(word)
        if not len(entries):
            return None
        order = {language: number for number, language in enumerate(_FIRST)}
        found = [(int(entry[1]), int(entry[2])) for entry in entries]
        return min(found, key=lambda entry: order.get(self._languages[entry[0]], len(order)))

    def english(self) -> int:
        return self._languages.index("en")

    def _place(self, word: str) -> int | None:
        place = bisect_left(self._texts, word)
        return place if place < len(self._texts) and self._texts[place] == word else None

    def _entries_of(self, word: str) -> Any:
        place = self._place(word)
        if place is None:
            return self._entries[:0]
        texts = self._entries[:, 0]
        return self._entries[texts.searchsorted(place) : texts.searchsorted(place, side="right")]


class Known:
    """What one model knows, as far as the table has it."""

    def __init__(self, meanings: Meanings, entries: Any) -> None:
        self._meanings = meanings
        self._entries = entries
        self._vectors = meanings.vectors(entries[:, 2]) if len(entries) else None

    def nearest(self, word: str) -> tuple[str, ...]:
        """Names near the word by meaning, in its language, else in English; none where the table lacks it or nothing
        lies near."""
        entry = self._meanings.entry(word)
        if entry is None or self._vectors is None:
            return ()
        language, vector = entry
        likeness = self._vectors @ self._meanings.vectors(vector)
        for wanted in dict.fromkeys((language, self._meanings.english())):
            found = self._best(likeness, self._entries[:, 1] == wanted, word)
            if found:
                return found
        return ()

    def likeness(self, one: str, other: str) -> float:
        """Cosine of two words; 0 where the table lacks one."""
        entries = [self._meanings.entry(word) for word in (one, other)]
        if entries[0] is None or entries[1] is None:
            return 0.0
        first, second = (self._meanings.vectors(entry[1]) for entry in entries if entry is not None)
        return float(first @ second)

    def _best(self, likeness: Any, allowed: Any, word: str) -> tuple[str, ...]:
        order = _numpy().where(allowed, -likeness, 2.0).argsort(kind="stable")[:20]
        found: list[str] = []
        first = float(likeness[order[0]])
        for number in order:
            if not allowed[number] or likeness[number] < max(NEAR, first - BEHIND) or len(found) == OFFERED:
                break
            name = self._meanings.text(int(self._entries[number, 0]))
            if likeness[number] < SHORT_NEAR and max(len(name), len(word)) <= 4 and name[0] == word[0] < "\u2e80":
                continue
            if not any(_alike(name, other) for other in (*found, word)):
                found.append(name)
        return tuple(found)


@cache
def load(file: Path = TABLE) -> Meanings | None:
    """The table; None where it was left out of an installation: then nothing is offered by meaning.

    Raises:
        ValueError: the file is there but is no such table.
    """
    if not file.is_file():
        return None
    try:
        with _numpy().load(file, allow_pickle=False) as table:
            return Meanings(
                table["texts"].tobytes().decode().split("\n"),
                tuple(table["languages"].tobytes().decode().split("\n")),
                _numpy().stack(
                    [table[name].astype("int64") for name in ("text", "language", "vector", "shown")], axis=1
                ),
                table["vectors"],
            )
    except (KeyError, OSError) as problem:
        raise ValueError(f"{file} is no table of meanings; make it again with scripts/meanings.py") from problem


def _numpy() -> Any:
    """Imported when it is needed first: the start of the bot is quick without."""
    return import_module("numpy")


def _is_word(name: str) -> bool:
    return len(name) >= SHORTEST or name[:1] >= "\u2e80"


def _several(name: str, names: Collection[str]) -> bool:
    """Whether a name is another one's plural: `horses`, `wolves`, `mice`."""
    ends = (("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"), ("ice", "ouse"), ("geese", "goose"), ("men", "man"))
    return any(name.endswith(end) and name.removesuffix(end) + one in names for end, one in ends)


def _alike(one: str, other: str) -> bool:
    """Whether two names are nearly the same words: cat and cat face, 苹果 and 红苹果."""
    if one[0] >= "\u2e80":
        return one in other or other in one
    pieces: list[Collection[str]] = [{word.removesuffix("s") for word in name.split()} for name in (one, other)]
    return bool(set(pieces[0]) & set(pieces[1]))
