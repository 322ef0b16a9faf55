"""Pixel art of Dungeon Crawl Stone Soup: monsters, weapons, potions, trees. Captions come from file names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from .clean import unsafe
from .drawing import Concept, Drawing, Dropped
from .sources import DrawingSet

#: Folders whose files show one whole thing each, and what is said after the file's name.
FOLDERS: Mapping[str, str] = {
    "mon": "", "item/amulet": "amulet", "item/armour": "", "item/book": "book", "item/food": "", "item/misc": "",
    "item/potion": "potion", "item/ring": "ring", "item/rod": "", "item/staff": "", "item/wand": "wand",
    "item/weapon": "", "item/scroll": "", "item/gold": "gold coins",
    "dngn/shops": "", "dngn/statues": "", "dngn/trees": "", "dngn/doors": "", "dngn/altars": "altar", "dngn/vaults": "",
    "gui/spells": "spell",
    "UNUSED/monsters": "", "UNUSED/weapons": "", "UNUSED/armour": "", "UNUSED/food": "",
}  # fmt: skip
#: Parts that are laid over others in the game, or names of persons that say nothing of the picture.
_PARTS = re.compile(
    r"/(tentacles|panlord|mutantbeast|draco|sprint|player|unique|randarts|brands|artefact|\w*_brands|uncollected_runes|"
    r"bound_souls)/"
)
_OVERLAY = re.compile(
    r"^(\.|test|i-|urand|unrand|overlay|base|misc_deck|dec_|rune_|spwpn|halo)|_(NE|NW|SE|SW|[NESW])$|^vgate|_(left|right|middle|up|down)"
    r"(_\w+)?$|\.small$|-morph$|-eyeclosed"
)
#: Words of file names that are no part of a name.
_NOISE = re.compile(r"\b(misc|gem|art|old|new|alt|swordless|melee|tile|inert|simple|water|mon|normal)\b")
#: Words that are one thing in the game and another as an emoji.
AMBIGUOUS = frozenset(
    {"bat", "dart", "orange", "ring", "eye", "ghost", "imp", "book", "fox", "key", "star", "crystal ball"}
)


def drawings(package: Path, drawing_set: DrawingSet, by_label: Mapping[str, Concept]) -> Iterator[Drawing | Dropped]:
    """Each tile of the folders above."""
    root = package / drawing_set.path
    for folder, kind in FOLDERS.items():
        for file in sorted((root / folder).rglob("*.png")):
            name = file.relative_to(root).as_posix()
            if _PARTS.search(f"/{name}"):
                yield Dropped(name, "part")
            elif _OVERLAY.search(file.stem):
                yield Dropped(name, "overlay")
            elif not (caption := caption_of(file.stem, kind)):
                yield Dropped(name, "no name")
            elif unsafe(caption):
                yield Dropped(name, "unsafe")
            else:
                concept = None if caption in AMBIGUOUS else by_label.get(caption)
                yield Drawing(name, file, caption, concept.keywords if concept else (), concept, folder)


def caption_of(stem: str, kind: str) -> str:
    """`orc_warrior2`, `` → `orc warrior`; `gem_bronze`, `wand` → `bronze wand`."""
    words = re.sub(r"[_\-]+", " ", re.sub(r"(?<=[a-zA-Z ])\d+[a-z]?\b|(?<=_)\d+\b|^\d+$", "", stem)).lower()
    words = " ".join(_NOISE.sub(" ", words).split())
    words = re.sub(r"^(scroll|tree|mace|staff|robe|cloak|statue) (?!of\b)(\w+)$", r"\2 \1", words)
    if kind and kind.rpartition(" ")[2] not in words:
        words = f"{words} {kind}".strip()
    return words
