"""What the recogniser itself can do, on real composites: the bound within which its verdicts mean anything."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..data import Kind, Scene
from ..errors import DataError
from .composites import Composites
from .intervals import Share
from .judge import right
from .recogniser import Found, Recogniser, read

#: Kinds of scenes and the figure that each one's questions make.
FIGURES: Mapping[Kind, str] = {
    "single": "object",
    "colour": "colour",
    "count": "count",
    "position": "position",
    "two": "two_objects",
}
THRESHOLDS = tuple(round(0.1 + 0.05 * step, 2) for step in range(15))


@dataclass(frozen=True, slots=True)
class Validation:
    """Shares of real pictures that were read rightly, by figure."""

    #: Held-out combinations of drawings that were trained on: what a generator's pictures are nearest to.
    composites: Mapping[str, Share]
    #: The same of drawings that were never seen; empty where none was kept.
    unseen: Mapping[str, Share]

    def text(self) -> str:
        """One line for each."""
        return f"real composites: {_told(self.composites)}\nunseen drawings: {_told(self.unseen)}"

    def card(self) -> dict[str, dict[str, object]]:
        """For JSON: value, interval and number of pictures of each figure."""
        return {"composites": shares_card(self.composites), "unseen_drawings": shares_card(self.unseen)}


def shares_card(shares: Mapping[str, Share]) -> dict[str, object]:
    """Value, 95 % interval and number of pictures of each share."""
    return {
        name: {"value": share.value, "interval": list(share.interval), "pictures": share.total}
        for name, share in shares.items()
    }


def validate(model: Recogniser, trained: Composites, kept: Composites | None, questions: int, seed: int) -> Validation:
    """Ask about real pictures of held-out combinations as the suite asks about generated ones."""
    return Validation(
        ask(model, trained, questions, seed, heldout_only=True),
        ask(model, kept, questions, seed, heldout_only=False) if kept else {},
    )


def ask(
    model: Recogniser, composites: Composites, questions: int, seed: int, *, heldout_only: bool
) -> dict[str, Share]:
    """`questions` composites of each kind of `FIGURES`; kinds that these drawings cannot show are left out.

    Only combinations are held out, never a single thing; where the fixed list holds out none of these concepts,
    training's combinations with other drawings and places have to do.
    """
    shares: dict[str, Share] = {}
    for kind, figure in FIGURES.items():
        scenes: list[Scene] = []
        for held in (True, False) if heldout_only and kind != "single" else (False,):
            with suppress(DataError):
                choose = random.Random(f"{seed}/{kind}")
                scenes = scenes or composites.of_kind(kind, questions, choose, heldout_only=held)
        if not scenes:
            continue
        seen = read_scenes(model, composites, scenes)
        shares[figure] = Share(sum(right(s, f) for s, f in zip(scenes, seen, strict=True)), len(scenes))
    return shares


def read_scenes(model: Recogniser, composites: Composites, scenes: Sequence[Scene]) -> list[list[Found]]:
    """What is seen in the composite of each scene, whatever their shapes."""
    results: list[list[Found]] = [[] for _ in scenes]
    for aspect in sorted({scene.aspect for scene in scenes}):
        places = [place for place, scene in enumerate(scenes) if scene.aspect == aspect]
        for place, things in zip(places, read(model, composites.pictures([scenes[p] for p in places])), strict=True):
            results[place] = things
    return results


def choose_threshold(model: Recogniser, composites: Composites, questions: int, seed: int) -> None:
    """Set the threshold with which most counts are right, on training composites of another seed."""
    scenes = composites.of_kind("count", questions, random.Random(f"{seed}/threshold"), heldout_only=False)
    best = -1.0
    for threshold in THRESHOLDS:
        model.threshold = threshold
        seen = read_scenes(model, composites, scenes)
        hit = sum(len(things) == len(scene.things) for things, scene in zip(seen, scenes, strict=True))
        # Of equal ones the middle would be best; the later of two neighbours is near enough.
        if hit >= best:
            best, chosen = hit, threshold
    model.threshold = chosen


def _told(shares: Mapping[str, Share]) -> str:
    told = [f"{name} {s.value or 0:.2f} ({s.interval[0]:.2f} to {s.interval[1]:.2f})" for name, s in shares.items()]
    return ", ".join(told) or "none kept"
