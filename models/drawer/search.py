"""Search by meaning: which thing of a bank a prompt asks for, in which colour and style, and what else it says.

Names, characters and keywords in 21 languages, plurals, other words of WordNet and small slips of the pen are looked
up; what none of them knows is compared with the names by the vectors of the weights' text encoder. Each find has a
score in (0, 1]; below `SURE` the thing is only named as the nearest. Pure; vectors come from the caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

from .bank import Bank, BankThing
from .colour_words import UNSPACED, colour_of
from .spelling import pieces_of, plain, plurals, singulars

#: Score from which a find counts.
SURE = 0.5
#: Scores of the ways in which a word is found; WordNet's words bring their own, times `RELATED`.
NAME, PLURAL, KEYWORD, RELATED, SLIP = 1.0, 0.98, 0.85, 0.9, 0.8
#: Of names of things that are no emoji, by their number of drawings.
SELDOM = (0.7, 0.85, 0.97)
#: Likeness of two spellings (0 to 100) and fewest letters that a slip of the pen is looked for among.
ALIKE, FEWEST = 86, 5
#: Cosine of vectors from which their find counts, calibrated by `benchmarks/search.py`, and that of a certain one.
NEAR, CERTAIN = 0.85, 0.98
#: Most words of a name, and most characters in scripts without spaces.
WORDS, CHARACTERS = 9, 14
_UNSPACED = re.compile("[\u0e00-\u0e7f\u2e80-\u303e\u3041-\u9fff]")
_HANGUL = re.compile("[\uac00-\ud7af]")
#: Characters between the words of Chinese and Japanese that are no things: particles, numbers, measures, asking.
_BETWEEN = (
    "的一个個两兩三四五只隻张張幅朵辆輛片颗顆条條匹座把杯の、，。はがをに"
    "と在上下里有是和与與请請画畫出我要想可爱愛戴着小大"
)
_LATER = """
with in on at by over under near wearing riding holding fighting eating playing breathing between behind inside from
without for and or und et y e avec sur dans de du des di del mit auf con sobre en su com em met op na на с
"""
#: After one of these it is said what else is there: what stands before is asked for first, and what that costs.
_AFTER = frozenset(_LATER.split())
LATER = 0.3
#: What each word counts that stands before a thing's.
HEAD = 0.02
#: Words that name nothing, in the languages that have the most of them; an article must not be found as a keyword.
_SILENT = """
a an and are as at auf avec background be beautiful between big bild bir bitte by cartoon com con cute cái của dan
das de dem den der des di die draw drawing du e een eight ein eine einem einen einer eines el em emoji en et five
for four from gli has have her het his i icon il ile illustration im image in into is it its jeden jedna la large
las le les like little lo logo los me met mit my một na nice nine no not o of off on one op or os our out over
photo picture please sebuah seekor seven six small some sticker style su sur ten that the their this three to trên
two um uma un una und under une uno up ve very và w was with without y yang your z в и из на с
"""
SILENT = frozenset(_SILENT.split())
#: A style's word says a style by itself, or only where `style` is said of it.
_ALONE = frozenset(("pixel art", "clip art", "3d", "twemoji", "noto", "emojione", "fluent", "flat icon", "weather icon",
                    "fluent icon", "ultimate icon"))  # fmt: skip
Vectors = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Found:
    """What a prompt asks for."""

    #: None where nothing was found, not even something near.
    thing: BankThing | None
    score: float
    #: name, keyword, related, slip, meaning or nothing.
    how: str
    #: The words of the prompt that it was found by.
    said: str = ""
    #: A word of `colours.WORDS`, or nothing.
    colour: str = ""
    style: str = ""
    #: Words that nothing was made of, in order.
    rest: tuple[str, ...] = ()

    @property
    def sure(self) -> bool:
        """Whether the thing is drawn from its drawings."""
        return self.thing is not None and self.score >= SURE


@dataclass(frozen=True, slots=True)
class _Hit:
    thing: int
    score: float
    how: str


class Search:
    """The words of one or more banks; of two things that are called alike the earlier bank's is found."""

    def __init__(self, banks: Sequence[Bank], vectors: Vectors | None = None) -> None:
        """`vectors`: (N texts) → (N, width), of the encoder that the first bank's vectors are of; None: not used."""
        self.things = tuple(thing for bank in banks for thing in bank.things)
        self.styles = tuple(dict.fromkeys(style for bank in banks for style in bank.of_style if style))
        self._words: dict[str, _Hit] = {}
        self._encode = vectors
        own = sum(len(bank.things) for bank in banks[:-1]) if len(banks) > 1 else 0
        # Popular things first: where two have a word, the one that is drawn more often is meant.
        order = sorted(
            range(len(self.things)), key=lambda k: (-len(self.things[k].drawings), len(self.things[k].caption), k)
        )
        if len(banks) > 1:
            order = [k for k in order if k < own] + [k for k in order if k >= own]
        for k in order:
            self._names(k)
        self._keywords(order)
        for k in order:
            for word, share in self.things[k].related.items():
                if share < 0.8 and not self.things[k].emoji:
                    continue  # a more general word for what hardly anybody draws
                self._add(word, _Hit(k, RELATED * share, "related"))
        self._longest = max((len(word) for word in self._words if _UNSPACED.search(word)), default=0)
        self._plain = [word for word, hit in self._words.items() if len(word) >= FEWEST and hit.how == "name"]
        self._by_letter: dict[str, list[str]] = {}
        for word in self._plain:
            self._by_letter.setdefault(word[0], []).append(word)
        shipped = next((bank for bank in banks if len(bank.vectors)), None)
        offset = sum(len(bank.things) for bank in banks[: banks.index(shipped)]) if shipped else 0
        self._near = [(thing + offset, text) for thing, text in shipped.vector_names] if shipped else []
        self._centre = shipped.vectors.mean(0) if shipped is not None else np.zeros(0, np.float32)
        self._vectors = _unit(shipped.vectors - self._centre) if shipped is not None else np.zeros((0, 0), np.float32)

    # What is known

    def _add(self, word: str, hit: _Hit) -> None:
        key = " ".join(pieces_of(word))
        if not key or key in SILENT or (len(key) < 2 and key.isascii()):
            return
        there = self._words.get(key)
        if there is None or hit.score > there.score:
            self._words[key] = hit

    def _names(self, k: int) -> None:
        thing = self.things[k]
        # What is no emoji and drawn once or twice gives way to an emoji that the word means as well.
        worth = NAME if thing.emoji else SELDOM[min(len(thing.drawings), len(SELDOM)) - 1]
        if thing.emoji:
            self._add(thing.emoji, _Hit(k, NAME, "name"))
        self._add(thing.caption, _Hit(k, worth, "name"))
        # Words of several languages: the English one first, which captions are in.
        for name in thing.names.values():
            self._add(name, _Hit(k, worth - 0.01, "name"))
        for form in plurals(plain(thing.caption)):
            self._add(form, _Hit(k, worth * PLURAL, "name"))
        # `cat face` is what nobody writes; a cat is found first where there is one.
        for ending in (" face", " animal"):
            if thing.caption.endswith(ending):
                self._add(thing.caption.removesuffix(ending), _Hit(k, 0.96, "name"))

    def _keywords(self, order: Sequence[int]) -> None:
        """A keyword is the surer the fewer things have it, the earlier it stands and the more of the name it is."""
        shared: dict[str, int] = {}
        for thing in self.things:
            for word in {word for each in _keywords(thing) for word in each[1]}:
                shared[word] = shared.get(word, 0) + 1
        for k in order:
            thing = self.things[k]
            for name, words in _keywords(thing):
                for place, word in enumerate(words):
                    # Whole last words of a name count most: `apple` of `red apple`.
                    part = 0.12 if name.endswith(f" {word}") else 0.08 if word in name.split() else 0.0
                    worth = KEYWORD / shared[word] ** 0.22 - 0.01 * min(place, 8) + part
                    worth += 0.004 * min(len(thing.drawings), 5) - (0.0 if thing.emoji else 0.1)
                    if len(word) == 1:
                        continue  # `的`
                    self._add(word, _Hit(k, min(max(worth, 0.2), 0.95), "keyword"))

    # What is asked

    def find(self, prompt: str, style: str = "") -> Found:
        """Read one prompt about one thing; `style` that is asked for beside it."""
        text, said_style = self._style(prompt)
        # As options and file names write it: pixel-art.
        style = style.replace("-", " ").replace("_", " ")
        style = style if style in self.styles else said_style
        pieces = pieces_of(text)
        best, taken = self._looked_up(pieces)
        colour, rest = self._colour(pieces, taken)
        if best is None:
            best, taken = self._slip(rest)
            if best is not None:
                rest = [word for word in rest if word not in taken]
        if best is None and rest:
            best = self._meaning(" ".join(rest))
            taken = {" ".join(rest)}
            if best is not None and best.score >= SURE:
                rest = []
        if best is None:
            return Found(None, 0.0, "nothing", "", colour, style, tuple(rest))
        thing = self.things[best.thing]
        said = " ".join(sorted(taken, key=text.lower().find)) if isinstance(taken, set) else taken
        return Found(thing, round(best.score, 3), best.how, said, colour, style, tuple(rest))

    def _style(self, prompt: str) -> tuple[str, str]:
        """The prompt without the style that it asks for, and the style."""
        for style in sorted(self.styles, key=len, reverse=True):
            word = re.escape(style)
            said = re.search(
                rf"(?:\bin\s+(?:an?\s+|the\s+)?|,\s*)?\b{word}[ -]style\b|\bin (?:the )?style of {word}\b", prompt, re.I
            )
            if said is None and (style in _ALONE):
                said = re.search(rf"(?:,\s*|\bin\s+|\bas\s+|^)?\b{word}\b", prompt, re.I)
            if said is not None and (prompt[: said.start()] + prompt[said.end() :]).strip(" ,."):
                return prompt[: said.start()] + " " + prompt[said.end() :], style
        return prompt, ""

    def _looked_up(self, pieces: Sequence[str]) -> tuple[_Hit | None, set[str]]:
        """The best of all words and runs of words; longer ones before shorter ones."""
        best: tuple[float, _Hit, str] | None = None
        first = next((k for k, piece in enumerate(pieces) if piece in _AFTER and k), len(pieces))
        for word, count, begin in self._runs(pieces):
            hit = self._words.get(word)
            if hit is None or word in _AFTER:
                continue
            # In a row of nouns the last one is the thing: a fire brigade truck.
            worth = hit.score + 0.06 * (count - 1) + HEAD * min(begin, first) - (LATER if begin > first else 0.0)
            # Colours are found as things (`orange`) only where nothing else is.
            if colour_of(word) is not None:
                worth -= 0.6
            if best is None or worth > best[0]:
                best = worth, hit, word
        return (None, set()) if best is None else (best[1], {best[2]})

    def _runs(self, pieces: Sequence[str]) -> Iterator[tuple[str, int, int]]:
        """Candidates, with their length in words (in characters where no spaces are) and where they begin."""
        for begin, piece in enumerate(pieces):
            for end in range(min(len(pieces), begin + WORDS), begin + 1, -1):
                yield " ".join(pieces[begin:end]), end - begin, begin
            if _UNSPACED.search(piece):
                for start in range(len(piece)):
                    for end in range(min(len(piece), start + max(self._longest, CHARACTERS)), start, -1):
                        if end - start > 1 or piece[start] not in _BETWEEN or len(piece) == 1:
                            yield piece[start:end], end - start, begin
            elif _HANGUL.search(piece):
                # Particles come after a word: 고양이를.
                yield from ((piece[:end], 1, begin) for end in range(len(piece), min(2, len(piece)) - 1, -1))
            else:
                yield piece, 1, begin
                yield from ((form, 1, begin) for form in singulars(piece))

    def _colour(self, pieces: Sequence[str], taken: set[str]) -> tuple[str, list[str]]:
        """The first colour that is no part of the thing's name, and what is left over."""
        used = {word for each in taken for word in each.split()} | taken
        colour = ""
        rest: list[str] = []
        for piece in pieces:
            if piece in used or piece in SILENT or used.intersection(singulars(piece)):
                continue
            if _HANGUL.search(piece) and any(piece.startswith(word) for word in used):
                continue
            if _UNSPACED.search(piece):
                for word in sorted(taken, key=len, reverse=True):
                    piece = piece.replace(word, " ")
                for word in sorted(UNSPACED, key=len, reverse=True):
                    if word in piece and (len(word) > 1 or word not in taken):
                        colour = colour or UNSPACED[word]
                        piece = piece.replace(word, " ")
                rest += [part.strip(_BETWEEN) for part in piece.split() if part.strip(_BETWEEN)]
            elif (found := colour_of(piece)) is not None:
                colour = colour or found
            else:
                rest.append(piece)
        return colour, rest

    def _slip(self, words: Sequence[str]) -> tuple[_Hit | None, set[str]]:
        """A known name that is nearly written so: endings of other languages, slips of the pen."""
        best: tuple[float, _Hit, str] | None = None
        for word in words:
            if len(word) < FEWEST or _UNSPACED.search(word):
                continue
            near = process.extractOne(word, self._by_letter.get(word[0], ()), scorer=fuzz.ratio, score_cutoff=ALIKE)
            if near is not None and (best is None or near[1] > best[0]):
                hit = self._words[near[0]]
                best = near[1], _Hit(hit.thing, SLIP * near[1] / 100, "slip"), word
        return (None, set()) if best is None else (best[1], {best[2]})

    def _meaning(self, text: str) -> _Hit | None:
        """By vectors: (cos − NEAR) from SURE upwards."""
        if self._encode is None or not self._near or not text:
            return None
        vector = _unit(self._encode([text]) - self._centre)[0]
        likeness = self._vectors @ vector
        k = int(likeness.argmax())
        score = SURE + (1 - SURE) * (float(likeness[k]) - NEAR) / (CERTAIN - NEAR)
        return _Hit(self._near[k][0], min(max(score, 0.01), 0.9), "meaning")


def _keywords(thing: BankThing) -> Iterator[tuple[str, list[str]]]:
    """A thing's name and keywords in each language; the name's last word is one, `sword` of `crossed swords`."""
    for language, words in thing.keywords.items() or [("en", ())]:
        name = plain(thing.caption if language == "en" else thing.names.get(language, ""))
        found = [key for key in map(plain, words) if key]
        if language == "en" and thing.emoji:
            last = re.split(r": | with | of ", name)[0].rpartition(" ")[2]
            found = [*found[:1], *(form for form in (last, *singulars(last)) if form != name), *found[1:]]
        yield name, list(dict.fromkeys(found))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-6)
