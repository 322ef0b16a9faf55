"""Real pictures to learn from and to compare with: scenes of drawings, composed as the training data is."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from ..data import Kind, Scene, SpriteSet
from ..data.colours import looks_of
from ..data.compose import render
from ..data.sampler import SceneSampler
from .recogniser import SIDE

#: How often the recogniser is shown each kind. It learns single things soon; that a pink cat is a cat, and what small
#: things are, takes it long.
KINDS: Mapping[Kind, float] = {
    "single": 0.15, "colour": 0.35, "count": 0.12, "position": 0.16, "two": 0.17, "size": 0.05,
}  # fmt: skip


class Composites:
    """Scenes of some of the drawings of a set, and their pictures."""

    def __init__(
        self,
        sprites: SpriteSet,
        rows: Sequence[Mapping[str, Any]],
        concepts: Mapping[str, Any],
        aspects: Sequence[float] = (1.0,),
    ) -> None:
        self._images = sprites.images
        self._sampler = SceneSampler(
            rows, concepts, looks=looks_of(sprites.images, [row["i"] for row in rows], 128), kinds=KINDS
        )
        self._aspects = tuple(aspects)

    def draw(self, count: int, choose: random.Random) -> list[Scene]:
        """Scenes of any kind without anything held out, all of one shape."""
        aspect = choose.choice(self._aspects)
        return [self._sampler.draw(choose, aspect=aspect) for _ in range(count)]

    def of_kind(self, kind: Kind, count: int, choose: random.Random, *, heldout_only: bool) -> list[Scene]:
        """Scenes of one kind, of all shapes in turn; with `heldout_only` of held-out combinations alone."""
        return [
            self._sampler.draw(
                choose, kind=kind, aspect=self._aspects[i % len(self._aspects)], heldout_only=heldout_only
            )
            for i in range(count)
        ]

    def pictures(self, scenes: Sequence[Scene]) -> Tensor:
        """(B, 3, H, W) in [-1, 1], the shorter side `SIDE`; all scenes of one shape."""
        return render(scenes, self._images, SIDE)
