"""Reading what somebody typed as a person would read it, so that a rule finds its word in every disguise. Pure.

Each character becomes one of a few: a lower-case letter, a blank (words end here), a joiner (any other mark, which
may stand inside a disguised word) or a wild card. Compatibility forms and case go by Unicode's NFKC; look-alikes by
UTS 39 (package confusable-homoglyphs) and by Unicode's own names; leetspeak and invisible characters by tables here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from types import MappingProxyType
from typing import Any

BLANK, JOINER, WILD = " ", "\x01", "\x02"

#: Figures and marks that stand for letters always. `l`, `i`, `1` and `|` cannot be told apart and are one letter.
_LEET = MappingProxyType(
    dict(zip("0123456789", "oizeasgtbg", strict=True)) | {"@": "a", "$": "s", "€": "e", "£": "i", "¢": "c", "l": "i"}
)
#: Marks that are letters in one reading and punctuation in another; both readings are tried.
_EITHER = MappingProxyType({"!": "i", "|": "i", "¡": "i", "+": "t", "(": "c", "<": "c", "{": "c", "[": "c"})
#: Greek and Cyrillic letters that people write for Latin ones beyond what UTS 39 calls alike.
_BORROWED = MappingProxyType(
    dict(zip("ηπнптиймкгяшщцвьъзэєжчλωτυμθδαβεκνχγςфыд", "nnhntnnmkrrwwubbbeeexyawtuuooabekvxyspia", strict=True))
)
#: Letters that are drawn as two others.
_DRAWN_AS = MappingProxyType({"m": "(?:m|rn)", "w": "(?:w|vv|uu)"})
#: Marks that stand for a hidden letter between two others.
_STARS = frozenset("*#?%")
#: Characters that are empty to look at, though Unicode counts them as letters or symbols.
_EMPTY = frozenset("\u115f\u1160\u3164\uffa0\u2800")
#: Latin letters by what Unicode calls them: small capitals, turned, squared, with a bar, as a flag's half, …
_NAMED = re.compile(
    r"(?:^| )(?:LATIN (?:SMALL |CAPITAL )?LETTER|REGIONAL INDICATOR SYMBOL LETTER|LATIN CAPITAL LETTER|"
    r"LATIN SMALL LETTER) (?:SMALL CAPITAL |SMALL |TURNED |REVERSED |SIDEWAYS |INVERTED |OPEN |CLOSED |LONG |SCRIPT |"
    r"STRETCHED |BARRED |INSULAR |VISIGOTHIC )*([A-Z])(?: (?:WITH|ROTUNDA|DIAGONAL) ?.*)?$"
)
#: Words of up to four letters that prompts are full of: a word is not hidden in "pen is" or "as shown".
_COMMON = """
a i am an as at ass be by do go he hi if in is it me my no of oh on or so to up us we all and any are art ate bad bag
bat bed bee big bit box boy bug bus but can car cat cow cup cut day did dog dot ear eat egg elf end eye far fat few fig
fit fly for fox fun gas get god got gun had ham has hat hen her hid him his hit hot how ice ink its jar jet joy key kid
kit
lay leg let lid lie lip lit log lot low mad man map may men met mix mom mud mug net new nod not now nut oak odd off oil
old one our out owl own pan pat pay pea pen pet pie pig pin pit pop pot put rat raw red rib rid rod row rug run sad sat
saw say sea see set she shy sit six sky son sun tan tap tea ten the tie tin tip toe ton too top toy tree try tub two use
van was way wet who why win yes yet you zoo able back ball band bare base bath bear bird blue boat body bone book both
bowl cake call card city clay cold come cool corn dark deep desk door down draw each east edge face fair farm fire fish
five flag flat foot four frog from full game gate girl give glow goat gold good gray grey hair half hall hand hang hard
have head here high hill hold home iron item jump just keep kite lake lamp land last leaf left lion long look made mask
mint moon more most much neck nest next nice nine nose open over pale palm park past path pear pink play pond rain ring
road rock roof room rose sand seed ship shoe side sign silk sing snow soft some song soup star stem tail tall tent than
that them then they thin this town tree turn vase wall warm wave well west what when wide wild wind wine wing with wolf
wood wool work year yoga your zero
"""


@dataclass(frozen=True, slots=True)
class Folded:
    """One reading of a text."""

    letters: str
    #: For each letter the place in the text that it comes from.
    places: tuple[int, ...]


def readings(text: str) -> tuple[Folded, ...]:
    """The ways in which a text can be read: marks such as `!` and `(` as letters everywhere, before letters, between
    letters or nowhere; stars as hidden letters or as marks."""
    signs = _signs(text)
    # Without such a mark all of them are one.
    many = any(sign in _EITHER or sign in _STARS for sign, _ in signs)
    every = [
        _read(signs, kind) for kind in (("letters", "before", "between", "stars", "marks") if many else ("marks",))
    ]
    return tuple({folded.letters: folded for folded in every}.values())


def plain(text: str) -> str:
    """NFKC, lower case, without invisible characters: what regular expressions are matched against first."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(sign for sign in folded if sign not in _EMPTY and unicodedata.category(sign) not in _INVISIBLE)


def fold_word(word: str) -> str:
    """A word as rules keep it: in the letters of `readings`, without marks."""
    return "".join(sign for sign in _read(_signs(word), "marks").letters if sign not in (BLANK, JOINER, WILD))


