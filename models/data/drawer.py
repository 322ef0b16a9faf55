"""The drawer: every drawing by the thing it shows, and which of them no training may see.

A thing is an emoji, or what drawings without one are called. Held out are a tenth of the emoji (*things*: their
drawings serve as references only) and a twentieth of the rest's drawings by thing and style (*cells*), both by a hash
of their names, so that the choice stays when the drawer grows.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .languages import LANGUAGES

#: Share of the emoji, and of the other emoji's drawings.
THINGS, CELLS = 0.10, 0.05
#: Styles that a thing must be drawn in before it can be held out: one to ask for, three to draw from.
STYLES = 4


@dataclass(frozen=True, slots=True)
class DrawerThing:
    """One thing and all its drawings."""

    #: Its emoji's code, or its caption.
    key: str
    caption: str
    #: Whether it is an emoji, drawn alike by many.
    emoji: bool
    #: emojibase's number of its group; -1 for none.
    group: int
    #: What it is called elsewhere, by language.
    names: Mapping[str, str]
    #: Indexes into the set's images.
    drawings: tuple[int, ...]


@dataclass(frozen=True)
class Drawer:
    """All things, in order of their keys."""

    things: tuple[DrawerThing, ...]
    #: Style word of each drawing.
    styles: Mapping[int, str]
    #: Keys of the things that are held out.
    heldout: frozenset[str]
    #: Drawings that are held out although their thing is not.
    cells: frozenset[int]

    def trained(self) -> tuple[DrawerThing, ...]:
        """What a training may draw; a thing keeps its held-out cells, see `targets`."""
        return tuple(thing for thing in self.things if thing.key not in self.heldout)

    def targets(self, thing: DrawerThing) -> tuple[int, ...]:
        """The drawings of a thing that a training may ask for."""
        return tuple(i for i in thing.drawings if i not in self.cells)

    def references(self, thing: DrawerThing, target: int, *, heldout: bool = True) -> tuple[int, ...]:
        """Drawings of the thing in other styles than the target's; of the same style where there are no others.

        Without `heldout`, none of the held-out cells.
        """
        every = [i for i in thing.drawings if i != target and (heldout or i not in self.cells)]
        other = tuple(i for i in every if self.styles[i] != self.styles[target])
        return other or tuple(every)


def drawer(rows: Sequence[Mapping[str, Any]]) -> Drawer:
    """Sort the rows of a sprite set by thing."""
    by_key: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_key[row["code"] or row["caption_en"].lower()].append(row)
    things: list[DrawerThing] = []
    for key in sorted(by_key):
        found = by_key[key]
        # Emoji first: their captions are the ones that everybody uses.
        first = min(found, key=lambda row: (row["kind"] != "emoji", row["i"]))
        names = {language: first.get(f"caption_{language}", "") for language in LANGUAGES}
        things.append(
            DrawerThing(
                key, first["caption_en"], bool(first["code"]), first["group"],
                {language: name for language, name in names.items() if name}, tuple(row["i"] for row in found),
            )
        )  # fmt: skip
    styles = {row["i"]: row["style"] for row in rows}
    heldout = frozenset(
        thing.key
        for thing in things
        if thing.emoji and len({styles[i] for i in thing.drawings}) >= STYLES and _chance(thing.key) < THINGS
    )
    cells = frozenset(
        i
        for thing in things
        if thing.emoji and thing.key not in heldout and len({styles[i] for i in thing.drawings}) >= STYLES
        for i in thing.drawings
        if _chance(f"{thing.key}/{styles[i]}") < CELLS
    )
    return Drawer(tuple(things), styles, heldout, cells)


def _chance(name: str) -> float:
    """A number in [0, 1) that belongs to the name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) / 2**48
