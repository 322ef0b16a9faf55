"""Attempts to get a forbidden word past the rules, made by a program: by 57 disguises, 20 attempts each or more.

Every attempt is still read as the word by a person. `attempts` gives the same ones each time. Alphabets are those of
pages that make "fancy text"; look-alikes by name and by UTS 39 come from Unicode's own data.
"""

from __future__ import annotations

import random
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from string import ascii_lowercase

from confusable_homoglyphs.confusables import confusables_data

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


#: Sets of letters from a to z; a dot is a letter that the set has not.
ALPHABETS = {
    "syllabics": "ᗩᗷᑕᗪᗴᖴᘜᕼ.ᒍ.ᒪᗰᑎ.ᑭᑫᖇᔕ.ᑌᐯᗯ᙭.ᘔ",
    "Cherokee": "ᏗᏰፈᎴᏋᎦᎶᏂᎥᏠᏦᏝᎷᏁᎧᎮᎤᏒᏕᏖᏬᏉᏇጀᎩፚ",
    "Han shapes": "卂乃匚ᗪ乇千Ꮆ卄丨ﾌҜㄥ爪几ㄖ卩Ɋ尺丂ㄒㄩᐯ山乂ㄚ乙",
    "kana shapes": "ﾑ乃..乇ｷ.んﾉﾌズﾚｶ刀.ｱ.尺丂ｲ.√.ﾒﾘ乙",
    "Thai and Hebrew": "ค๒ς๔єŦﻮђเןк.๓ภ๏קợгร.ยשฬאץ.",
    "Yi": "ꍏꌃꉓꀸꍟꎇꁅꃅꀤꀭꀘ꒒ꂵꈤꂦꉣꆰꋪꌗ꓄ꀎꃴꅏꊼꌩꁴ",
    "Lisu": "ꓮꓐꓚꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑ.ꓣꓢꓔꓴꓦꓪꓫꓬꓜ",
    "currency": "₳฿₵ĐɆ₣₲ⱧłJ₭Ⱡ₥₦Ø₱.Ɽ₴₮Ʉ.₩ӾɎⱫ",
    "phonetic": "ąცƈɖɛʄɠɧıʝƙƖɱŋơ℘զཞʂɬų۷ῳҳყʑ",
    "African": "αႦƈԃҽϝɠԋιʝƙʅɱɳσρϙɾʂƚυʋɯ.ყȥ",
    "Greek and symbols": "αв¢∂є..нιנкℓмησρ.яѕтυνωχу.",
    "mathematics": "∀♭⊂∂∈∮⅁ℏ∣⌡κℓ♏∩∘℘℺ℜ∫⊥∪√ωχγℤ",
    "Ethiopic": "ልጌርዕቿቻኗዘጎጋጕረጠክዐየዒዪነፕሁሀሠሸሃጊ",
    "Cyrillic capitals": "ДБҀ.Є..НІЈЌ.МИФР.ЯЅ.Ц.ЩЖЧ.",
    "hooks and bars": "ȺɃȻĐɆꞘǤĦƗɈꝀŁ.ƝØⱣꝖɌ.ŦɄ.ⱲӾɎƵ",
    "Western accents": "åß¢Ðê£..ï....ñðþ.®§†µ..×¥.",
    "runes": "ᚨᛒᚲᛞᛖᚠᚷᚺᛁᛃᚲᛚᛗᚾᛟᛈ.ᚱᛋᛏᚢ.ᚹ.ᚤᛉ",
    "Braille": "⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵",
    "emoji letters": "🅰🅱©.........Ⓜ.⭕🅿.®💲✝.🔻.❌..",
    "symbols": "▲.☪◗☰...❗..└♏♑●¶.®§✞.▼.✖..",
    "superscript": "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖ.ʳˢᵗᵘᵛʷˣʸᶻ",
    "Tifinagh": "ⴷ.ⵛ.....ⵊ..ⵏ.ⵍⵔ....ⵜⵡⴸ.ⵝⵖⵣ",
}
#: Letters of several signs.
_ART = {
    "a": "/\\ /-\\", "b": "|3 |8", "c": "( <", "d": "|) |> [)", "e": "[- €", "f": "|=", "h": "|-| ]-[", "i": "! |",
    "j": "_|", "k": "|< |{", "l": "|_", "m": "|\\/| /\\/\\ |v|", "n": "|\\| /\\/ |/|", "o": "() [] <>",
    "p": "|* |°", "r": "|2 |?", "s": "$ 5", "t": "+ 7", "u": "|_| (_) \\_/", "v": "\\/", "w": "\\/\\/ \\^/",
    "x": "><  )(", "y": "`/", "z": "2 7_",
}  # fmt: skip
_TURNED = "ɐqɔpǝɟƃɥᴉɾʞlɯuodbɹsʇnʌʍxʎz"


