"""Draw scenes: which things, how many, where, on what; balanced over concepts, not over drawings."""

from __future__ import annotations

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, get_args

from ..common import BACKGROUNDS, PLURALS, WORDS
from ..errors import DataError
from .colours import Looks
from .heldout import Heldout, heldout
from .scene import Kind, Scene, Thing

#: How often each kind is drawn.
KINDS: Mapping[Kind, float] = {
    "single": 0.40, "colour": 0.16, "count": 0.14, "position": 0.13, "two": 0.12, "size": 0.05,
}  # fmt: skip
#: Drawings that mirroring would make wrong: letters, numbers and dials.
NEVER_MIRRORED = ("clock", "calendar", "book", "newspaper", "abc", "input", "sign", "letter", "stop", "hundred")
#: Share of the pictures on white, and of the others that get a gradient.
WHITE, GRADIENT = 0.6, 0.15
#: Share of the `count` and `two` scenes whose things share one drawing style.
SAME_STYLE = 0.7
#: Sizes of `size` scenes, side of the sprite ÷ shorter side of the picture.
SIDE_RANGES: Mapping[str, tuple[float, float]] = {"tiny": (0.16, 0.26), "small": (0.34, 0.46), "huge": (0.96, 1.0)}
#: Draws until a scene is (or is not) held out; far more than ever needed where the lists are sound.
MOST_TRIES = 2_000


