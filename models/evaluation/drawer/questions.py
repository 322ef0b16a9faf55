"""The fixed questions about the drawer: which thing in which style, asked for how, with which drawings to draw from.

Everything is chosen by hashes of names: the same drawer and count give the same questions, whatever is asked besides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from ...data import ENGLISH, SYNONYMS, Drawer, DrawerThing
from ...data.colours import WORDS, Looks
from ...drawer.network import MOST

T = TypeVar("T")
Kind = Literal["trained", "cell", "thing", "seen", "wording", "synonym", "english", "language", "colour"]
#: Languages beside English: Chinese and nine others.
LANGUAGES = ("zh", "ja", "ko", "fr", "de", "es", "pt", "ru", "ar", "hi")
#: Drawings that a thing needs to be asked for: one to ask for and references.
FEWEST = 4


@dataclass(frozen=True, slots=True)
class Question:
    """One picture to be drawn, and what would be right."""

    kind: Kind
    thing: DrawerThing
    text: str
    #: The style's word, and the drawing that would be the answer.
    style: str
    target: int
    #: Drawings of the thing to draw from, in the order of their choice; one of another thing in the style, or -1.
    references: tuple[int, ...]
    shown_style: int
    seed: int
    language: str = "en"
    colour: str | None = None

    def bare(self) -> Question:
        """The same without drawings to draw from."""
        return replace(self, references=(), shown_style=-1)

    def order(self) -> tuple[str, tuple[int, ...], int, int]:
        """What decides the picture."""
        return self.text, self.references, self.shown_style, self.seed


class Questions:
    """Chooses what is asked of one drawer."""

    def __init__(self, drawer: Drawer, known: Iterable[str]) -> None:
        """`known`: keys of the things that the recogniser tells apart."""
        self._drawer = drawer
        known = frozenset(known)
        self._asked = [t for t in drawer.things if t.emoji and t.key in known and len(t.drawings) >= FEWEST]
        self._by_style: dict[str, list[tuple[str, int]]] = {}
        for thing in drawer.trained():
            for i in drawer.targets(thing):
                self._by_style.setdefault(drawer.styles[i], []).append((thing.key, i))

    def trained(self, count: int) -> list[Question]:
        """Trained things in styles that they were trained in."""
        chosen = self._first("trained", count, self._seen())
        return [self._of(thing, "trained", self._target(thing)) for thing in chosen]

    def cells(self, count: int) -> list[Question]:
        """Trained things in styles that were held out for them."""
        # One of several drawings in one style: they would all ask the same.
        pairs = [(thing, i) for thing in self._seen() for i in thing.drawings if i in self._drawer.cells]
        cells = {f"{thing.key}/{self._drawer.styles[i]}": (thing, i) for thing, i in pairs}
        chosen = [cells[name] for name in _by_hash("cell", cells, str)[:count]]
        return [self._of(thing, "cell", target) for thing, target in chosen]

    def things(self, count: int) -> list[Question]:
        """Things that were never trained: there are only the drawings to draw from."""
        unseen = [thing for thing in self._asked if thing.key in self._drawer.heldout]
        return [self._of(thing, "thing", self._target(thing)) for thing in self._first("thing", count, unseen)]

    def wordings(self, count: int) -> tuple[list[Question], list[Question]]:
        """Trained things in the words of training, and the same pictures in sentences that no training uses."""
        chosen = self._first("wording", count, self._seen())
        plain = [self._of(thing, "seen", self._target(thing), text=thing.caption) for thing in chosen]
        frames = ENGLISH["single"].unseen
        return plain, [
            replace(ask, kind="wording", text=frames[at % len(frames)].format(thing=_article(ask.thing.caption)))
            for at, ask in enumerate(plain)
        ]

    def synonyms(self, count: int) -> list[Question]:
        """Trained things by words that no training caption uses: "hound"."""
        named = [thing for thing in self._seen() if SYNONYMS.get(thing.caption, ("", ""))[0]]
        return [
            self._of(thing, "synonym", self._target(thing), text=SYNONYMS[thing.caption][0])
            for thing in self._first("synonym", count, named)
        ]

    def languages(self, count: int) -> tuple[list[Question], dict[str, list[Question]]]:
        """Trained things in English, and the same pictures by their names in each other language."""
        named = [t for t in self._seen() if all(t.names.get(language) for language in LANGUAGES)]
        chosen = self._first("language", count, named)
        plain = [self._of(thing, "english", self._target(thing), text=thing.caption) for thing in chosen]
        return plain, {
            language: [
                replace(ask, kind="language", language=language, text=ask.thing.names[language]) for ask in plain
            ]
            for language in LANGUAGES
        }

    def colours(self, count: int, looks: Mapping[int, Looks]) -> list[Question]:
        """Trained things of one body, each in a colour that it does not have as drawn; all colours in turn."""
        asks: list[Question] = []
        for thing in self._first("colour", len(self._asked), self._seen()):
            if len(asks) == count:
                break
            # Measuring looks takes longest: last, and only as far as it must be.
            if _coloured(thing.caption) or not all(looks[i].plain for i in thing.drawings):
                continue
            at, target = len(asks), self._target(thing)
            colour = next(word for word in (*WORDS[at % len(WORDS) :], *WORDS) if word != looks[target].natural)
            asks.append(
                replace(self._of(thing, "colour", target, text=f"{colour} {thing.caption}"), colour=colour)
            )  # fmt: skip
        return asks

    def swapped(self, count: int) -> list[tuple[Question, Question]]:
        """The same words and noise with two sets of references that have no drawing in common."""
        pairs: list[tuple[Question, Question]] = []
        many = [thing for thing in self._seen() if len(thing.drawings) >= 2 * MOST]
        for thing in self._first("swap", len(many), many):
            ask = self._of(thing, "trained", self._target(thing))
            every = self._references(thing, ask.target)
            if len(every) >= 2 * MOST and len(pairs) < count:
                one, two = every[:MOST], every[MOST : 2 * MOST]
                pairs.append((replace(ask, references=one), replace(ask, references=two)))
        return pairs

    def _seen(self) -> list[DrawerThing]:
        return [thing for thing in self._asked if thing.key not in self._drawer.heldout]

    def _first(self, name: str, count: int, things: Sequence[DrawerThing]) -> list[DrawerThing]:
        return _by_hash(name, things, lambda thing: thing.key)[:count]

    def _target(self, thing: DrawerThing) -> int:
        """A drawing that a training may ask for; any of a held-out thing."""
        allowed = [i for i in thing.drawings if i not in self._drawer.cells] or list(thing.drawings)
        return _by_hash("target", allowed, lambda i: f"{thing.key}/{self._drawer.styles[i]}/{i}")[0]

    def _references(self, thing: DrawerThing, target: int) -> tuple[int, ...]:
        others = self._drawer.references(thing, target, heldout=False)
        return tuple(_by_hash("reference", others, lambda i: f"{thing.key}/{self._drawer.styles[i]}/{i}"))

    def _of(self, thing: DrawerThing, kind: Kind, target: int, text: str | None = None) -> Question:
        style = self._drawer.styles[target]
        shown = [i for key, i in self._by_style.get(style, []) if key != thing.key]
        return Question(
            kind, thing, f"{thing.caption if text is None else text}, {style} style", style, target,
            self._references(thing, target)[:MOST],
            shown[_number(f"style/{thing.key}/{style}") % len(shown)] if shown else -1,
            _number(f"seed/{kind}/{thing.key}") % 2**31,
        )  # fmt: skip


def _by_hash(name: str, things: Iterable[T], key: Callable[[T], str]) -> list[T]:
    return sorted(things, key=lambda thing: _number(f"{name}/{key(thing)}"))


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _article(caption: str) -> str:
    return f"{'an' if caption[:1].lower() in 'aeiou' else 'a'} {caption}"


def _coloured(caption: str) -> bool:
    return not set(WORDS).isdisjoint(caption.lower().split())