def _alphabet(name: str) -> dict[str, str]:
    return {letter: sign for letter, sign in zip(ascii_lowercase, ALPHABETS[name], strict=True) if sign != "."}


@cache
def _alike() -> Mapping[str, str]:
    """UTS 39: everything that looks like a letter, by the letter."""
    found: dict[str, str] = defaultdict(str)
    for sign, others in confusables_data.items():
        for other in others:
            if len(sign) == 1 and not sign.isascii() and other["c"] in ascii_lowercase and sign.isalpha():
                found[other["c"]] += sign
    return found


@cache
def _named() -> Mapping[str, str]:
    """Latin letters with whatever marks, and small capitals, by the letter in their names."""
    found: dict[str, str] = defaultdict(str)
    for code in (*range(0xC0, 0x250), *range(0x250, 0x2B0), *range(0x1E00, 0x1F00), *range(0xA720, 0xA800)):
        words = unicodedata.name(chr(code), "").split()
        if words[:1] == ["LATIN"] and "LETTER" in words:
            kind = words[words.index("LETTER") + 1 :]
            kind = kind[2:] if kind[:2] == ["SMALL", "CAPITAL"] else kind
            if kind and len(kind[0]) == 1 and (kind[1:2] == ["WITH"] or len(kind) == 1):
                found[kind[0].lower()] += chr(code)
    return found


def _any_of(word: str, table: Mapping[str, str], dice: random.Random, share: float) -> str:
    """As `_some`, where a letter has several others."""
    return _some(word, {letter: dice.choice(table[letter]) for letter in word if table.get(letter)}, dice, share)


def _drawn(word: str, dice: random.Random) -> str:
    places = [place for place, letter in enumerate(word) if letter in _ART]
    chosen = {place for place in places if dice.random() < 0.4} or set(places[:1])
    return "".join(
        dice.choice(_ART[letter].split()) if place in chosen else letter for place, letter in enumerate(word)
    )


def _above(word: str, dice: random.Random) -> str:
    """Every second letter small above the one before, where Unicode has it."""
    small = dict(zip("aeioucdhmrtvx", map(chr, range(0x363, 0x370)), strict=True))
    return "".join(
        small.get(letter, letter) if place % 2 and word[place - 1] != " " else letter
        for place, letter in enumerate(word)
    )


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
    **{name: lambda word, dice, name=name: _some(word, _alphabet(name), dice, 0.8) for name in ALPHABETS},
    "look-alikes of UTS 39": lambda word, dice: _any_of(word, _alike(), dice, 0.6),
    "named letters": lambda word, dice: _any_of(word, _named(), dice, 0.6),
    "letters of several signs": _drawn,
    "small letters above": _above,
    "turned round": lambda word, dice: "".join(
        _TURNED[ascii_lowercase.index(letter)] if letter != " " else " " for letter in reversed(word)
    ),
    "from right to left": lambda word, dice: "\u202e" + word[::-1] + dice.choice(("", "\u202c", "\n")),
    "behind a prefix": lambda word, dice: dice.choice(("semi", "half", "fully", "ultra", "super")) + word,
    "circled, white on black": lambda word, dice: _shifted(word, 0x1F150),
    "fraktur": lambda word, dice: _shifted(word, 0x1D586),
    "in brackets": lambda word, dice: _shifted(word, 0x249C),
}


@dataclass(frozen=True)
class Attempt:
    disguise: str
    path: str
    text: str


def attempts(each: int = 20, seed: int = 7, hidden: Sequence[str] = (*WORDS, *PHRASES)) -> Iterator[Attempt]:
    """`each` of every disguise, spread over the hidden words, frames and paths."""
    dice = random.Random(seed)
    for name, disguise in DISGUISES.items():
        for number in range(each):
            word = disguise(hidden[number % len(hidden)], dice)
            yield Attempt(name, PATHS[number % len(PATHS)], FRAMES[number % len(FRAMES)].format(word))