def pattern(words: tuple[str, ...], *, open_end: bool) -> re.Pattern[str]:
    """A pattern that finds folded words in folded text, however their letters are spread.

    Safe to run: each letter is matched by its own class, so that nothing is tried twice over.
    """
    body = anywhere(words)
    boundless = any(_unspaced(letter) for word in words for letter in word)
    before, after = ("", "") if boundless else (f"(?<![^{BLANK}{JOINER}])", f"(?![^{BLANK}{JOINER}])")
    return re.compile(before + body + ("" if open_end else after))


def anywhere(words: tuple[str, ...]) -> str:
    """What `pattern` looks for, as a regular expression that minds no ends of words."""
    spread = f"[{BLANK}{JOINER}]*"
    return spread.join(spread.join(_letters(word)) for word in words)


def is_disguise(found: str, source: str, words: tuple[str, ...]) -> bool:
    """Whether what `pattern` found is the words and not chance: `found` folded, `source` as it was typed.

    A word may be cut into pieces, but not into pieces that are all words themselves; figures alone are a number.
    """
    if found.count(WILD) * 3 > len(found.replace(BLANK, "").replace(JOINER, "")):
        return False
    typed = source.split()
    if any(sign.isdigit() for sign in source) and not any(sign.isdigit() for word in words for sign in word):
        bare = ["".join(sign for sign in piece if sign.isalnum()) for piece in typed]
        spelled = all(len(piece) <= 1 for piece in bare)
        if not any(sign.isalpha() or sign in "@$" for sign in source):
            return False
        if not spelled and any(piece.isdigit() for piece in bare):
            return False
    pieces = tuple(piece for piece in found.replace(JOINER, "").split(BLANK) if piece)
    if len(pieces) <= len(words):
        return True
    return not all(piece in _common() for piece in pieces)


def _letters(word: str) -> list[str]:
    """One pattern for each run of a letter. Long words may have letters doubled; short ones become others by it."""
    parts: list[str] = []
    for run in re.finditer(r"(.)\1*", word, re.DOTALL):
        letter, length = run.group(1), len(run.group())
        drawn = _DRAWN_AS.get(letter)
        one = f"(?:{drawn}|{WILD})" if drawn else f"[{re.escape(letter)}{WILD}]"
        more = "+" if len(word) >= 4 else ""
        parts.extend([one] * (length - 1) + [one + more])
    return parts


def _unspaced(letter: str) -> bool:
    """Whether the letter's script sets no blanks between words: Han, kana, Thai, Lao, Khmer, Burmese."""
    code = ord(letter)
    return 0x0E00 <= code <= 0x0EFF or 0x1000 <= code <= 0x109F or 0x1780 <= code <= 0x17FF or 0x3040 <= code <= 0x9FFF


_INVISIBLE = frozenset({"Cf", "Cc", "Mn", "Me", "Cs", "Co", "Cn"})


def _signs(text: str) -> list[tuple[str, int]]:
    """Every visible character, taken apart and put in lower case, with its place in the text."""
    found: list[tuple[str, int]] = []
    for place, typed in enumerate(text):
        found.extend([(sign, place) for sign in _taken_apart(typed)])
    return found


@lru_cache(maxsize=4096)
def _taken_apart(typed: str) -> tuple[str, ...]:
    """What one character is made of, as far as it is visible."""
    if typed.isspace() or typed in _EMPTY:
        return (BLANK,)
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", typed).casefold())
    return tuple(
        BLANK if sign.isspace() else sign
        for sign in folded
        if sign.isspace() or unicodedata.category(sign) not in _INVISIBLE
    )


def _read(signs: list[tuple[str, int]], kind: str) -> Folded:
    beyond = _beyond([sign for sign, _ in signs])
    letters: list[str] = []
    last = BLANK  # the sign before, leaving out stars and marks that may be letters
    for (sign, _), after in zip(signs, beyond, strict=True):
        if sign not in _STARS and sign not in _EITHER:
            letters.append(_letter(sign))
            last = sign
            continue
        between = _wordy(last) and _wordy(after)
        if sign in _STARS:
            letters.append(WILD if between and kind != "marks" else JOINER)
        else:
            reads = {"letters": True, "before": _wordy(after), "between": between}.get(kind, False)
            letters.append(_EITHER[sign] if reads else JOINER)
    return Folded("".join(letters), tuple(place for _, place in signs))


def _beyond(signs: list[str]) -> list[str]:
    """For each sign the next one that is neither a star nor a mark that may be a letter."""
    found: list[str] = []
    after = BLANK
    for sign in reversed(signs):
        found.append(after)
        after = after if sign in _STARS or sign in _EITHER else sign
    return found[::-1]


def _wordy(sign: str) -> bool:
    return sign.isalnum() or sign in _LEET


@lru_cache(maxsize=4096)
def _letter(sign: str) -> str:
    if sign == BLANK:
        return BLANK
    known = _looks_like(sign)
    if known in _LEET:
        return _LEET[known]
    return known if known.isalnum() else JOINER


@cache
def _looks_like(sign: str) -> str:
    """The plain letter that a character is read as; itself when it is read as nothing else."""
    if sign.isascii():
        return sign
    if sign in _BORROWED:
        return _BORROWED[sign]
    if (known := _confusables().get(sign)) is not None:
        return known
    named = _NAMED.search(unicodedata.name(sign, ""))
    return named.group(1).lower() if named else sign


@cache
def _confusables() -> Mapping[str, str]:
    """UTS 39: characters that look like one ASCII letter or figure."""
    data: Any = import_module("confusable_homoglyphs.confusables")  # it has no type hints
    table: Mapping[str, list[Mapping[str, str]]] = data.confusables_data
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


@cache
def _common() -> frozenset[str]:
    return frozenset(fold_word(word) for word in _COMMON.split())
