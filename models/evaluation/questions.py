"""The fixed questions of the evaluation: prompts about held-out combinations, each with what must be in the picture."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..data import SYNONYMS, Kind, Scene, Thing
from ..data.describe import Names, Wording, describe
from ..data.heldout import is_heldout
from ..data.sampler import SceneSampler

#: Kinds of scenes whose combinations are held out.
HELD: tuple[Kind, ...] = ("colour", "count", "position", "two")
LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt and the scene that would be a right answer; only what the prompt says counts."""

    text: str
    language: str
    wording: Wording
    #: `single` asks for an object.
    kind: Kind
    scene: Scene


def questions(
    rows: Sequence[Mapping[str, Any]],
    concepts: Mapping[str, Any],
    names: Names,
    looks: Mapping[int, Any],
    *,
    seed: int = 4242,
    per_kind: int = 96,
) -> list[Question]:
    """The same list for the same arguments.

    Every concept is asked for once in each language with seen words, and those with a synonym once more with unseen
    words: the synonym in half of them, otherwise a sentence that training never uses. Of each held-out kind,
    `per_kind` scenes are asked for in both languages, every third also in an unseen sentence. No style, no
    background: the questions ask for one thing at a time.
    """
    draw = random.Random(seed)
    sampler = SceneSampler(rows, concepts, looks=looks)
    asked: list[Question] = []
    drawings = {row["caption_en"]: row["i"] for row in rows}
    for concept in sampler.concepts:
        scene = Scene("single", (Thing(drawings[concept], concept),))
        for language in LANGUAGES:
            asked.append(_question(scene, names, draw, language, "seen"))
            if concept in SYNONYMS:
                asked.append(_question(scene, names, draw, language, "unseen", synonym=draw.random() < 0.5))
    for kind in HELD:
        for number in range(per_kind):
            scene = _held_out(sampler, kind, draw)
            for language in LANGUAGES:
                asked.append(_question(scene, names, draw, language, "seen"))
                if number % 3 == 0:
                    asked.append(_question(scene, names, draw, language, "unseen"))
    return asked


def _held_out(sampler: SceneSampler, kind: Kind, draw: random.Random) -> Scene:
    """A scene that is held out by what will be asked, and visible on white."""
    while True:
        scene = _plain(sampler.draw(draw, kind=kind, heldout_only=True))
        if is_heldout(scene) and scene.things[0].colour != "white":
            return scene


def _plain(scene: Scene) -> Scene:
    """The same things, with nothing else to be said about them."""
    things = tuple(replace(thing, natural=None) for thing in scene.things)
    if scene.kind in ("two", "position"):
        # Two things ask for two things; which colour each has is asked elsewhere.
        things = tuple(replace(thing, colour=None) for thing in things)
    return replace(scene, things=things, style=None, background="white", gradient=None)


def _question(
    scene: Scene, names: Names, draw: random.Random, language: str, wording: Wording, *, synonym: bool = False
) -> Question:
    concept = scene.things[0].concept
    word = SYNONYMS[concept][language == "zh"] if synonym else ""
    text = describe(scene, names, draw, language, "seen" if word else wording, (lambda *_: word) if word else None)
    return Question(text, language, wording, scene.kind, scene)
