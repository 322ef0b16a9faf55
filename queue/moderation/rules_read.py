"""Reading what somebody typed as a person would read it: one text in the few ways in which it can be meant. Pure.

Each character becomes one of a few: a lower-case letter, a blank (words end here), a joiner (any other mark, which
may stand inside a disguised word) or a wild card. A sign that may be one of several letters becomes a letter of its own
that stands for all of them. Compatibility forms and case go by Unicode's NFKC; look-alikes by UTS 39 (package
confusable-homoglyphs), by Unicode's own names and by rules_shapes.py; leetspeak and invisible characters by tables
here.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from types import MappingProxyType

from ..prompt import emoji_in
from .rules_shapes import ALWAYS, DRAWN, SIGNS, SOMETIMES, TURNED, TURNED_ONLY, WORDS

BLANK, JOINER, WILD = " ", "\x01", "\x02"
#: From here on letters that stand for several; private use, so that nothing that is typed is one.
_FIRST_OF_SEVERAL = 0xE000

#: Figures and marks that stand for letters always. `l`, `i`, `1` and `|` cannot be told apart and are one letter.
LEET = MappingProxyType(
    dict(zip("0123456789", "oizeasgtbg", strict=True)) | {"@": "a", "$": "s", "€": "e", "£": "i", "¢": "c", "l": "i"}
)
#: Marks that are letters in one reading and punctuation in another; both readings are tried.
_MARKS = MappingProxyType({"!": "i", "|": "i", "¡": "i", "+": "t", "(": "c", "<": "c", "{": "c", "[": "c"})
#: Greek and Cyrillic letters that people write for Latin ones beyond what UTS 39 calls alike.
_BORROWED = MappingProxyType(
    dict(zip("ηπнптиймкгяшщцвьъзэєжчλωτυμθδαβεκνχγςфыд", "nnhntnnmkrrwwubbbeeexyawtuuooabekvxyspia", strict=True))
)
#: Marks that stand for a hidden letter between two others.
_STARS = frozenset("*#?%")
#: Characters that are empty to look at, though Unicode counts them as letters or symbols.
_EMPTY = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_INVISIBLE = frozenset({"Cf", "Cc", "Mn", "Me", "Cs", "Co", "Cn"})
#: Right-to-left override, under which Latin letters too run from right to left, and what ends it.
_OVERRIDE, _POP = "\u202e", "\u202c\u2069\n"
#: Latin letters by what Unicode calls them: small capitals, turned, squared, with a bar, as a flag's half, …
_NAMED = re.compile(
    r"(?:^| )(?:LATIN (?:SMALL |CAPITAL )?LETTER|REGIONAL INDICATOR SYMBOL LETTER|LATIN CAPITAL LETTER|"
    r"LATIN SMALL LETTER|COMBINING LATIN SMALL LETTER) (?:SMALL CAPITAL |SMALL |TURNED |REVERSED |SIDEWAYS |INVERTED |"
    r"OPEN |CLOSED |LONG |SCRIPT |STRETCHED |BARRED |INSULAR |VISIGOTHIC |AFRICAN |HALF |TOP HALF |BOTTOM HALF |"
    r"DOTLESS |BROAD |BLACKLETTER |DIAERESIZED |LONG-LEGGED |HENG AND )*([A-Z])(?: (?:WITH|ROTUNDA|DIAGONAL) ?.*)?$"
)
_DRAWN_SIGNS = re.compile("|".join(re.escape(sign) for sign in DRAWN))
_WORD_SIGNS = re.compile("|".join(re.escape(sign) for sign in WORDS))


@dataclass(frozen=True, slots=True)
class Folded:
    """One reading of a text."""

    letters: str
    #: For each letter the places in the text that it comes from: the first, and the one after the last.
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where in the text these letters come from."""
        return min(self.starts[start:end]), max(self.ends[start:end])


@dataclass(frozen=True, slots=True)
class _Sign:
    c: str
    start: int
    end: int


def readings(text: str) -> tuple[Folded, ...]:
    """The ways in which a text can be read: marks such as `!` and `(` as letters everywhere, before letters, between
    letters or nowhere; stars as hidden letters or as marks; signs such as ⭕ as letters or as marks; letters of other
    writing as what they look like; from right to left where it is set so or turned round; emoji as their names."""
    every: dict[str, Folded] = {}
    for signs, shapes in _ways(text):
        # Without such a mark all of them are one.
        many = any(sign.c in _STARS or sign.c in _MARKS for sign in signs)
        for kind in ("letters", "before", "unopened", "between", "stars", "marks") if many else ("marks",):
            for spoken in (False, True) if any(sign.c in SIGNS for sign in signs) else (False,):
                folded = _read(signs, kind, shapes=shapes, spoken=spoken)
                every.setdefault(folded.letters, folded)
    return tuple(every.values())


