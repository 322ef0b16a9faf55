"""Words as search compares them: cut out of a text, folded, in singular and plural. Pure."""

from __future__ import annotations

import re
import unicodedata

from ..common import COLOURS

#: Emoji with what changes or joins them, flags, runs of scripts without spaces, words with their marks.
_PICTURE = "[\U0001f200-\U0001faff\u2190-\u21ff\u2300-\u2bff\u3030\u303d\u3297\u3299]"
_PIECES = re.compile(
    rf"[\U0001F1E6-\U0001F1FF]{{2}}|{_PICTURE}(?:[\ufe0f\U0001F3FB-\U0001F3FF]|\u200d(?:{_PICTURE}|[\u2640\u2642]))*"
    r"|[\u0e00-\u0e7f\u2e80-\u303e\u3041-\u9fff々ー]+"
    r"|(?:[^\W_]|[\u0300-\u036f\u0610-\u065f\u0900-\u0dff])+(?:['’.\u200c-](?:[^\W_]|[\u0900-\u0dff])+)*"
)
#: Plurals that no rule gives.
_IRREGULAR = {"mice": "mouse", "geese": "goose", "wolves": "wolf", "leaves": "leaf", "knives": "knife", "men": "man",
              "women": "woman", "children": "child", "feet": "foot", "teeth": "tooth", "people": "person",
              "oxen": "ox", "potatoes": "potato", "tomatoes": "tomato", "elves": "elf", "loaves": "loaf"}  # fmt: skip


def pieces_of(text: str) -> list[str]:
    """Words, emoji, and runs of scripts without spaces, as they are compared: names are cut as prompts are.

    >>> pieces_of("Woman: 3 o’clock 🐱🍕")
    ['woman', '3', "o'clock", '🐱', '🍕']
    """
    found = (plain(piece) for piece in _PIECES.findall(unicodedata.normalize("NFKC", text)))
    return [piece for piece in found if piece]


def plain(text: str) -> str:
    """As words are compared: NFKC, small letters, straight apostrophes, no variation selectors."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'").replace("\ufe0f", "")
    return " ".join(folded.split())


def plurals(name: str) -> tuple[str, ...]:
    """How English says several of them, by rule.

    >>> plurals("slice of pizza"), plurals("cherry")
    (('slices of pizza',), ('cherries',))
    """
    head, of, rest = name.partition(" of ")
    if not head or not head[-1].isascii() or not head[-1].isalpha() or (head.endswith("s") and not head.endswith("ss")):
        return ()
    if head.endswith("y") and head[-2:-1] not in "aeiou":
        many = f"{head[:-1]}ies"
    elif head.endswith(("x", "ch", "sh", "ss", "z")):
        many = f"{head}es"
    else:
        many = f"{head}s"
    return (f"{many}{of}{rest}",)


def singulars(word: str) -> tuple[str, ...]:
    """What an English word may be several of.

    >>> singulars("foxes")
    ('foxe', 'fox')
    """
    if word in _IRREGULAR:
        return (_IRREGULAR[word],)
    forms: list[str] = []
    if word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        forms.append(word[:-1])
        if word.endswith("es"):
            forms.append(word[:-2])
        if word.endswith("ies"):
            forms.append(word[:-3] + "y")
    if word.endswith(("'s", "s'")):
        forms.append(word[:-2])
    return tuple(forms)


def worded(caption: str, colour: str | None) -> str:
    """A caption with a colour, which takes the place of one that it begins with.

    >>> worded("red apple", "blue")
    'blue apple'
    """
    if not colour:
        return caption
    first, _, rest = caption.partition(" ")
    return f"{colour} {rest if rest and first.lower() in COLOURS else caption}"
