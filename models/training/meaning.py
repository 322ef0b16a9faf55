"""What a caption says, as numbers that the text encoder is examined on: things, their colours and counts, places, rest.

Two things are told apart by where they are, not by which is named first: thing 1 is the left or upper one, so that
"a red apple left of a blue car" and "a blue car right of a red apple" mean the same and the swap means another. Where
no place is said, either order is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..common import BACKGROUNDS, WORDS
from ..data import Scene, Thing, relation
from ..data.sampler import SIDE_RANGES
from .teacher import WIDTH

#: A target that the loss passes over.
UNSAID = -100
#: Most things of one kind that a caption counts.
MOST = 5
RELATIONS = (None, "left of", "above")
_SIZES = (None, *SIDE_RANGES)
_COLOURS = (None, *WORDS)
_BACKGROUNDS = tuple(BACKGROUNDS)
_GRADIENTS = (None, *_BACKGROUNDS)
SLOTS = ("concept 1", "colour 1", "count 1", "concept 2", "colour 2", "count 2")
HEADS = (*SLOTS, "relation", "background", "gradient", "style", "size")
#: The other thing's heads in the place of this one's.
_SWAPPED = (3, 4, 5, 0, 1, 2, *range(len(SLOTS), len(HEADS)))


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What can be said: the classes of each head."""

    concepts: Mapping[str, int]
    styles: Mapping[str, int]

    def classes(self) -> tuple[int, ...]:
        """Number of classes of each of `HEADS`; the last concept is "no thing"."""
        thing = (len(self.concepts) + 1, len(_COLOURS), MOST + 1)
        return (
            *thing,
            *thing,
            len(RELATIONS),
            len(_BACKGROUNDS),
            len(_GRADIENTS),
            max(1, len(self.styles)),
            len(_SIZES),
        )

    def targets(self, scene: Scene, text: str) -> tuple[list[int], list[int]]:
        """Class of each head, for the two orders of the things that are right (mostly one order, given twice)."""
        first, second, place = _ordered(scene)
        background = (_BACKGROUNDS.index(scene.background), _GRADIENTS.index(scene.gradient))
        # A style that the caption does not name cannot be asked for.
        style = self.styles.get(scene.style or "", UNSAID) if scene.style and scene.style in text else UNSAID
        one, two = self._thing(first), self._thing(second)
        said = [*one, *two, RELATIONS.index(place), *background, style, _SIZES.index(_size(scene))]
        either = second is not None and place is None
        return said, ([said[i] for i in _SWAPPED] if either else said)

    def _thing(self, counted: tuple[Thing, int] | None) -> tuple[int, int, int]:
        if counted is None:
            return len(self.concepts), UNSAID, 0
        thing, count = counted
        # A natural colour may be said or not, and either way the thing looks the same.
        colour = _COLOURS.index(thing.colour) if thing.colour or not thing.natural else UNSAID
        return self.concepts[thing.concept], colour, count


def _ordered(scene: Scene) -> tuple[tuple[Thing, int], tuple[Thing, int] | None, str | None]:
    """The things of a scene with their counts, and how the first lies to the second."""
    counted: dict[tuple[str, str | None], tuple[Thing, int]] = {}
    for thing in scene.things:
        kind = thing.concept, thing.colour
        counted[kind] = thing, counted.get(kind, (thing, 0))[1] + 1
    kinds = list(counted.values())
    place = relation(scene)
    if place is None:
        return kinds[0], (kinds[1] if len(kinds) > 1 else None), None
    one, two = scene.things
    first, second = (one, two) if (one.x < two.x if place[1] == "left of" else one.y < two.y) else (two, one)
    return (first, 1), (second, 1), place[1]


def _size(scene: Scene) -> str | None:
    if scene.kind != "size":
        return None
    return next((name for name, (low, high) in SIDE_RANGES.items() if low <= scene.things[0].scale <= high), None)


class Examiner(nn.Module):
    """Linear heads over the mean of a caption's states: what it says, and where the teacher puts it."""

    def __init__(self, width: int, classes: Sequence[int]) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.heads = nn.Linear(width, sum(classes))
        self.teacher = nn.Linear(width, WIDTH)

    def said(self, pooled: Tensor) -> tuple[Tensor, ...]:
        """(B, width) → logits (B, classes) of each head."""
        return self.heads(pooled).split(self.classes, 1)

    def concepts(self, pooled: Tensor) -> Tensor:
        """(B, width) → logits (B, concepts + 1) of the first thing alone."""
        count = self.classes[0]
        return functional.linear(pooled, self.heads.weight[:count], self.heads.bias[:count])


def caption_loss(logits: Sequence[Tensor], orders: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy summed over the heads, for the better of two orders of the things; and which heads are right.

    Args:
        logits: (B, classes) of each head.
        orders: int64 (2, B, heads).

    Returns:
        The mean over the batch, and bool (B, heads), true also where nothing is said.
    """
    losses = torch.stack(
        [
            sum(
                functional.cross_entropy(each, order[:, i], reduction="none", ignore_index=UNSAID)
                for i, each in enumerate(logits)
            )  # type: ignore[misc]
            for order in orders
        ]
    )
    better = losses.detach().argmin(0)
    chosen = orders[better, torch.arange(orders.shape[1], device=orders.device)]
    right = torch.stack([each.argmax(1) == chosen[:, i] for i, each in enumerate(logits)], 1) | (chosen == UNSAID)
    return losses.gather(0, better[None]).mean(), right


def distil_loss(seen: Tensor, vectors: Tensor) -> Tensor:
    """1 − cosine between our projection and the teacher's vectors, both (B, 512): Reimers & Gurevych, 2004.09813."""
    return 1 - functional.cosine_similarity(seen, vectors, dim=1).mean()


def relation_loss(logits: Tensor, vectors: Tensor, concepts: Tensor, temperature: float) -> Tensor:
    """Cross-entropy to the teacher's own choice of concept: softmax(cos / temperature) over all of them.

    Args:
        logits: (B, concepts + 1) of the first thing.
        vectors: (B, 512) of the texts by the teacher.
        concepts: (concepts, 512) by the teacher, of length 1.
    """
    wanted = (vectors @ concepts.T / temperature).softmax(1)
    return -(wanted * logits[:, : len(concepts)].log_softmax(1)).sum(1).mean()


def contrast_loss(one: Tensor, two: Tensor, same: Tensor, temperature: float = 0.07) -> Tensor:
    """InfoNCE both ways (van den Oord et al., 1807.03748) over translations, the other pairs being wrong.

    Args:
        one, two: (P, width); row i of both means the same.
        same: int64 (P,) concept of each row; rows of one concept do not repel each other.
    """
    centre = torch.cat([one, two]).mean(0).detach()
    alike = functional.normalize(one - centre, dim=1) @ functional.normalize(two - centre, dim=1).T / temperature
    twins = (same[:, None] == same[None]) & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
    alike = alike.masked_fill(twins, float("-inf"))
    right = torch.arange(len(same), device=same.device)
    return (functional.cross_entropy(alike, right) + functional.cross_entropy(alike.T, right)) / 2
