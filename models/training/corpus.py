"""The texts that the text encoder learns from: captions of scenes, names in all languages, the teacher's words."""

from __future__ import annotations

import random
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from ..common import BACKGROUNDS
from ..data import Scene
from ..errors import TrainingError
from .lexicon import Lexicon, Name, Unseen
from .teacher import TeacherVectors, teach, vocabulary
from .tokenizer import train_tokenizer

#: Cosine to the nearest concept that makes a word of the teacher's list worth learning, and how much farther the next
#: concept must be: without that distance, function words crowd around a few concepts ("om").
NEAR, MARGIN = 0.6, 0.08
#: The same for keywords, which people chose for a concept already.
NEAR_KEYWORD = 0.5
#: Wordings around a word that leave its meaning as it is.
FRAMES = ("a {word}", "a cute {word}", "a picture of a {word}", "{word} emoji", "a {word} on a {colour} background")
FRAMES_ZH = ("一个{word}", "一只{word}", "可爱的{word}", "画一个{word}", "{word}，{colour}背景")
#: Share of the names and words that belong to the favoured concepts.
FAVOURED = 0.5
#: Batches of captions are this many tries away from an error at most.
TRIES = 1000

#: Draws a scene and a true caption of it.
Captions = Callable[[random.Random], tuple[str, Scene]]


@dataclass(frozen=True)
class Corpus:
    """Where the batches of the text stage come from."""

    lexicon: Lexicon
    caption: Captions
    unseen: Unseen
    #: Names that are never trained on, to see whether translations are understood that nobody taught.
    examined: tuple[Name, ...] = ()
    #: Words that only the teacher explains; none without a teacher.
    words: tuple[str, ...] = ()
    #: fp16 (words, 512), and (concepts, 512) in the order of the lexicon; less their common direction, of length 1.
    vectors: Tensor = field(default_factory=lambda: torch.empty(0, 512))
    prototypes: Tensor = field(default_factory=lambda: torch.empty(0, 512))
    #: Concepts that are drawn more often than others.
    favoured: tuple[str, ...] = ()
    _by_concept: dict[str, list[Name]] = field(default_factory=dict)
    #: Rows of the words that are nearest to a favoured concept; found, not given.
    close: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        hidden = set(self.examined)
        sorted_into: dict[str, list[Name]] = defaultdict(list)
        for name in self.lexicon.names:
            if name not in hidden:
                sorted_into[name.concept].append(name)
        object.__setattr__(self, "_by_concept", dict(sorted_into))
        if self.favoured and len(self.words):
            nearest = (self.vectors.float() @ self.prototypes.T).argmax(1).tolist()
            liked = {self.lexicon.concepts.index(concept) for concept in self.favoured}
            object.__setattr__(self, "close", [row for row, concept in enumerate(nearest) if concept in liked])

    def captions(self, count: int, choose: random.Random) -> list[tuple[str, Scene]]:
        """Scenes and their captions.

        Raises:
            TrainingError: every caption holds a wording of the examination.
        """
        drawn: list[tuple[str, Scene]] = []
        for _ in range(TRIES * count):
            if len(drawn) == count:
                return drawn
            text, scene = self.caption(choose)
            if not self.unseen.holds(text):
                drawn.append((text, scene))
        raise TrainingError("Nearly every caption holds a wording of the examination: take it off the list.")

    def pairs(self, count: int, choose: random.Random) -> list[tuple[Name, Name]]:
        """Two names of one concept each, in two languages where it has them; English and Chinese come often."""
        concepts = choose.choices(tuple(self._by_concept), k=count)
        for i in range(count):
            if self.favoured and choose.random() < FAVOURED:
                concepts[i] = choose.choice(self.favoured)
        return [self._pair(self._by_concept[concept], choose) for concept in concepts]

    def _pair(self, names: Sequence[Name], choose: random.Random) -> tuple[Name, Name]:
        first = choose.choice(names)
        other = [name for name in names if name.language != first.language] or list(names)
        common = [name for name in other if name.language in ("en", "zh")]
        return first, choose.choice(common if common and choose.random() < 0.5 else other)

    def framed(self, count: int, choose: random.Random) -> tuple[list[str], Tensor]:
        """Words, half of them inside a wording of their script, and the teacher's vectors of the words, (B, 512)."""
        rows = [
            choose.choice(self.close)
            if self.close and choose.random() < FAVOURED
            else choose.randrange(len(self.words))
            for _ in range(count)
        ]
        texts = []
        for row in rows:
            word = self.words[row]
            frames = (
                FRAMES_ZH
                if all("\u4e00" <= letter <= "\u9fff" for letter in word)
                else FRAMES
                if word.isascii()
                else ()
            )
            if frames and choose.random() < 0.5:
                english = choose.choice(tuple(BACKGROUNDS))
                colour = english if frames is FRAMES else BACKGROUNDS[english][0]
                word = choose.choice(frames).format(word=word, colour=colour)
            texts.append(word)
        return texts, self.vectors[rows].float()


