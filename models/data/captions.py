"""Say in English or Chinese what a picture shows; never more than it shows."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from ..common import BACKGROUNDS, PLURALS

#: Words that promise nothing that could be checked; members write them all the time.
KIND_WORDS = ("cute", "nice", "lovely", "little", "beautiful")
KIND_WORDS_ZH = ("可爱的", "漂亮的", "小小的", "好看的")

ENGLISH = (
    "{name}",
    "{thing}",
    "{thing}",
    "a picture of {thing}",
    "an emoji of {thing}",
    "{name} emoji",
    "{name} icon",
    "draw {thing}",
)
ENGLISH_STYLE = ("{thing} in {style} style", "{style} style {name}", "{thing}, {style}")
CHINESE = ("{name}", "{name}", "一个{name}", "一只{name}", "一张{name}的图片", "画一个{name}", "{name}图标")
CHINESE_STYLE = ("{style}风格的{name}", "{name}，{style}风格")


def names(
    row: Mapping[str, Any], aliases: tuple[tuple[str, ...], tuple[str, ...]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """English and Chinese names of the concept of a row."""
    chinese = (row["caption_zh"], *aliases[1]) if row["caption_zh"] else aliases[1]
    return (row["caption_en"], *aliases[0]), chinese


def with_article(name: str) -> str:
    """`an apple`, `a rocket`, `grapes`."""
    if name in PLURALS:
        return name
    # "a unicorn": the letter is a vowel, the sound is not.
    vowel = name[0] in "aeiou" and not name.startswith(("uni", "one", "eu"))
    return f"{'an' if vowel else 'a'} {name}"


def caption(
    english: tuple[str, ...], chinese: tuple[str, ...], style: str, background: str, choose: random.Random
) -> str:
    """One true sentence about a picture.

    A background other than white is always said, so that white is what silence means.
    """
    said = background != "white" or choose.random() < 0.15
    with_style = choose.random() < 0.25
    if chinese and choose.random() < 0.3:
        name = choose.choice(chinese)
        if choose.random() < 0.15:
            name = choose.choice(KIND_WORDS_ZH) + name
        text = choose.choice(CHINESE_STYLE if with_style else CHINESE).format(name=name, style=style)
        colour = BACKGROUNDS[background][0]
        return text + choose.choice((f"，{colour}背景", f"，{colour}的背景")) if said else text
    name = choose.choice(english)
    if choose.random() < 0.15:
        kind = choose.choice(KIND_WORDS)
        thing, name = (f"{kind} {name}" if name in PLURALS else f"a {kind} {name}"), f"{kind} {name}"
    else:
        thing = with_article(name)
    text = choose.choice(ENGLISH_STYLE if with_style else ENGLISH).format(name=name, thing=thing, style=style)
    if said:
        text += choose.choice((f" on a {background} background", f", {background} background", f" on {background}"))
    return text
