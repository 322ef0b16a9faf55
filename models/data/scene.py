"""What a picture shows, as a record: the one truth that pixels, captions and the evaluation's questions come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["single", "colour", "count", "position", "two", "size"]


@dataclass(frozen=True, slots=True)
class Thing:
    """One sprite in a scene."""

    #: Row of the sprite set.
    sprite: int
    #: `caption_en` of that row: the concept's key in every list of concepts.
    concept: str
    #: Colour word it was recoloured to, or None where it is as drawn.
    colour: str | None = None
    #: Colour word that it clearly has as drawn, which a caption may say.
    natural: str | None = None
    #: Centre in [-1, 1] of the picture, x to the right, y down.
    x: float = 0.0
    y: float = 0.0
    #: Side of the sprite ÷ shorter side of the picture.
    scale: float = 0.9
    mirrored: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """Things over a background; what a caption may say follows from this alone.

    `kind` says what the scene is about: one thing; one recoloured thing; several of one kind (`count`); two things
    with a relation of place that holds (`position`); two things without one (`two`); a small or big thing (`size`).
    """

    kind: Kind
    things: tuple[Thing, ...]
    #: Word of `scenes.BACKGROUNDS`; white is what captions do not say.
    background: str = "white"
    #: A second background word, for a gradient from `background` (top) to it (bottom).
    gradient: str | None = None
    #: Drawing style that all things share, or None.
    style: str | None = None
    #: Width ÷ height of the picture.
    aspect: float = 1.0


def relation(scene: Scene) -> tuple[str, str, str] | None:
    """(concept, `left of` or `above`, concept) of a `position` scene, whichever of its things was drawn first."""
    if scene.kind != "position":
        return None
    one, two = scene.things
    across = abs(one.x - two.x) * max(scene.aspect, 1)
    down = abs(one.y - two.y) / min(scene.aspect, 1)
    if across > down:
        first, second = (one, two) if one.x < two.x else (two, one)
        return first.concept, "left of", second.concept
    first, second = (one, two) if one.y < two.y else (two, one)
    return first.concept, "above", second.concept


def scene_from_json(row: Mapping[str, Any]) -> Scene:
    """The inverse of `dataclasses.asdict`."""
    return Scene(**{**row, "things": tuple(Thing(**thing) for thing in row["things"])})
