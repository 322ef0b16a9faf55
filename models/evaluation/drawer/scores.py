"""What the judge says of pictures that were asked for: which thing, which style, and by its pixels which colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...data import Drawer, sibling_group
from ...data.colours import dominant
from ..intervals import Share
from .questions import Question
from .recogniser import ThingRecogniser, recognise


@dataclass(frozen=True, slots=True)
class Verdict:
    """One picture, judged."""

    ask: Question
    #: Captions of the five likeliest things, likeliest first.
    read: tuple[str, ...]
    top1: bool
    top5: bool
    #: The likeliest thing is at least one that only a word about people, an hour or a phase tells apart.
    sibling: bool
    style: str
    styled: bool
    #: Word for the colour of the pixels inside its alpha.
    colour: str


class Judge:
    """A recogniser, and what its classes are called."""

    def __init__(self, model: ThingRecogniser, drawer: Drawer) -> None:
        captions = {thing.key: thing.caption for thing in drawer.things}
        self.model = model
        self._captions = tuple(captions.get(key, key) for key in model.things)
        self._groups = tuple(map(sibling_group, self._captions))
        self._places = {key: place for place, key in enumerate(model.things)}

    def __call__(self, asks: Sequence[Question], pictures: Tensor) -> list[Verdict]:
        """Judge pictures (B, 4, S, S) in [-1, 1], premultiplied; or opaque (B, 3, S, S)."""
        if not len(asks):
            return []
        things, styles = recognise(self.model, pictures)
        best = things.topk(min(5, things.shape[1]), 1).indices.tolist()
        words = [self.model.styles[place] for place in styles.argmax(1).tolist()]
        colours = dominant(straight(pictures))
        verdicts: list[Verdict] = []
        for ask, top, style, colour in zip(asks, best, words, colours, strict=True):
            place = self._places[ask.thing.key]
            verdicts.append(
                Verdict(
                    ask, tuple(self._captions[each] for each in top), top[0] == place, place in top,
                    self._groups[top[0]] == self._groups[place], style, style == ask.style, colour,
                )
            )  # fmt: skip
        return verdicts


def shares(verdicts: Sequence[Verdict]) -> dict[str, Share]:
    """How many were right; `colour` only where one was asked for."""
    found = {
        "top1": _share([each.top1 for each in verdicts]),
        "top5": _share([each.top5 for each in verdicts]),
        "siblings_top1": _share([each.sibling for each in verdicts]),
        "style": _share([each.styled for each in verdicts]),
    }
    coloured = [each.colour == each.ask.colour for each in verdicts if each.ask.colour]
    return found | ({"colour": _share(coloured)} if coloured else {})


def told(found: Mapping[str, Share]) -> str:
    """One line for people."""
    parts = [
        f"{name} {share.value or 0:.3f} ({share.interval[0]:.2f} to {share.interval[1]:.2f})"
        for name, share in found.items()
    ]
    return ", ".join(parts)


def straight(pictures: Tensor) -> Tensor:
    """Premultiplied (B, 4, S, S) in [-1, 1], or opaque (B, 3, S, S) → (B, S, S, 4) uint8, straight alpha."""
    pixels = (pictures.float().cpu().clamp(-1, 1) + 1) / 2
    if pixels.shape[1] == 3:
        pixels = torch.cat([pixels, torch.ones_like(pixels[:, :1])], 1)
    alpha = pixels[:, 3:]
    colour = torch.where(alpha > 1 / 255, pixels[:, :3] / alpha.clamp(min=1 / 255), 0.0).clamp(0, 1)
    return (torch.cat([colour, alpha], 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous()


def _share(right: Sequence[bool]) -> Share:
    return Share(sum(right), len(right))
