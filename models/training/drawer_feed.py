"""Batches for the denoiser that draws from drawings: a target, other drawings of its thing, words that ask for it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data import Drawer, DrawerThing, SpriteSet
from ..data.colours import WORDS, looks_of, recolour
from ..drawer import worded
from ..drawer.network import STYLE, THING

#: Most references that show the thing; one more shows the style.
MOST = 3
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

    #: (B, 4, S, S) premultiplied, in [-1, 1].
    targets: Tensor
    #: (B, R, 4, S, S) likewise; (B, R) which are there, and what they show.
    references: Tensor
    known: Tensor
    roles: Tensor
    texts: tuple[str, ...]


class Feed:
    """Draws batches; whatever is random comes from the caller's numbers."""

    def __init__(
        self, sprites: SpriteSet, drawer: Drawer, recipe: FeedRecipe | None = None, device: torch.device | None = None
    ) -> None:
        """Measures the colours of all drawings: some seconds. On a GPU all drawings lie there, and batches too."""
        self.drawer = drawer
        self.recipe = recipe or FeedRecipe()
        self._device = device or torch.device("cpu")
        self._sprites = sprites
        self._there = None if self._device.type == "cpu" else torch.from_numpy(np.array(sprites.images)).to(device)
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
        """The next pictures. All have the same number of places for references, drawn anew for each batch."""
        places = choose.randint(1, MOST)
        picked = choose.choices(self._things, self._weights, k=count)
        targets = [choose.choice(self.drawer.targets(thing)) for thing in picked]
        return self.asked(picked, targets, places, choose, self.recipe)

    def asked(
        self, things: Sequence[DrawerThing], targets: Sequence[int], places: int, choose: random.Random,
        recipe: FeedRecipe, *, heldout: bool = False,
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
            same = choose.sample(others, min(places, len(others)))
            style = choose.choice(self._of_style.get(self.drawer.styles[target], [target]))
            bare = empty or choose.random() < recipe.bare
            slots = [
                -1 if bare or choose.random() < recipe.reference_dropout else i
                for i in [*same, *[-1] * (places - len(same)), -1 if style in thing.drawings else style]
            ]
            shown.append(slots)
        pixels = self._pixels(targets)
        if colours:
            at = list(colours)
            pixels[at, :3] = recolour(pixels[at, :3], pixels[at, 3:], list(colours.values()))
        index = torch.tensor(shown, device=self._device)
        references = premultiplied(self._pixels(index.clamp(min=0).flatten().tolist()))
        roles = torch.tensor([[THING] * places + [STYLE]], device=self._device).expand(len(things), -1)
        return Batch(
            premultiplied(pixels), references.unflatten(0, index.shape), index >= 0, roles, tuple(texts)
        )  # fmt: skip

    def _pixels(self, which: Sequence[int]) -> Tensor:
        """(B, 4, S, S) straight, in [0, 1]."""
        if self._there is None:
            return straight_pixels(self._sprites, which)
        return self._there[torch.tensor(which, device=self._device)].permute(0, 3, 1, 2).float() / 255

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


def straight_pixels(sprites: SpriteSet, which: Sequence[int]) -> Tensor:
    """Drawings as straight RGBA in [0, 1], (B, 4, S, S)."""
    return torch.from_numpy(sprites.images[np.asarray(which)]).permute(0, 3, 1, 2).float() / 255


def premultiplied(pixels: Tensor) -> Tensor:
    """Straight RGBA in [0, 1] → premultiplied in [-1, 1], (B, 4, S, S)."""
    alpha = pixels[:, 3:]
    return torch.cat([pixels[:, :3] * alpha, alpha], 1) * 2 - 1
