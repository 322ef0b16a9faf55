"""Attempts to get a forbidden word past the rules, made by a program: 25 disguises, 20 attempts each.

Every attempt is still read as the word by a person. `attempts` gives the same ones each time.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

#: Stand-ins for forbidden words: rules are made of these, so that this file holds nothing unpleasant.
WORDS = ("forbidden", "blasted", "wretched", "grubby", "scoundrel", "mischief", "knave")
PHRASES = ("rotten scoundrel", "bad knave")
FRAMES = ("{}", "a picture of {}", "{} on the moon", "a red {}, in oil", "my {}!", "apple ({}) apple", "{}: a cat")
#: Where a request brings text from.
PATHS = ("prompt", "negative", "part", "suffix")

_CYRILLIC = dict(zip("aceiopsxyhkmtb", "асеіорѕхуһкмтв", strict=True))
_GREEK = dict(zip("aeikoptuvxny", "αειкορτυνχηγ", strict=True))
_LEET = dict(zip("aeiostlbg", "4310571" + "89", strict=True))
_MARKS = dict(zip("aisetc", "@!$3+(", strict=True))
_SMALL = dict(zip("abcdefghijklmnoprtuvw", "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡ", strict=True))
_EMPTY = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e\u200e\u202e\U000e0061"


def _shifted(word: str, first: int) -> str:
    return "".join(
        chr(first + ord(letter) - ord("a")) if letter.isascii() and letter.isalpha() else letter for letter in word
    )


def _some(word: str, table: dict[str, str], dice: random.Random, share: float = 0.6) -> str:
    """At least one letter exchanged, at least one left."""
    places = [place for place, letter in enumerate(word) if letter in table]
    chosen = {place for place in places if dice.random() < share} or set(places[:1])
    if len(chosen) == len(word.replace(" ", "")):
        chosen.pop()
    return "".join(table[letter] if place in chosen else letter for place, letter in enumerate(word))


def _between(word: str, dice: random.Random, marks: str, share: float = 1.0) -> str:
    out = word[0]
    for letter in word[1:]:
        out += (dice.choice(marks) if letter != " " and out[-1] != " " and dice.random() < share else "") + letter
    return out


def _cut(word: str, dice: random.Random, mark: str) -> str:
    place = dice.randrange(2, len(word) - 1)
    while " " in word[place - 1 : place + 1]:
        place = dice.randrange(2, len(word) - 1)
    return word[:place] + mark + word[place:]


def _hidden(word: str, dice: random.Random) -> str:
    places = [place for place in range(1, len(word) - 1) if " " not in word[place - 1 : place + 2]]
    place = dice.choice(places)
    return word[:place] + dice.choice("*#") + word[place + 1 :]


def _mixed(word: str, dice: random.Random) -> str:
    layers: list[Callable[[str], str]] = [
        lambda text: _some(text, _CYRILLIC, dice, 0.3),
        lambda text: _some(text, _LEET, dice, 0.3),
        lambda text: _between(text, dice, _EMPTY, 0.4),
        lambda text: _between(text, dice, ".-_", 0.4),
    ]
    for layer in dice.sample(layers, 2):
        word = layer(word)
    return "".join(dice.choice((letter.upper(), letter)) for letter in word)


DISGUISES: dict[str, Callable[[str, random.Random], str]] = {
    "as it stands": lambda word, dice: word,
    "case": lambda word, dice: "".join(dice.choice((letter.upper(), letter)) for letter in word),
    "fullwidth": lambda word, dice: _shifted(word, 0xFF41),
    "bold mathematical": lambda word, dice: _shifted(word, 0x1D41A),
    "script mathematical": lambda word, dice: _shifted(word, 0x1D4EA),
    "circled": lambda word, dice: _shifted(word, 0x24D0),
    "squared": lambda word, dice: _shifted(word, 0x1F170),
    "flags": lambda word, dice: _shifted(word, 0x1F1E6),
    "small capitals": lambda word, dice: _some(word, _SMALL, dice, 0.9),
    "Cyrillic": lambda word, dice: _some(word, _CYRILLIC, dice),
    "Greek": lambda word, dice: _some(word, _GREEK, dice),
    "leetspeak": lambda word, dice: _some(word, _LEET, dice),
    "marks for letters": lambda word, dice: _some(word, _MARKS, dice),
    "invisible characters": lambda word, dice: _between(word, dice, _EMPTY),
    "variation selectors": lambda word, dice: _between(word, dice, "\ufe0e\ufe0f\U000e0100"),
    "struck through": lambda word, dice: "".join(
        letter + dice.choice("\u0336\u0338\u0301\u0308\u0335") for letter in word
    ),
    "accents": lambda word, dice: unicodedata.normalize("NFC", _between(word, dice, "\u0301\u0308\u0303", 0.6)),
    "blanks": lambda word, dice: " ".join(word),
    "other blanks": lambda word, dice: dice.choice("\u2003\u00a0\u3000\u2009\t\n").join(word),
    "dots and dashes": lambda word, dice: _between(word, dice, ".-_·~/"),
    "emoji between": lambda word, dice: _between(word, dice, "🔥🍎✨", 0.5),
    "cut in two": lambda word, dice: _cut(word, dice, dice.choice("-.|\u2003 ")),
    "a star for a letter": _hidden,
    "brackets and bold": lambda word, dice: f"**{''.join(f'({letter})' for letter in word if letter != ' ')}**",
    "several at once": _mixed,
}


@dataclass(frozen=True)
class Attempt:
    disguise: str
    path: str
    text: str


def attempts(each: int = 20, seed: int = 7) -> Iterator[Attempt]:
    """`each` of every disguise, spread over words, frames and paths."""
    dice = random.Random(seed)
    hidden = (*WORDS, *PHRASES)
    for name, disguise in DISGUISES.items():
        for number in range(each):
            word = disguise(hidden[number % len(hidden)], dice)
            yield Attempt(name, PATHS[number % len(PATHS)], FRAMES[number % len(FRAMES)].format(word))
