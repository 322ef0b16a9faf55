"""Finding the words of rules in what somebody typed, in every disguise, and telling disguise from chance. Pure.

Texts and words are compared in the letters of rules_read.py.
"""

from __future__ import annotations

import re
from functools import cache
from types import MappingProxyType

from .rules_read import BLANK, JOINER, WILD, fold_word, letters_of, same_letters
from .rules_shapes import PREFIXES

#: Letters that are drawn as two others.
_DRAWN_AS = MappingProxyType({"m": ("rn",), "w": ("vv", "uu")})
#: Writing without blanks between words (Thai, Lao, Khmer, Burmese, kana, Han), and Korean, whose endings follow words
#: of any writing at once.
_UNSPACED = "\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u3040-\u318f\u3400-\u9fff"
#: Letters that a word has at least to be looked for behind a prefix: `seminude`.
_LONG = 3
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
wood wool work year yoga your zero lol omg
"""


def pattern(words: tuple[str, ...], *, open_end: bool) -> re.Pattern[str]:
    """A pattern that finds folded words in folded text, however their letters are spread.

    Safe to run: each letter is matched by its own class, so that nothing is tried twice over.
    """
    body = anywhere(words)
    boundless = any(_unspaced(letter) for word in words for letter in word)
    if boundless:
        return re.compile(body)
    edge = f"[^{BLANK}{JOINER}{_UNSPACED}]"
    prefix = f"(?:{_prefixes()})?" if len(words[0]) >= _LONG else ""
    return re.compile(f"(?<!{edge}){prefix}{body}" + ("" if open_end else f"(?!{edge})"))


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
    pieces = tuple(piece for piece in letters_of(found).replace(JOINER, "").split(BLANK) if piece)
    if len(pieces) <= len(words):
        return True
    return not all(piece in _common() for piece in pieces)


def _letters(word: str) -> list[str]:
    """One pattern for each run of a letter. Long words may have letters doubled; short ones become others by it."""
    parts: list[str] = []
    for run in re.finditer(r"(.)\1*", word, re.DOTALL):
        letter, length = run.group(1), len(run.group())
        one = _class(letter)
        if drawn := _DRAWN_AS.get(letter):
            one = f"(?:{'|'.join((one, *(''.join(map(_class, other)) for other in drawn)))})"
        more = "+" if len(word) >= 4 else ""
        parts.extend([one] * (length - 1) + [one + more])
    return parts


@cache
def _class(letter: str) -> str:
    return f"[{re.escape(same_letters(letter))}{WILD}]"


@cache
def _prefixes() -> str:
    return "|".join(sorted((re.escape(fold_word(prefix)) for prefix in PREFIXES.split()), key=len, reverse=True))


def _unspaced(letter: str) -> bool:
    """Whether the letter's script sets no blanks between words: Han, kana, Thai, Lao, Khmer, Burmese."""
    code = ord(letter)
    return 0x0E00 <= code <= 0x0EFF or 0x1000 <= code <= 0x109F or 0x1780 <= code <= 0x17FF or 0x3040 <= code <= 0x9FFF


@cache
def _common() -> frozenset[str]:
    return frozenset(letters_of(fold_word(word)) for word in _COMMON.split())
