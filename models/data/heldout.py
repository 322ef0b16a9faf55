"""Combinations that no training scene shows, so that the evaluation asks for something never seen.

`heldout.json` is fixed: weights of different days are compared on the same questions. It was written by
`python -m daguerre.models.data.heldout`, which any change of the list of concepts calls for again.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..common import WORDS
from .scene import Scene, relation

FILE = Path(__file__).with_name("heldout.json")
#: Share of the colours and counts of each concept, of all pairs, and of the relations of the other pairs.
COLOURS, COUNTS, PAIRS, RELATIONS = 0.10, 0.08, 0.07, 0.05


@dataclass(frozen=True, slots=True)
class Heldout:
    """The combinations."""

    #: (colour word, concept).
    colours: frozenset[tuple[str, str]]
    #: (how many, concept).
    counts: frozenset[tuple[int, str]]
    #: Two concepts in one picture, in order of their names.
    pairs: frozenset[tuple[str, str]]
    #: (concept, `left of` or `above`, concept).
    relations: frozenset[tuple[str, str, str]]

    def contains(self, scene: Scene) -> bool:
        """Whether anything that the scene shows is held out."""
        # A drawing that is red by itself shows a red thing as well.
        if any((thing.colour or thing.natural, thing.concept) in self.colours for thing in scene.things):
            return True
        concepts = sorted({thing.concept for thing in scene.things})
        if len(concepts) == 1:
            return (len(scene.things), concepts[0]) in self.counts
        return (concepts[0], concepts[1]) in self.pairs or relation(scene) in self.relations


@cache
def heldout() -> Heldout:
    """The shipped combinations."""
    content = json.loads(FILE.read_text(encoding="utf-8"))
    return Heldout(
        colours=frozenset((colour, concept) for colour, concept in content["colours"]),
        counts=frozenset((count, concept) for count, concept in content["counts"]),
        pairs=frozenset((one, two) for one, two in content["pairs"]),
        relations=frozenset((one, word, two) for one, word, two in content["relations"]),
    )


def is_heldout(scene: Scene) -> bool:
    """Whether the shipped file holds out anything that the scene shows."""
    return heldout().contains(scene)


def choose(
    concepts: Sequence[str], seed: int = 2026, natural: Collection[tuple[str, str]] = ()
) -> dict[str, list[list[str | int]]]:
    """Draw the combinations; every concept and every colour stays in training with most of its combinations.

    Args:
        natural: (colour word, concept) that some drawing has by itself: these cannot be held out.
    """
    draw = random.Random(seed)
    ordered = sorted(concepts)
    colours = [[c, o] for o in ordered for c in WORDS if draw.random() < COLOURS and (c, o) not in natural]
    # One thing alone is never held out.
    counts: list[list[str | int]] = [[n, o] for o in ordered for n in range(2, 6) if draw.random() < COUNTS]
    every = [(a, b) for i, a in enumerate(ordered) for b in ordered[i + 1 :]]
    pairs = [[a, b] for a, b in every if draw.random() < PAIRS]
    kept = {(a, b) for a, b in pairs}
    relations = [
        [*ends, word]
        for a, b in every
        if (a, b) not in kept
        for ends in ((a, b), (b, a))
        for word in ("left of", "above")
        if draw.random() < RELATIONS
    ]
    # In the order in which it is said.
    said = [[one, word, two] for one, two, word in relations]
    return {"colours": [*colours], "counts": counts, "pairs": [*pairs], "relations": [*said]}


def natural_colours(folder: Path, concepts: Collection[str]) -> set[tuple[str, str]]:
    """(colour word, concept) of every drawing of a built data set that clearly has a colour by itself.

    Raises:
        DataMissing: the data set was not built.
    """
    # Only the program that writes the file needs the pictures.
    from .colours import looks_of
    from .store import load

    sprites = load(folder)
    rows = [row for row in sprites.rows if row["caption_en"] in concepts and row["tier"] == "A"]
    seen = looks_of(sprites.images, [row["i"] for row in rows], 128)
    return {(look.natural, row["caption_en"]) for row in rows if (look := seen[row["i"]]).natural}


if __name__ == "__main__":
    import sys

    from .firstlight import CONCEPTS

    # The folder of the built data set, where it is not in its usual place.
    data = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/data/sprites64")
    parts = choose(list(CONCEPTS), natural=natural_colours(data, CONCEPTS))
    lines = [
        f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]" for name, rows in parts.items()
    ]
    FILE.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")
