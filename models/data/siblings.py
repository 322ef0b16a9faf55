"""Things that a small picture does not tell apart: clock faces, phases of the moon, who plays water polo."""

from __future__ import annotations

import re

_FAMILY = re.compile(r"^(family|kiss|couple with heart|couple|.* holding hands|people holding hands)\b")
_HOUR = re.compile(r"^(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)([ -]o.clock|-thirty)$")
_WHO = re.compile(r"\b(woman|man|women|men|person|people|girl|boy)\b|: facing right$")
_SOMEBODY = frozenset({"", "adult", "child", "older", "old"})
_MOON = re.compile(r"^(new|full|waxing|waning|first quarter|last quarter|crescent).*\bmoon\b(?! face)")
_WORDS = re.compile(r"[^\w]+")


def sibling_group(caption: str) -> str:
    """One name for all things that only a word about people, an hour or a phase tells apart.

    >>> sibling_group("woman cook") == sibling_group("man cook")
    True
    >>> sibling_group("red apple")
    'red apple'
    """
    text = caption.lower().replace("\u2019", "'")
    if _HOUR.match(text):
        return "clock face"
    if _MOON.match(text):
        return "phase of the moon"
    if _FAMILY.match(text):
        return "people together"
    rest = " ".join(_WORDS.sub(" ", _WHO.sub(" ", text)).split())
    return "somebody" if rest in _SOMEBODY else rest
