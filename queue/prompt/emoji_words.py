"""Emoji in a prompt as the words that a model knows: 🍎 is a red apple, 🐶🐱 a dog face and a cat face. Pure.

What the member typed stays in the request; only what the model reads, and what rules and the vocabulary look at, is in
words. Names are CLDR's, from the package `emoji`; a custom emoji of Discord, `<:red_apple:123>`, goes by its name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import emoji

#: Where an emoji can begin, beside Discord's own: nearly every prompt is done with after one look for these.
_BEGIN = re.compile("[\u203c\u2049\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]|<a?:")
#: Discord's own, as messages and options carry them.
CUSTOM = re.compile(r"<(?P<moving>a?):(?P<name>\w{2,32}):(?P<id>\d{15,21})>")
_HAN = re.compile(r"[\u3400-\u9fff]")
_TONES = re.compile("[\U0001f3fb-\U0001f3ff]")
#: `pepeHappy2` → pepe, Happy.
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine")
_NUMBERS_ZH = "两三四五六七八九"
#: Words of a name that say nothing of what it shows.
_SILENT = frozenset({"face", "symbol", "button"})


@dataclass(frozen=True, slots=True)
class Spoken:
    """One emoji in a text."""

    start: int
    end: int
    typed: str
    #: English names, the first one the emoji's own: `red apple`, `apple`.
    names: tuple[str, ...]
    #: Its Chinese name, or empty.
    chinese: str = ""


@lru_cache(maxsize=1024)
def emoji_in(text: str) -> tuple[Spoken, ...]:
    """Every emoji of a text that has a name, in order."""
    if not _BEGIN.search(text):
        return ()
    found = [
        Spoken(said.start(), said.end(), f":{said['name']}:", (_custom_name(said["name"]),))
        for said in CUSTOM.finditer(text)
        if _custom_name(said["name"])
    ]
    for each in emoji.emoji_list(text):
        spoken = _spoken(each["match_start"], each["match_end"], each["emoji"])
        if spoken is not None:
            found.append(spoken)
    return tuple(sorted(found, key=lambda each: each.start))


def in_words(text: str) -> str:
    """The text with its emoji said in words, Chinese ones in a Chinese text: `🍎🍎` → `two red apples`.

    An emoji whose words stand beside it already only adorns, and goes.
    """
    every = emoji_in(text)
    if not every:
        return text
    rest = _without(text, every)
    chinese = _HAN.search(rest) is not None
    adorned = {word.removesuffix("s") for word in re.findall(r"[^\W\d_]+", rest.casefold())}
    out, place = "", 0
    for run in _runs(text, every):
        told = [each for each in run if not _adorns(each, adorned, rest if chinese else "")]
        before, place_after = text[place : run[0].start], run[-1].end
        words = _listed(told, chinese=chinese)
        if words and not chinese:
            before = before if not before or before[-1].isspace() else before + " "
            words += " " if place_after < len(text) and text[place_after].isalnum() else ""
        out += before + words
        place = place_after
    return " ".join((out + text[place:]).split())


def custom_alone(text: str) -> tuple[str, bool] | None:
    """Id, and whether it moves, of the first custom emoji of a text that has nothing else; None for any other text."""
    said = CUSTOM.search(text)
    if said is None or CUSTOM.sub("", text).strip():
        return None
    return said["id"], bool(said["moving"])


def _spoken(start: int, end: int, typed: str) -> Spoken | None:
    # A keycap is its figure, and © ® ™ are signs of writing.
    if typed[0].isascii() or typed[0] in "\u00a9\u00ae\u2122":
        return None
    plain = _TONES.sub("", typed)
    known = emoji.EMOJI_DATA.get(plain) or emoji.EMOJI_DATA.get(f"{plain}\ufe0f") or emoji.EMOJI_DATA.get(typed)
    if known is None:
        return None
    names = tuple(dict.fromkeys(_plain(name) for name in (known["en"], *known.get("alias", ()))))
    return Spoken(start, end, typed, names, _chinese().get(plain.replace("\ufe0f", ""), ""))


@lru_cache(maxsize=1)
def _chinese() -> dict[str, str]:
    """Chinese names by the emoji without variation selectors."""
    emoji.config.load_language("zh")
    return {
        sign.replace("\ufe0f", ""): data["zh"].strip(":").replace("_", "")
        for sign, data in emoji.EMOJI_DATA.items()
        if "zh" in data
    }


def _plain(name: str) -> str:
    return name.strip(":").replace("_", " ").replace("\u2019", "'").casefold()


def _custom_name(name: str) -> str:
    return " ".join(_HUMP.findall(name)).casefold()


def _without(text: str, every: Sequence[Spoken]) -> str:
    for each in reversed(every):
        text = f"{text[: each.start]} {text[each.end :]}"
    return text


def _runs(text: str, every: Sequence[Spoken]) -> list[list[Spoken]]:
    """Emoji with nothing but blanks between them."""
    runs: list[list[Spoken]] = []
    for each in every:
        if runs and not text[runs[-1][-1].end : each.start].strip():
            runs[-1].append(each)
        else:
            runs.append([each])
    return runs


def _adorns(each: Spoken, words: set[str], chinese: str) -> bool:
    """Whether a text says this already: `a red apple 🍎`."""
    if each.chinese and each.chinese.removesuffix("脸") in chinese:
        return True
    return any(
        telling <= words
        for name in each.names
        if (telling := {word.removesuffix("s") for word in name.split()} - _SILENT)
    )


def _listed(run: Sequence[Spoken], *, chinese: bool) -> str:
    """`two red apples and a dog face`; `两个红苹果和狗脸`."""
    counted = [(name, len(list(same))) for name, same in groupby(run, lambda each: _name(each, chinese=chinese))]
    # `two bananas and a pizza`: where some are counted, all are.
    several = any(count > 1 for _, count in counted)
    said = [_several(name, count, chinese=chinese, several=several) for name, count in counted]
    if chinese:
        return "和".join(said)
    return " and ".join(said) if len(said) < 3 else f"{', '.join(said[:-1])} and {said[-1]}"


def _name(each: Spoken, *, chinese: bool) -> str:
    return each.chinese if chinese and each.chinese else each.names[0]


def _several(name: str, count: int, *, chinese: bool, several: bool) -> str:
    if not 2 <= count <= len(_NUMBERS) + 1:
        article = "" if not several else "一个" if chinese else "an " if name[0] in "aeiou" else "a "
        return article + name
    if chinese:
        return f"{_NUMBERS_ZH[count - 2]}个{name}"
    ending = "es" if name.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{_NUMBERS[count - 2]} {name}{ending}"