class SceneSampler:
    """Draws scenes of some drawings."""

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        concepts: Mapping[str, Any],
        held: Heldout | None = None,
        *,
        looks: Mapping[int, Looks] | None = None,
        kinds: Mapping[Kind, float] = KINDS,
        plain: float = 0.0,
    ) -> None:
        """Of `rows`, those of tier A whose `caption_en` is one of `concepts` are drawn.

        Args:
            held: combinations that are never drawn; the shipped ones if left out.
            looks: what may be said and done about each row's colour (`colours.looks`), by row; without it no scene
                is recoloured and no natural colour is said.
            plain: share of the scenes that become one thing, large, on white: what members ask for most.

        Raises:
            DataError: no row is of these concepts.
        """
        self._by_concept: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            if row["caption_en"] in concepts and row["tier"] == "A":
                self._by_concept[row["caption_en"]].append(row)
        self._concepts = sorted(self._by_concept)
        if not self._concepts:
            raise DataError(
                "None of the drawings shows one of the concepts: build the data set anew, or check the list."
            )
        self._held = held or heldout()
        self._looks = looks or {}
        plainly = {
            c: [r for r in rs if r["i"] in self._looks and self._looks[r["i"]].plain]
            for c, rs in self._by_concept.items()
        }
        self._recolourable = {
            concept: found for concept, found in plainly.items() if found and _colourless(concept, concepts[concept])
        }
        self._countable = [concept for concept in self._concepts if concept not in PLURALS]
        self._plain = plain
        wanted = {kind: weight for kind, weight in kinds.items() if self._possible(kind)}
        self._kinds, self._weights = list(wanted), list(wanted.values())

    @property
    def concepts(self) -> Sequence[str]:
        """What it can draw, in order."""
        return self._concepts

    def fingerprint(self) -> str:
        """Changes with whatever changes the scenes that a seed gives."""
        parts = {
            "version": 2,
            "rows": {concept: [row["i"] for row in rows] for concept, rows in self._by_concept.items()},
            "recolourable": {concept: [row["i"] for row in rows] for concept, rows in self._recolourable.items()},
            "kinds": dict(zip(self._kinds, self._weights, strict=True)),
            "plain": self._plain,
            "held": sorted(
                map(str, (*self._held.pairs, *self._held.colours, *self._held.counts, *self._held.relations))
            ),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def draw(
        self, choose: random.Random, *, kind: Kind | None = None, aspect: float = 1.0, heldout_only: bool = False
    ) -> Scene:
        """One scene; never with anything held out, or only such with `heldout_only`.

        Raises:
            DataError: such a scene does not exist for these drawings and concepts.
        """
        for _ in range(MOST_TRIES if kind is None or self._possible(kind) else 0):
            drawn = kind or (
                "single" if choose.random() < self._plain else choose.choices(self._kinds, self._weights)[0]
            )
            scene = self._scene(drawn, aspect, choose)
            if scene is not None and self._held.contains(scene) == heldout_only:
                return scene
        raise DataError(
            f"No scene of kind {kind} {'is held out' if heldout_only else 'can be drawn'} with these drawings."
        )

    def _possible(self, kind: Kind) -> bool:
        if kind == "colour":
            return bool(self._recolourable)
        return len(self._concepts) > 1 if kind in ("position", "two") else kind in get_args(Kind)

    def _scene(self, kind: Kind, aspect: float, choose: random.Random) -> Scene | None:
        background, gradient = self._background(choose)
        if kind in ("single", "size", "colour"):
            if kind == "colour":
                concept = choose.choice(sorted(self._recolourable))
                row = choose.choice(self._recolourable[concept])
            else:
                row = choose.choice(self._by_concept[choose.choice(self._concepts)])
            thing = self._thing(row, choose)
            scale = choose.uniform(0.84, 0.94)
            if kind == "size":
                scale = choose.uniform(*SIDE_RANGES[choose.choice(list(SIDE_RANGES))])
            elif kind == "colour":
                # Its own colour is as good an answer as another one, where it is clear.
                word = choose.choice([word for word in WORDS if word not in (background, gradient)])
                if _other_thing(concept, word, self._by_concept):
                    return None
                thing = replace(thing, colour=word, natural=None)
            room = (max(aspect, 1) - scale, max(1 / aspect, 1) - scale)
            # Large things lie in the middle, small ones anywhere.
            loose = 0.9 if kind == "size" else 0.6
            x = loose * choose.uniform(-1, 1) * max(0.0, room[0]) / max(aspect, 1)
            y = loose * choose.uniform(-1, 1) * max(0.0, room[1]) / max(1 / aspect, 1)
            things: tuple[Thing, ...] = (replace(thing, x=x, y=y, scale=scale),)
        elif kind == "count":
            things = self._several(choose)
            things = _laid_out(things, _rows_for(len(things), aspect, choose), aspect, choose)
        else:
            things = self._two(choose)
            lying = choose.random() < 0.5 if kind == "position" else choose.random() < 0.7
            things = _laid_out(things, (2,) if lying else (1, 1), aspect, choose)
        styles = {self._style(thing) for thing in things}
        style = styles.pop() if len(styles) == 1 else None
        # A thing on a background of its own colour cannot be seen.
        if any(_hidden(thing, {word for word in (background, gradient) if word}) for thing in things):
            shown = {thing.colour or thing.natural for thing in things}
            background, gradient = next(word for word in ("white", "grey", *BACKGROUNDS) if word not in shown), None
        return Scene(kind, things, background, gradient, style, aspect)

    def _background(self, choose: random.Random) -> tuple[str, str | None]:
        if choose.random() < WHITE:
            return "white", None
        background = choose.choice([word for word in BACKGROUNDS if word != "white"])
        if choose.random() < GRADIENT:
            return background, choose.choice([word for word in BACKGROUNDS if word != background])
        return background, None

    def _thing(self, row: Mapping[str, Any], choose: random.Random) -> Thing:
        look = self._looks.get(row["i"])
        mirrored = choose.random() < 0.5 and not any(word in row["caption_en"] for word in NEVER_MIRRORED)
        return Thing(row["i"], row["caption_en"], natural=look.natural if look else None, mirrored=mirrored)

    def _several(self, choose: random.Random) -> tuple[Thing, ...]:
        """Two to five of one kind, as the same drawing or as different ones."""
        concept, count = choose.choice(self._countable or self._concepts), choose.choice((2, 2, 3, 3, 4, 4, 5))
        rows = self._by_concept[concept]
        if choose.random() < SAME_STYLE:
            thing = self._thing(choose.choice(rows), choose)
            return (thing,) * count
        return tuple(self._thing(choose.choice(rows), choose) for _ in range(count))

    def _two(self, choose: random.Random) -> tuple[Thing, ...]:
        rows = [choose.choice(self._by_concept[c]) for c in choose.sample(self._concepts, 2)]
        if choose.random() < SAME_STYLE:
            same = [row for row in self._by_concept[rows[1]["caption_en"]] if row["style"] == rows[0]["style"]]
            rows[1] = choose.choice(same) if same else rows[1]
        things = [self._thing(row, choose) for row in rows]
        if choose.random() < 0.25:
            # One or both recoloured: colours must stay with their things.
            for place, row in enumerate(rows):
                if row in self._recolourable.get(row["caption_en"], ()) and choose.random() < 0.7:
                    word = choose.choice(WORDS)
                    if not _other_thing(things[place].concept, word, self._by_concept):
                        things[place] = replace(things[place], colour=word, natural=None)
        return tuple(things)

    def _style(self, thing: Thing) -> str:
        return next(row["style"] for row in self._by_concept[thing.concept] if row["i"] == thing.sprite)


def _hidden(thing: Thing, behind: Set[str]) -> bool:
    """Whether it could not be seen on these colours."""
    # A drawing that is white by itself has its shading and outlines, and people expect a ghost on white, too.
    return thing.colour in behind or (thing.colour is None and thing.natural in behind - {"white"})


def _colourless(concept: str, names: Any) -> bool:
    """Whether the concept has an English name that tells no colour: nobody asks for a blue `green apple`."""
    further = names[0] if isinstance(names, tuple) else ()
    return any(not set(name.split()) & set(WORDS) for name in (concept, *further))


def _other_thing(concept: str, colour: str, concepts: Mapping[str, Any]) -> bool:
    """Whether the recoloured thing is another concept: a green `red apple` is a `green apple`."""
    first, _, rest = concept.partition(" ")
    return first in WORDS and f"{colour} {rest}" in concepts


def _rows_for(count: int, aspect: float, choose: random.Random) -> tuple[int, ...]:
    """How many things lie in each row from the top."""
    ways: dict[int, list[tuple[int, ...]]] = {
        2: [(2,), (2,), (1, 1)],
        3: [(3,), (2, 1), (1, 2), (1, 2)],
        4: [(2, 2), (2, 2), (2, 2), (1, 3), (3, 1)],
        5: [(3, 2), (2, 3), (2, 1, 2)],
    }
    if aspect > 1.3:
        return choose.choice([way for way in ways[count] if len(way) <= 2] or ways[count])
    if aspect < 0.8:
        return choose.choice([way for way in ways[count] if max(way) <= 2] or ways[count])
    return choose.choice(ways[count])


def _laid_out(things: Sequence[Thing], rows: Sequence[int], aspect: float, choose: random.Random) -> tuple[Thing, ...]:
    """Things in rows, each in its cell with some play; they do not overlap.

    Lengths are in units of the picture's shorter side: the picture is `wide` × `high`.
    """
    wide, high = max(aspect, 1.0), max(1 / aspect, 1.0)
    largest = min(wide / max(rows), high / len(rows), 0.94)
    shared = largest * choose.uniform(0.8, 0.98)
    laid: list[Thing] = []
    left = list(things)
    for row, count in enumerate(rows):
        for column in range(count):
            scale = shared * (choose.uniform(0.85, 1) if len({thing.concept for thing in things}) > 1 else 1)
            across, down = wide / count - scale, high / len(rows) - scale
            # Half of the play, so that neighbours stay apart and relations stay clear.
            middle = ((column + 0.5) * wide / count, (row + 0.5) * high / len(rows))
            play = (0.25 * min(across, scale) * choose.uniform(-1, 1), 0.25 * min(down, scale) * choose.uniform(-1, 1))
            thing = left.pop(0)
            x, y = (2 * (middle[0] + play[0]) / wide - 1, 2 * (middle[1] + play[1]) / high - 1)
            laid.append(replace(thing, x=x, y=y, scale=scale))
    return tuple(laid)
