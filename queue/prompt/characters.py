"""The lowest level of the grammar: characters that remember where they stood, escapes, permutations. Pure.

A backslash takes the meaning from the character behind it: `\\{`, `\\--ar`, `\\::`. Braces are permutations:
`a {red, green} apple` is two texts, and braces may stand inside braces and inside flags. Signs may be typed as Chinese
keyboards and telephones write them: `｛红，绿｝`, `猫：：２`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any, ClassVar

from ..errors import QueueError
from .foreign import FOREIGN_ENGLISH

#: Braces inside braces, at most.
DEPTH = 8
#: What is written for the signs of the grammar where the keyboard has wider ones.
MEANT: Mapping[str, str] = MappingProxyType(dict(zip("｛｝：，、", "{}:,,", strict=True)))
#: Every dash that is typed for the two in front of a flag; telephones and word processors join two into one.
HYPHENS = "-\u2010\u2011\uff0d\ufe63"
LONG_DASHES = "\u2012\u2013\u2014\u2015\u2212\ufe58\u2e3a\u2e3b"
DASHES = HYPHENS + LONG_DASHES
#: Full-width letters, figures and signs, one for one; and the minus signs of numbers.
_HALF = {0xFF01 + place: 0x21 + place for place in range(94)} | {ord(dash): "-" for dash in DASHES} | {0x3002: "."}


class MalformedPrompt(QueueError):
    """A prompt breaks the grammar. Bots name the text by `code` and `values`; `str()` is the same in English."""

    ENGLISH: ClassVar[Mapping[str, str]] = {
        "empty": "there is no prompt: say what the picture should show",
        "brace.open": "this { is never closed; write \\{ for a brace in the prompt",
        "brace.close": "this } was never opened; write \\} for a brace in the prompt",
        "brace.deep": "braces stand more than {most} deep in each other",
        "too_many": "this asks for {count} requests at once; at most {most} are allowed",
        "flag.unknown": "there is no flag {flag}; do you mean {nearest}?",
        "flag.none": "there is no flag {flag}; there are {flags}",
        "flag.twice": "{flag} is said twice",
        "flag.value": "{flag} needs a value, such as {example}",
        "flag.alone": "{flag} takes no value; flags stand behind the prompt",
        "flag.text": "flags stand behind the prompt, and this is text behind {flag}",
        "flag.range": "{flag} goes from {low} to {high}",
        "flag.form": "{flag} is written so: {example}",
        "flag.many": "{flag} can be said {most} times at most",
        "part.empty": "there is nothing in front of this ::",
        "part.many": "a prompt has at most {most} weighted parts",
        "part.weight": "a weight goes from {low} to {high}",
        "part.sum": "the weights add up to {sum}; together they have to be more than 0",
        "link.many": "a request begins from one picture, and this is a second one",
        "flag.no_first": "--no takes all the words behind it, and nothing is left to draw; write the prompt first",
        "weight.picture": "--iw says how much of a picture stays, and there is no picture to begin from",
        **FOREIGN_ENGLISH,
    }

    def __init__(self, code: str, at: int, **values: Any) -> None:
        words = self.ENGLISH[code]
        super().__init__(words.format(**values) if values else words)
        self.code = code
        #: Index of the character in what was typed.
        self.at = at
        self.values = values


@dataclass(frozen=True, slots=True)
class Char:
    """One character; `at` is where it was typed, `plain` whether a backslash took its meaning."""

    c: str
    at: int
    plain: bool = False


Chars = tuple[Char, ...]


def read(typed: str) -> Chars:
    """Characters without the backslashes that escape others."""
    found: list[Char] = []
    at = 0
    while at < len(typed):
        if typed[at] == "\\" and at + 1 < len(typed):
            found.append(Char(typed[at + 1], at, plain=True))
            at += 2
        else:
            found.append(Char(typed[at], at))
            at += 1
    return tuple(found)


def written(chars: Sequence[Char]) -> str:
    return "".join(char.c for char in chars)


def is_sign(char: Char, sign: str) -> bool:
    """Whether this is the sign with its meaning, however wide it was typed."""
    return MEANT.get(char.c, char.c) == sign and not char.plain


def half(text: str) -> str:
    """Full-width letters, figures and signs as plain ones, character by character."""
    return text.translate(_HALF)


def count_permutations(chars: Chars) -> int:
    """How many texts there are, without making them. Raises: MalformedPrompt."""
    return _count(chars, 0)


def first_permutations(chars: Chars, most: int) -> list[Chars]:
    """The texts that the braces stand for, the last ones changing fastest, if there are at most so many.

    Raises: MalformedPrompt.
    """
    number = count_permutations(chars)
    if number > most:
        at = next((char.at for char in chars if is_sign(char, "{")), 0)
        raise MalformedPrompt("too_many", at, count=number, most=most)
    return list(islice(_every(chars, 0), most))


def _split(chars: Chars, depth: int) -> tuple[Chars, list[Chars], Chars] | None:
    """What stands before the first braces, their alternatives, and what stands behind them."""
    if depth > DEPTH:
        raise MalformedPrompt("brace.deep", chars[0].at if chars else 0, most=DEPTH)
    start = next((n for n, char in enumerate(chars) if is_sign(char, "{") or is_sign(char, "}")), None)
    if start is None:
        return None
    if is_sign(chars[start], "}"):
        raise MalformedPrompt("brace.close", chars[start].at)
    level, cut, options = 0, start + 1, list[Chars]()
    for n in range(start, len(chars)):
        char = chars[n]
        if is_sign(char, "{"):
            level += 1
        elif is_sign(char, "}"):
            level -= 1
            if level == 0:
                options.append(chars[cut:n])
                return chars[:start], options, chars[n + 1 :]
        elif level == 1 and is_sign(char, ","):
            options.append(chars[cut:n])
            cut = n + 1
    raise MalformedPrompt("brace.open", chars[start].at)


def _every(chars: Chars, depth: int) -> Iterator[Chars]:
    parts = _split(chars, depth)
    if parts is None:
        yield chars
        return
    before, options, after = parts
    for option in options:
        for middle in _every(_strip(option), depth + 1):
            for end in _every(after, depth):
                yield before + middle + end


def _count(chars: Chars, depth: int) -> int:
    # Behind one another the numbers multiply: a loop, for there may be hundreds.
    number = 1
    while (parts := _split(chars, depth)) is not None:
        _, options, chars = parts
        number *= sum(_count(option, depth + 1) for option in options)
    return number


def _strip(chars: Chars) -> Chars:
    """Without the blanks around it."""
    start, end = 0, len(chars)
    while start < end and chars[start].c.isspace():
        start += 1
    while end > start and chars[end - 1].c.isspace():
        end -= 1
    return chars[start:end]


def pointer(typed: str, at: int, width: int = 60) -> str:
    """Two lines that point at a character, for a fixed-width font: the text around it, and `^` below it."""
    start = max(0, min(at - width // 2, len(typed) - width))
    shown = "".join(c if c.isprintable() else " " for c in typed[start : start + width])
    before = shown[: at - start]
    return f"{shown}\n{' ' * sum(map(_cells, before))}^"


def _cells(c: str) -> int:
    return 2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1
