"""Batches for the denoiser that draws from drawings: a target, other drawings of its thing, words that ask for it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Drawer, DrawerThing, SpriteSet
from ..data.colours import WORDS, looks_of
from ..drawer import worded
from ..drawer.network import MOST

#: How much likelier an emoji is drawn than something else of as many drawings.
EMOJI = 3.0


@dataclass(frozen=True, slots=True)
class FeedRecipe:
    """How often what is shown and said."""

    #: Share of the batches' references that are left out, each by itself.
    reference_dropout: float = 0.15
    #: Share of the pictures without any reference.
    bare: float = 0.1
    #: Share of the pictures without words.
    wordless: float = 0.1
    #: Share of the pictures with neither: what guidance goes away from.
    empty: float = 0.05
    #: Share of the words that do not name the style.
    unstyled: float = 0.15
    #: Share of the drawings of one colour that are given another, which the words then name.
    recoloured: float = 0.4
    #: Share of the other drawings whose words name the colour that they have.
    natural: float = 0.15
    #: Share of the words in another language. None: prompts are brought to the English caption before they are drawn.
    foreign: float = 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """B pictures to learn from."""

    #: Drawings to be drawn, and by their place in the batch those that are given another colour.
    targets: tuple[int, ...]
    colours: Mapping[int, str]
    #: Drawings to draw from, (B, SLOTS) int64: of the thing, and last one in the style; -1 for none.
    shown: Tensor
    texts: tuple[str, ...]

    @property
    def known(self) -> Tensor:
        """Which are there, (B, SLOTS)."""
        return self.shown >= 0


class Feed:
    """Draws batches; whatever is random comes from the caller's numbers."""

    def __init__(self, sprites: SpriteSet, drawer: Drawer, recipe: FeedRecipe | None = None) -> None:
        """Measures the colours of all drawings: some seconds."""
        self.drawer = drawer
        self.recipe = recipe or FeedRecipe()
        self._things = drawer.trained()
        self._weights = [
            (EMOJI if thing.emoji else 1.0) * len(thing.drawings) ** 0.5 if drawer.targets(thing) else 0.0
            for thing in self._things
        ]
        self._looks = looks_of(sprites.images, [row["i"] for row in sprites.rows], 256)
        self._of_style: dict[str, list[int]] = {}
        for thing in self._things:
            for i in drawer.targets(thing):
                self._of_style.setdefault(drawer.styles[i], []).append(i)

    def batch(self, count: int, choose: random.Random) -> Batch:
        """The next pictures."""
        picked = choose.choices(self._things, self._weights, k=count)
        targets = [choose.choice(self.drawer.targets(thing)) for thing in picked]
        return self.asked(picked, targets, choose, self.recipe)

    def asked(
        self, things: Sequence[DrawerThing], targets: Sequence[int], choose: random.Random, recipe: FeedRecipe, *,
        heldout: bool = False,
    ) -> Batch:  # fmt: skip
        """Pictures of given things; with `heldout`, held-out cells may be references."""
        texts: list[str] = []
        colours: dict[int, str] = {}
        shown: list[list[int]] = []
        for at, (thing, target) in enumerate(zip(things, targets, strict=True)):
            colour = None
            if self._looks[target].plain and choose.random() < recipe.recoloured:
                colour = colours[at] = choose.choice(WORDS)
            empty = choose.random() < recipe.empty
            texts.append("" if empty else self._words(thing, target, colour, choose, recipe))
            others = self.drawer.references(thing, target, heldout=heldout)
            same = choose.sample(others, min(MOST, len(others)))
            style = choose.choice(self._of_style.get(self.drawer.styles[target], [target]))
            bare = empty or choose.random() < recipe.bare
            slots = [
                -1 if bare or choose.random() < recipe.reference_dropout else i
                for i in [*same, *[-1] * (MOST - len(same)), -1 if style in thing.drawings else style]
            ]
            shown.append(slots)
        return Batch(tuple(targets), colours, torch.tensor(shown), tuple(texts))

    def _words(
        self, thing: DrawerThing, target: int, colour: str | None, choose: random.Random, recipe: FeedRecipe
    ) -> str:
        if choose.random() < recipe.wordless:
            return ""
        if colour is None and thing.names and choose.random() < recipe.foreign:
            name = choose.choice(list(thing.names.values()))
        else:
            name = worded(
                thing.caption, colour or (self._looks[target].natural if choose.random() < recipe.natural else None)
            )
        return name if choose.random() < recipe.unstyled else styled(name, self.drawer.styles[target])


def styled(name: str, style: str) -> str:
    """As prompts ask for a style."""
    return f"{name}, {style} style"