def plain(text: str) -> str:
    """NFKC, lower case, without invisible characters: what regular expressions are matched against first."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(sign for sign in folded if sign not in _EMPTY and unicodedata.category(sign) not in _INVISIBLE)


def fold_word(word: str) -> str:
    """A word as rules keep it: in the letters of `readings`, without marks."""
    told = _WORD_SIGNS.sub(lambda found: WORDS[found[0]], word)
    folded = _read(_signs(told), "marks", shapes=False).letters
    return "".join(sign for sign in folded if sign not in (BLANK, JOINER, WILD))


def letters_of(folded: str) -> str:
    """Each letter that stands for several as its first."""
    return folded.translate(_first_of())


def same_letters(letter: str) -> str:
    """Every letter of readings that a letter of a word may be read as."""
    several = _several()
    inverse = {own: letters for letters, own in several.items()}
    own = inverse.get(letter, letter)
    return "".join(
        dict.fromkeys((letter, *own, *(sign for letters, sign in several.items() if set(letters) & set(own))))
    )


def _ways(text: str) -> Iterator[tuple[list[_Sign], bool]]:
    signs = _signs(text)
    yield signs, False
    if any(sign.c in SOMETIMES for sign in signs) or any(typed in SOMETIMES or _is_above(typed) for typed in text):
        yield _signs(text, shapes=True), True
    if _DRAWN_SIGNS.search(text):
        yield _signs(text, drawn=True), True
    if _OVERRIDE in text:
        yield _signs(text, order=_seen_order(text)), True
    if TURNED_ONLY & set(text):
        yield _turned(text), False
    if (named := _named(text)) is not None:
        yield named, False


def _signs(text: str, *, shapes: bool = False, drawn: bool = False, order: Sequence[int] | None = None) -> list[_Sign]:
    """Every visible character, taken apart and put in lower case, with its place in the text."""
    found: list[_Sign] = []
    skip = 0
    for place in order or range(len(text)):
        if place < skip:
            continue
        if drawn and (shape := _DRAWN_SIGNS.match(text, place)):
            skip = shape.end()
            found.append(_Sign(_one_for(_folded(DRAWN[shape[0]])), place, skip))
            continue
        found.extend(_Sign(sign, place, place + 1) for sign in _taken_apart(text[place], shapes))
    return found


def _seen_order(text: str) -> list[int]:
    """Places of the characters as a person sees them: behind an override from right to left."""
    order: list[int] = []
    turned: list[int] = []
    within = False
    for place, sign in enumerate(text):
        if sign == _OVERRIDE:
            within = True
        elif within and sign in _POP:
            order += reversed(turned)
            turned, within = [], False
        (turned if within else order).append(place)
    return [*order, *reversed(turned)]


def _turned(text: str) -> list[_Sign]:
    """A text that was written upside down, from its end."""
    return [
        _Sign(TURNED.get(sign, TURNED.get(low, low)), place, place + 1)
        for place in range(len(text) - 1, -1, -1)
        for sign in (text[place],)
        for low in (sign.casefold(),)
        if not unicodedata.combining(sign)
    ]


def _named(text: str) -> list[_Sign] | None:
    """Emoji and signs that are whole words, said in words; None where there are none."""
    spans = [(each.start, each.end, f" {' '.join(each.names[:1])} ") for each in emoji_in(text)]
    spans += [(each.start(), each.end(), f" {WORDS[each[0]]} ") for each in _WORD_SIGNS.finditer(text)]
    if not spans:
        return None
    found: list[_Sign] = []
    place = 0
    # Where two begin at one place, the one with a word of its own comes last and is passed over.
    for start, end, words in sorted(spans, key=lambda span: (span[0], span[2].strip() not in WORDS.values())):
        if start < place:
            continue
        found += [_Sign(each.c, each.start + place, each.end + place) for each in _signs(text[place:start])]
        found += [_Sign(c, start, end) for c in words]
        place = end
    return [*found, *(_Sign(each.c, each.start + place, each.end + place) for each in _signs(text[place:]))]


@lru_cache(maxsize=8192)
def _taken_apart(typed: str, shapes: bool) -> tuple[str, ...]:
    """What one character is made of, as far as it is visible; `shapes`: letters of other writing stay whole."""
    if typed.isspace() or typed in _EMPTY:
        return (BLANK,)
    # A letter of our own tables is not taken apart: NFKC makes `ss` of `ß` and `TM` of `™`.
    if typed in ALWAYS or typed in SIGNS or (shapes and (typed in SOMETIMES or _is_above(typed))):
        return (typed,)
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", typed).casefold())
    return tuple(
        BLANK if sign.isspace() else sign
        for sign in folded
        if sign.isspace() or unicodedata.category(sign) not in _INVISIBLE
    )


@cache
def _is_above(typed: str) -> bool:
    """Whether this is a small Latin letter that stands above the one before it."""
    return unicodedata.name(typed, "").startswith("COMBINING LATIN SMALL LETTER")


def _read(signs: list[_Sign], kind: str, *, shapes: bool, spoken: bool = False) -> Folded:
    """`kind`: how marks and stars are read. `spoken`: whether signs are letters."""
    beyond = _beyond([sign.c for sign in signs])
    letters: list[str] = []
    last = BLANK  # the sign before, leaving out stars and marks that may be letters
    for sign, after in zip(signs, beyond, strict=True):
        if sign.c in SIGNS and not spoken:
            letters.append(JOINER)
        elif sign.c not in _STARS and sign.c not in _MARKS:
            letters.append(_letter(sign.c, shapes))
            last = sign.c
        elif sign.c in _STARS:
            between = _wordy(last) and _wordy(after)
            letters.append(WILD if between and kind != "marks" else JOINER)
        else:
            between = _wordy(last) and _wordy(after)
            unopened = _wordy(after) and sign.c not in "(<{["
            reads = {"letters": True, "before": _wordy(after), "unopened": unopened, "between": between}.get(
                kind, False
            )
            letters.append(_MARKS[sign.c] if reads else JOINER)
    return Folded("".join(letters), tuple(sign.start for sign in signs), tuple(sign.end for sign in signs))


def _beyond(signs: list[str]) -> list[str]:
    """For each sign the next one that is neither a star nor a mark that may be a letter."""
    found: list[str] = []
    after = BLANK
    for sign in reversed(signs):
        found.append(after)
        after = after if sign in _STARS or sign in _MARKS else sign
    return found[::-1]


def _wordy(sign: str) -> bool:
    return sign != BLANK and _letter(sign, shapes=True) != JOINER


@lru_cache(maxsize=16384)
def _letter(sign: str, shapes: bool) -> str:
    """The letter of readings that a sign is read as."""
    if sign == BLANK:
        return BLANK
    if ord(sign) in _first_of():
        return sign
    if several := _options(sign, shapes):
        return _one_for(several)
    known = _looks_like(sign)
    if known in LEET:
        return LEET[known]
    return known if known.isalnum() else JOINER


def _options(sign: str, shapes: bool) -> str:
    """The letters that our own tables see in a sign, without doubles; empty for one that they do not have."""
    if sign.isascii():
        return ""
    seen = _BORROWED.get(sign, "") + ALWAYS.get(sign, "") + SIGNS.get(sign, "")
    seen += SOMETIMES.get(sign, "") if shapes else ""
    return _folded(seen + _confusables().get(sign, "")) if seen else ""


def _folded(letters: Iterable[str]) -> str:
    return "".join(dict.fromkeys(LEET.get(letter, letter) for letter in letters))


def _one_for(letters: str) -> str:
    return letters if len(letters) == 1 else _several()[letters]


@cache
def _several() -> Mapping[str, str]:
    """A letter of its own for each set of letters that some sign may be."""
    tables = (*_BORROWED, *ALWAYS, *SOMETIMES, *SIGNS)
    sets = {_options(sign, shapes) for sign in tables for shapes in (False, True)}
    sets |= {_folded(letters) for letters in DRAWN.values()}
    ordered = sorted(letters for letters in sets if len(letters) > 1)
    return MappingProxyType({letters: chr(_FIRST_OF_SEVERAL + number) for number, letters in enumerate(ordered)})


@cache
def _first_of() -> Mapping[int, str]:
    return MappingProxyType({ord(own): letters[0] for letters, own in _several().items()})


@cache
def _looks_like(sign: str) -> str:
    """The plain letter that a character is read as; itself when it is read as nothing else."""
    if sign.isascii():
        return sign
    if (known := _confusables().get(sign)) is not None:
        return known
    if (figure := unicodedata.digit(sign, None)) is not None:
        return str(figure)
    named = _NAMED.search(unicodedata.name(sign, ""))
    return named.group(1).lower() if named else sign


@cache
def _confusables() -> Mapping[str, str]:
    """UTS 39: characters that look like one ASCII letter or figure."""
    # Its file, and not the module: that would keep 8 MB of it in memory for ever.
    text = files("confusable_homoglyphs").joinpath("confusables.json").read_text(encoding="utf-8")
    table: Mapping[str, list[Mapping[str, str]]] = json.loads(text)
    found: dict[str, str] = {}
    for sign, alike in table.items():
        if len(sign) != 1 or sign.isascii():
            continue
        plain_ones = [other["c"].casefold() for other in alike if other["c"].isascii() and other["c"].isalnum()]
        single = [other for other in plain_ones if len(other) == 1]
        if single:
            found[sign] = next((other for other in single if other.isalpha()), single[0])
            found.setdefault(sign.casefold(), found[sign])
    return MappingProxyType(found)
