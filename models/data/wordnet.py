"""Words that mean more or less the same as a name: WordNet's nouns (Miller 1995), read from its own files (wndb(5))."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: WordNet's numbers of its files of nouns that one can draw: animals, artefacts, bodies, communication, food, objects,
#: persons, phenomena, plants.
DRAWABLE = frozenset((5, 6, 8, 10, 13, 17, 18, 19, 20))
#: Of those, the ones that a name of an emoji's group can mean (emojibase's numbers); nothing: no words are looked for.
OF_GROUP: Mapping[int, frozenset[int]] = {
    0: frozenset((5, 6, 8, 18)), 1: frozenset((8, 18)), 3: frozenset((5, 17, 19, 20)), 4: frozenset((6, 13, 20)),
    5: frozenset((6, 17, 19)), 6: frozenset((4, 6)), 7: frozenset((6, 10, 13)), 8: frozenset(), -1: DRAWABLE,
}  # fmt: skip
#: How sure it is that a word for one is answered by the other.
SAME, LESS, MORE, STEP = 0.95, 0.9, 0.6, 0.06
#: How far down and up, and most words of one name.
DOWN, UP, MOST = 4, 2, 160
#: Too general to stand for anything.
_VAGUE = """
entity object physical_object whole artifact artefact thing matter substance causal_agent organism being unit
living_thing instrumentality instrumentation device group relation attribute physical_entity person individual
someone somebody mortal soul equipment commodity article ware product creation covering structure construction food
nutrient solid natural_object signal communication symbol sign body_part part way container implement conveyance
transport arrangement consumer_goods material
"""
VAGUE = frozenset(_VAGUE.split())


@dataclass(frozen=True, slots=True)
class Synset:
    """One meaning: its words, its WordNet file, meanings above and below it."""

    words: tuple[str, ...]
    file: int
    above: tuple[str, ...]
    below: tuple[str, ...]


class WordNet:
    """Nouns by word, and meanings by number."""

    def __init__(self, folder: Path) -> None:
        """`folder` of the unpacked package."""
        nouns = folder / "usr/share/wordnet"
        self._senses: dict[str, tuple[str, ...]] = {}
        for line in _lines(nouns / "index.noun"):
            parts = line.split()
            self._senses[parts[0]] = tuple(parts[-int(parts[2]) :])
        self._synsets: dict[str, Synset] = {}
        for line in _lines(nouns / "data.noun"):
            parts = line.partition(" | ")[0].split()
            count = int(parts[3], 16)
            words = tuple(parts[4 : 4 + 2 * count : 2])
            pointers = parts[5 + 2 * count :]
            ways = [(pointers[k], pointers[k + 1]) for k in range(0, len(pointers) - 3, 4)]
            self._synsets[parts[0]] = Synset(
                words, int(parts[1]), tuple(to for way, to in ways if way in {"@", "@i"}),
                tuple(to for way, to in ways if way == "~"),
            )  # fmt: skip

    def meaning(self, name: str, files: Collection[int]) -> str | None:
        """The commonest meaning of a noun among those of some files; several words are looked up as they stand."""
        for sense in self._senses.get(name.lower().replace(" ", "_"), ()):
            if self._synsets[sense].file in files:
                return sense
        return None

    def drawable(self, name: str) -> bool:
        """Whether the last word of a name can be a thing."""
        return self.meaning(name.rpartition(" ")[2], DRAWABLE - {10}) is not None

    def related(self, sense: str) -> dict[str, float]:
        """Other words for a meaning, for more special and more general ones, with how sure each is."""
        found: dict[str, float] = {}
        for each, share in self._around(sense):
            for word in self._synsets[each].words:
                key = word.lower()
                if key in VAGUE or len(key) < 3:
                    continue
                senses = self._senses.get(key, ())
                rank = senses.index(each) if each in senses else len(senses)
                # A word that mostly means something else is a weak hint.
                worth = share * (1.0, 0.75, 0.6, 0.5)[min(rank, 3)]
                plain = key.replace("_", " ")
                if worth > found.get(plain, 0.0) and (rank < 4 or share == SAME):
                    found[plain] = round(worth, 3)
            if len(found) >= MOST:
                break
        return found

    def _around(self, sense: str) -> Iterator[tuple[str, float]]:
        """Meanings near one, the nearest first."""
        yield sense, SAME
        above = list(self._synsets[sense].above)
        for step in range(UP):
            yield from ((each, MORE - 0.1 * step) for each in above)
            above = [to for each in above for to in self._synsets[each].above]
        below = deque((to, 0) for to in self._synsets[sense].below)
        seen = {sense}
        while below:
            each, depth = below.popleft()
            if each in seen or depth >= DOWN:
                continue
            seen.add(each)
            yield each, LESS - STEP * depth
            below.extend((to, depth + 1) for to in self._synsets[each].below)


def related_words(net: WordNet, things: Sequence[tuple[str, int]]) -> list[dict[str, float]]:
    """For each (English caption, emojibase's group): other words for it, each given to the thing it is surest of.

    A caption that WordNet does not know is looked up by its last word, unless another thing has that for its name.
    """
    # What is no emoji and drawn once is found by its own name, and gives way to what is drawn often: hound → dog.
    names = {caption.lower() for caption, group in things if group >= 0}
    every: list[dict[str, float]] = []
    for caption, group in things:
        plain = caption.lower().removesuffix(" face")
        files = OF_GROUP.get(group, frozenset())
        head = plain.rpartition(" ")[2]
        sense, share = net.meaning(plain, files), 1.0
        if sense is None and head not in names and net.meaning(head, files):
            sense, share = net.meaning(head, files), 0.7
        found = net.related(sense) if sense else {}
        every.append({word: round(share * worth, 3) for word, worth in found.items() if word not in names})
    best: dict[str, float] = {}
    for found in every:
        for word, worth in found.items():
            best[word] = max(worth, best.get(word, 0.0))
    return [{word: worth for word, worth in found.items() if worth >= best[word]} for found in every]


def _lines(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8") as lines:
        # The licence stands at the top, indented.
        yield from (line for line in lines if not line.startswith("  "))
