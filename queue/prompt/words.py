"""The middle level of the grammar: characters as words, and which of them are flags. Pure.

Flags are found as people type them: `--ar`, `—ar` and `——ar` (telephones join dashes), `－－ａｒ` (Chinese keyboards),
without blanks in `红苹果--n2`, and with an `=` in `--ar=16:9`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .characters import DASHES, HYPHENS, Char, Chars, half, written
from .flags import BY_NAME
from .foreign import foreign

_ASCII_NAME = re.compile(r"[A-Za-z]+")
#: What may follow a flag's name without a blank: a number, a sign before the value, the prompt's own comma.
_GLUED = re.compile(r"[0-9.=:,;!]")
_SEPARATORS = "=:"


@dataclass(frozen=True, slots=True)
class Word:
    """A word, or a flag by its name without dashes."""

    chars: Chars
    flag: str | None = None

    @property
    def at(self) -> int:
        return self.chars[0].at

    @property
    def text(self) -> str:
        return written(self.chars)


def words_of(chars: Chars) -> list[Word]:
    """All words in their order; a flag that is glued to others is a word of its own."""
    found: list[Word] = []
    word: list[Char] = []
    for char in (*chars, Char(" ", -1)):
        if not char.c.isspace():
            word.append(char)
        elif word:
            found += _cut(tuple(word))
            word = []
    return found


def needs_escape(text: str, place: int) -> bool:
    """Whether a dash at this place of plain text would be read as the beginning of a flag, for who writes prompts."""
    word = tuple(Char(c, n) for n, c in enumerate(text))
    begin = place
    while begin and not text[begin - 1].isspace():
        begin -= 1
    end = next((n for n in range(place, len(text)) if text[n].isspace()), len(text))
    return _flag_in(word[begin:end], place - begin) is not None


def _cut(word: Chars) -> list[Word]:
    """One word between blanks as words and flags."""
    begin = 0
    for place in range(len(word)):
        found = _flag_in(word, place)
        if found is None:
            continue
        name, end = found
        before = [Word(word[begin:place])] if place > begin else []
        rest = word[end:]
        if rest and half(rest[0].c) in _SEPARATORS and not rest[0].plain:
            rest = rest[1:]
        return [*before, Word(word[place:end], name), *(_cut(rest) if rest else [])]
    return [Word(word)]


def _flag_in(word: Chars, place: int) -> tuple[str, int] | None:
    """The name of the flag that begins at this place of a word, and where it ends; None where none does."""
    if not _is_dash(word, place) or (place and word[place - 1].c in DASHES):
        return None
    end = place
    while end < len(word) and _is_dash(word, end):
        end += 1
    dashes, rest = written(word[place:end]), word[end:]
    if not rest or not rest[0].c.isalpha():
        return None
    name, length = _name(rest)
    # Two dashes with a blank before them are a flag, if only one that there is not.
    if place == 0 and len(dashes) == 2 and all(dash in HYPHENS for dash in dashes):
        return name, end + length
    known = name.casefold() in BY_NAME or foreign(name) is not None
    if not known or (len(dashes) == 1 and (dashes in HYPHENS or not _may_be_one(word[:place]))):
        return None
    return name, end + length


def _name(rest: Chars) -> tuple[str, int]:
    """The name at the beginning: all of the word, or what of it is a flag with its value glued to it."""
    whole = half(written(rest))
    letters = _ASCII_NAME.match(whole)
    if letters is None or letters.end() == len(whole):
        return whole, len(whole)
    after = whole[letters.end()]
    known = letters[0].casefold() in BY_NAME or foreign(letters[0]) is not None
    if known and (_GLUED.match(after) or not after.isascii()):
        return letters[0], letters.end()
    return whole, len(whole)


def _may_be_one(before: Sequence[Char]) -> bool:
    """Whether a single long dash is the two of a flag: behind a blank, or behind writing without blanks."""
    return not before or before[-1].c >= "\u2e80"


def _is_dash(word: Chars, place: int) -> bool:
    return word[place].c in DASHES and not word[place].plain
