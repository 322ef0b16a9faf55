"""Colour words in both languages, and what things and backgrounds of these colours look like. No torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Colour:
    """One of the eleven basic colour words (Berlin and Kay, 1969), which every language has or nearly so."""

    #: Further English spellings.
    english: tuple[str, ...]
    #: Chinese words; the first is the usual one.
    chinese: tuple[str, ...]
    #: The one character of a compound like 从红到蓝.
    short: str
    #: What a thing of this colour has in the middle, sRGB.
    srgb: tuple[int, int, int]


COLOURS: dict[str, Colour] = {
    "red": Colour((), ("红色",), "红", (214, 45, 45)),
    "orange": Colour((), ("橙色", "橘色"), "橙", (246, 138, 32)),
    "yellow": Colour((), ("黄色",), "黄", (250, 214, 46)),
    "green": Colour((), ("绿色",), "绿", (62, 165, 72)),
    "blue": Colour((), ("蓝色",), "蓝", (44, 112, 222)),
    "purple": Colour((), ("紫色",), "紫", (138, 74, 196)),
    "pink": Colour((), ("粉色", "粉红色"), "粉", (246, 142, 188)),
    "brown": Colour((), ("棕色", "褐色"), "棕", (124, 76, 42)),
    "black": Colour((), ("黑色",), "黑", (34, 34, 38)),
    "white": Colour((), ("白色",), "白", (238, 238, 240)),
    "grey": Colour(("gray",), ("灰色",), "灰", (136, 138, 142)),
}
WORDS = tuple(COLOURS)

#: Background words and their sRGB colours; the Chinese word is the one of a sentence like 红色背景.
BACKGROUNDS: dict[str, tuple[str, tuple[int, int, int]]] = {
    "white": ("白色", (255, 255, 255)),
    "black": ("黑色", (24, 24, 27)),
    "red": ("红色", (214, 69, 65)),
    "orange": ("橙色", (242, 153, 74)),
    "yellow": ("黄色", (250, 219, 94)),
    "green": ("绿色", (111, 191, 115)),
    "blue": ("蓝色", (90, 155, 230)),
    "purple": ("紫色", (155, 110, 210)),
    "pink": ("粉色", (247, 168, 196)),
    "grey": ("灰色", (160, 164, 170)),
}
