"""What an evaluation is asked to do and what it reads: records, and the few things that follow from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data import Scene, SpriteSet
from ..data.compose import render
from ..training.pictures import of_concepts, single_pictures
from .painter import Sampling
from .questions import Question
from .recogniser import SIDE, Recogniser, load
from .suite import Asked, figure
from .sweep import GUIDANCE, STEPS


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and how thoroughly."""

    sampling: Sampling = field(default_factory=Sampling)
    #: Few questions, few pictures, no sweep: minutes on two cores.
    quick: bool = False
    #: Pictures rendered at once.
    batch: int = 16
    #: Pictures of each side of KID.
    pictures: int = 300
    #: Questions of each figure and language at every point of the sweep; 0 for none.
    sweep: int = 6
    sweep_steps: tuple[int, ...] = STEPS
    sweep_guidance: tuple[float, ...] = GUIDANCE

    @staticmethod
    def quickly(sampling: Sampling) -> Plan:
        return Plan(sampling, quick=True, pictures=48, sweep=0)


@dataclass(frozen=True)
class Material:
    """Everything that is read besides the weights."""

    sprites: SpriteSet
    #: The concepts that the model was trained on.
    concepts: Mapping[str, Any]
    recogniser: Recogniser
    #: Content of the recogniser's config.json.
    card: Mapping[str, Any]
    questions: Sequence[Asked]
    #: Where converted features are kept.
    cache: Path
    #: Folders of baselines and of large sprites for the upscaler; without one its figure is null.
    dcgan: Path | None = None
    vae: Path | None = None
    crisp: Path | None = None

    def drawings(self) -> list[int]:
        """Rows of the sprites that the model was trained on."""
        rows = enumerate(self.sprites.rows)
        return [place for place, row in rows if row["caption_en"] in self.concepts and row["tier"] == "A"]

    def compose(self, scenes: Sequence[Scene]) -> list[Tensor]:
        """The real picture of each scene, (3, H, W) in [-1, 1], the shorter side 64; any shapes."""
        pictures: dict[int, Tensor] = {}
        for aspect in sorted({scene.aspect for scene in scenes}):
            places = [place for place, scene in enumerate(scenes) if scene.aspect == aspect]
            for begin in range(0, len(places), 64):
                part = places[begin : begin + 64]
                drawn = render([scenes[place] for place in part], self.sprites.images, SIDE)
                pictures |= dict(zip(part, drawn, strict=True))
        return [pictures[place] for place in range(len(scenes))]

    def single(self, count: int, seed: int = 20_773) -> Tensor:
        """Real pictures of one thing on white, (count, 3, 64, 64): what KID compares with."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return single_pictures(of_concepts(self.sprites, self.concepts), count, SIDE)

    def question_digest(self) -> str:
        """The same for the same prompts, seeds and right answers, so that evaluations can be compared."""
        asked = [
            [one.prompt, one.seed, one.scene.kind, *((thing.concept, thing.colour) for thing in one.scene.things)]
            for one in self.questions
        ]
        return hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode()).hexdigest()[:16]


def open_recogniser(folder: Path) -> tuple[Recogniser, dict[str, Any]]:
    """The recogniser and its card, to which the digest of its weights is added.

    Raises:
        WeightsMissing, WeightsRefused: see `recogniser.load`.
    """
    model = load(folder)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:16]
    card = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return model, {**card, "digest": digest}


def ask(questions: Sequence[Question], first_seed: int = 0) -> list[Asked]:
    """Each question with a seed of its own."""
    return [
        Asked(one.text, one.scene, one.language, one.wording == "seen", first_seed + place)
        for place, one in enumerate(questions)
    ]


def subset(questions: Sequence[Asked], each: int) -> list[Asked]:
    """`each` seen questions of every figure and language, spread over all there are, and the unseen ones to them."""
    grouped: dict[tuple[str, str], list[Asked]] = {}
    for one in questions:
        if one.seen:
            grouped.setdefault((figure(one.scene), one.language), []).append(one)
    unseen = {(one.scene, one.language): one for one in questions if not one.seen}
    taken: list[Asked] = []
    for group in grouped.values():
        # Those that are asked in both wordings first: they count twice.
        both = [one for one in group if (one.scene, one.language) in unseen]
        most = min(each, len(group))
        pool = both if len(both) >= most else group
        chosen = [pool[place * len(pool) // most] for place in range(most)]
        taken += chosen + [unseen[one.scene, one.language] for one in chosen if (one.scene, one.language) in unseen]
    return taken