def build_corpus(
    lexicon: Lexicon,
    caption: Captions,
    unseen: Unseen,
    folder: Path,
    *,
    favoured: Sequence[str] = (),
    examined: float = 0.02,
    teacher: bool = True,
    report: Callable[[str], None] = print,
    stop: Callable[[], bool] = lambda: False,
) -> Corpus:
    """Gather everything; asks the teacher once for each text and keeps its answers in `folder`.

    Args:
        examined: share of the names, never English or Chinese ones, that are kept for the examination.

    Raises:
        TrainingError: the teacher is not installed and its cache is not whole.
    """
    hidden = _hidden(lexicon, examined)
    favoured = tuple(concept for concept in favoured if concept in set(lexicon.concepts))
    if not teacher:
        return Corpus(lexicon, caption, unseen, hidden, favoured=favoured)
    secret = {name.text for name in hidden}
    names = [n for n in lexicon.names if n.language in ("en", "zh", "es", "fr", "de", "ru") and n.text not in secret]
    keywords = [word for word, _ in lexicon.keywords if word not in secret]
    listed = [word for word in unseen.without(vocabulary()) if word not in secret]
    taught = teach([*(n.text for n in names), *keywords, *listed], folder, report=report, stop=stop)
    if stop():
        return Corpus(lexicon, caption, unseen, hidden, favoured=favoured)
    prototypes = _prototypes(lexicon, names, taught)
    chosen = [
        w for w, (near, _) in zip(keywords, _nearest(keywords, taught, prototypes), strict=True) if near > NEAR_KEYWORD
    ]
    chosen += [
        word
        for word, (near, margin) in zip(listed, _nearest(listed, taught, prototypes), strict=True)
        if near > NEAR and margin > MARGIN
    ]
    words = tuple(dict.fromkeys(chosen))
    report(f"{len(lexicon.names)} names of {len(lexicon.concepts)} concepts, {len(words)} words by the teacher")
    # All vectors share a direction, which says nothing about any of them.
    middle = prototypes.mean(0)
    vectors = functional.normalize(taught.of(words) - middle, dim=1).half()
    return Corpus(
        lexicon, caption, unseen, hidden, words, vectors, functional.normalize(prototypes - middle, dim=1), favoured
    )


def text_tokenizer(
    corpus: Corpus, vocabulary: int, choose: random.Random, captions: int = 20_000
) -> PreTrainedTokenizerFast:
    """A tokenizer of every name, keyword and word, and of as many captions as make their words common."""
    texts = [name.text for name in corpus.lexicon.names] + [word for word, _ in corpus.lexicon.keywords]
    return train_tokenizer(
        [*corpus.unseen.without([*texts, *corpus.words]), *(text for text, _ in corpus.captions(captions, choose))],
        vocabulary,
    )


def _hidden(lexicon: Lexicon, share: float) -> tuple[Name, ...]:
    """A fixed share of the names: by a digest of the text, so that the same ones are left out on every machine."""
    used = defaultdict(set)
    for name in lexicon.names:
        used[name.text].add(name.language)
    return tuple(
        name
        for name in lexicon.names
        if not used[name.text] & {"en", "zh"} and zlib.crc32(name.text.encode()) % 10_000 < share * 10_000
    )


def _prototypes(lexicon: Lexicon, names: Sequence[Name], taught: TeacherVectors) -> Tensor:
    """Mean vector of each concept's names, of length 1, fp32 (concepts, 512)."""
    place = {concept: i for i, concept in enumerate(lexicon.concepts)}
    total = torch.zeros(len(place), taught.vectors.shape[1])
    rows = torch.tensor([place[name.concept] for name in names])
    total.index_add_(0, rows, taught.of([name.text for name in names]))
    return functional.normalize(total, dim=1)


def _nearest(texts: Sequence[str], taught: TeacherVectors, prototypes: Tensor) -> list[tuple[float, float]]:
    """Cosine of each text to its nearest concept, and how much farther the next one is."""
    found: list[tuple[float, float]] = []
    for begin in range(0, len(texts), 4096):
        best = (taught.of(texts[begin : begin + 4096]) @ prototypes.T).topk(2, dim=1).values
        found += zip(best[:, 0].tolist(), (best[:, 0] - best[:, 1]).tolist(), strict=True)
    return found
