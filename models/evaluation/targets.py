"""What the recogniser should say of a scene: centres, concepts, boxes and colours on its grid of cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..common import WORDS
from ..data import Scene
from .recogniser import STRIDE, Maps

#: Standard deviation of a centre's bump ÷ side of the thing, and at least so many cells.
SPREAD, NARROWEST = 0.14, 0.6
#: A cell speaks for the thing whose bump is this high there.
NEAR = 0.3


@dataclass(frozen=True, slots=True)
class Targets:
    """One truth for each of `Maps`; (B, h, w) unless said otherwise."""

    #: 1 at the centre's cell, falling off as a Gaussian (1904.07850, sec. 3).
    heat: Tensor
    #: How much a cell's concept, box and colour count; 0 away from things.
    weight: Tensor
    concept: Tensor
    #: (B, 3, h, w) as in `Maps.box`.
    box: Tensor
    #: Place in `WORDS`, or their number where the thing is as drawn.
    colour: Tensor


def targets(scenes: Sequence[Scene], places: Mapping[str, int], height: int, width: int) -> Targets:
    """Of pictures of `height` × `width` pixels; `places` gives each concept its class."""
    high, wide = height // STRIDE, width // STRIDE
    most = max(len(scene.things) for scene in scenes)
    # Things as a table (B, T, 5): x and y in cells, side in cells, concept, colour; a side of 0 marks padding.
    table = torch.zeros(len(scenes), most, 5)
    shorter = min(height, width) / STRIDE
    for row, scene in enumerate(scenes):
        for column, thing in enumerate(scene.things):
            colour = WORDS.index(thing.colour) if thing.colour else len(WORDS)
            x, y = (thing.x + 1) / 2 * wide, (thing.y + 1) / 2 * high
            table[row, column] = torch.tensor([x, y, thing.scale * shorter, places[thing.concept], colour])
    x, y, side, concept, colour = table[..., None, None].unbind(2)
    across, down = torch.arange(wide) + 0.5, torch.arange(high)[:, None] + 0.5
    # Bumps stand on cells: measured from the middle of the centre's cell, so that one cell is exactly 1.
    middle_x = x.floor().clamp(0, wide - 1) + 0.5
    middle_y = y.floor().clamp(0, high - 1) + 0.5
    spread = (SPREAD * side).clamp(min=NARROWEST)
    bumps = torch.exp(-((across - middle_x) ** 2 + (down - middle_y) ** 2) / (2 * spread**2)) * (side > 0)
    heat, owner = bumps.max(1)

    def owned(values: Tensor) -> Tensor:
        return values.expand(-1, -1, high, wide).gather(1, owner[:, None])[:, 0]

    weight = torch.where(heat >= NEAR, heat, 0.0)
    box = torch.stack([owned(x) - across, owned(y) - down, owned(side).clamp(min=0.1).log()], 1)
    return Targets(heat, weight, owned(concept).long(), box, owned(colour).long())


def detection_loss(maps: Maps, truth: Targets) -> dict[str, Tensor]:
    """The parts of the loss by name; their sum is what is trained.

    `centre` is the penalty-reduced focal loss of 1904.07850 eq. 1 (α = 2, β = 4), per thing; the others are weighted
    means over the cells near things.
    """
    logit, heat = maps.centre[:, 0], truth.heat
    sure = logit.sigmoid()
    centres = heat == 1
    hit = functional.logsigmoid(logit) * (1 - sure) ** 2
    miss = functional.logsigmoid(-logit) * sure**2 * (1 - heat) ** 4
    centre = -torch.where(centres, hit, miss).sum() / centres.sum().clamp(min=1)

    total = truth.weight.sum().clamp(min=1e-6)
    named = functional.cross_entropy(maps.concepts, truth.concept, reduction="none", label_smoothing=0.05)
    coloured = functional.cross_entropy(maps.colours, truth.colour, reduction="none")
    box = functional.smooth_l1_loss(maps.box, truth.box, reduction="none", beta=0.5).sum(1)
    return {
        "centre": centre,
        "concept": (named * truth.weight).sum() / total,
        "box": 0.5 * (box * truth.weight).sum() / total,
        "colour": 0.3 * (coloured * truth.weight).sum() / total,
    }
