"""Does a picture show what was asked for? Pure decisions over what the recogniser found (after GenEval, 2310.11513)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from ..data import Scene, relation
from .recogniser import Found

#: A relation of place holds if the centres differ by more than this along its axis, in [-1, 1] of the picture.
CLEARLY = 0.1
#: Concepts that are one thing once a colour is asked for: a red apple that was made green is a green apple.
ONE_BUT_FOR_COLOUR: Mapping[str, str] = {"green apple": "red apple"}


def right(scene: Scene, seen: Sequence[Found]) -> bool:
    """Whether a picture in which `seen` was found (surest first) is right for the question that `scene` stands for.

    single, size   the surest thing is the concept
    colour         the surest thing is the concept, in the colour
    count          exactly so many things are there, and most of them are the concept
    position       both concepts are there, and their relation holds
    two            both concepts are there
    """
    asked = scene.things
    if not seen:
        return False
    if scene.kind == "count":
        (named, _), *_ = Counter(thing.concept for thing in seen).most_common(1)
        return len(seen) == len(asked) and named == asked[0].concept
    if scene.kind == "two":
        return _pair(seen, asked[0].concept, asked[1].concept, lambda one, two: True)
    if (placed := relation(scene)) is not None:
        first, word, second = placed
        return _pair(seen, first, second, _left_of if word == "left of" else _above)
    if asked[0].colour is None:
        return seen[0].concept == asked[0].concept
    thing = ONE_BUT_FOR_COLOUR.get(asked[0].concept, asked[0].concept)
    return ONE_BUT_FOR_COLOUR.get(seen[0].concept, seen[0].concept) == thing and seen[0].colour == asked[0].colour


def _pair(seen: Sequence[Found], first: str, second: str, holds: Callable[[Found, Found], bool]) -> bool:
    """Whether two different things are these concepts, in a way that holds."""
    return any(
        one is not two and (one.concept, two.concept) == (first, second) and holds(one, two)
        for one in seen
        for two in seen
    )


def _left_of(one: Found, two: Found) -> bool:
    return two.x - one.x > CLEARLY


def _above(one: Found, two: Found) -> bool:
    return two.y - one.y > CLEARLY
