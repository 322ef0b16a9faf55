"""Examine the text encoder by itself: does it find the concept of a word, in every language, said in a way never heard?

Everything is measured in the space that the denoiser sees: the mean of the states, less the mean over all concepts.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from ..data import Scene
from .corpus import Captions, Corpus
from .lexicon import Name, by_language
from .meaning import HEADS, UNSAID, Examiner, Vocabulary, caption_loss
from .networks import TEXT_LENGTH
from .tokenizer import tokenize

#: Language → wording → the concepts that are right.
Synonyms = Mapping[str, Mapping[str, str]]
#: A caption in Chinese that must mean what the English one means, and one of another thing.
CUTE = ("一只可爱的猫", "a cute cat", "a cute dog")


class Finder:
    """Finds the nearest concept of a text."""

    def __init__(
        self, encoder: T5EncoderModel, tokenizer: PreTrainedTokenizerFast, names: Mapping[str, Sequence[str]]
    ) -> None:
        self._encoder, self._tokenizer = encoder, tokenizer
        self.concepts = tuple(names)
        texts = [text for concept in self.concepts for text in names[concept]]
        owner = torch.tensor([i for i, concept in enumerate(self.concepts) for _ in names[concept]])
        vectors = self.embed(texts)
        total = torch.zeros(len(self.concepts), vectors.shape[1]).index_add_(0, owner, vectors)
        means = total / torch.bincount(owner, minlength=len(self.concepts))[:, None]
        self._middle = means.mean(0)
        self._vectors = functional.normalize(means - self._middle, dim=1)

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> Tensor:
        """Mean of the states, (N, width)."""
        device = next(self._encoder.parameters()).device
        parts = [
            self._encoder(tokenize(self._tokenizer, texts[i : i + 64]).to(device))[0].mean(1).cpu()
            for i in range(0, len(texts), 64)
        ]
        return torch.cat(parts)

    def nearest(self, texts: Sequence[str], among: Sequence[str] | None = None) -> list[str]:
        """The nearest concept of each text, among some or all of them."""
        alike = functional.normalize(self.embed(texts) - self._middle, dim=1) @ self._vectors.T
        if among is not None:
            wanted = set(among)
            alike[:, [concept not in wanted for concept in self.concepts]] = -2
        return [self.concepts[i] for i in alike.argmax(1).tolist()]

    def alike(self, one: str, two: str) -> float:
        """Cosine of two texts."""
        vectors = self.embed([one, two]) - self._middle
        return float(functional.cosine_similarity(vectors[0], vectors[1], dim=0))


def text_report(
    encoder: T5EncoderModel,
    examiner: Examiner,
    tokenizer: PreTrainedTokenizerFast,
    corpus: Corpus,
    vocabulary: Vocabulary,
    synonyms: Synonyms,
    heldout: Captions,
    *,
    each: int = 200,
    captions: int = 400,
    seed: int = 5,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Every figure about the encoder; shares are in [0, 1].

    Args:
        synonyms: wordings that were kept out of all training texts, and their concepts.
        heldout: draws scenes of combinations that were never trained on, with captions.
        each: names of each language; captions: of held-out scenes.

    Returns:
        `retrieval` and `retrieval_favoured`: language → share of names whose nearest concept, by its English names, is
        right, among all and among the favoured ones. `examined`: the same for names that were never taught.
        `synonyms` and `synonyms_all`: language → share of unseen wordings found, among the favoured and among all;
        `answers`: wording → what was found. `words`: share of the teacher's words that lie nearest to the teacher's
        concept. `cute_cat`: two cosines. `binding`: head → share of right answers on held-out scenes. `cut`: share of
        captions longer than the encoder reads; `tokens`: the 0.5, 0.95 and 1 quantile of their lengths.
    """
    encoder.eval()
    choose = random.Random(seed)
    english: dict[str, list[str]] = defaultdict(list)
    owners: dict[str, set[str]] = defaultdict(set)
    hidden = set(corpus.examined)
    for name in corpus.lexicon.names:
        owners[name.text].add(name.concept)
        if name.language == "en":
            english[name.concept].append(name.text)
    finder = Finder(encoder, tokenizer, english)
    favoured = [concept for concept in corpus.favoured if concept in english]
    figures: dict[str, Any] = {"retrieval": {}, "retrieval_favoured": {}, "examined": {}}

    def share(names: Sequence[Name], among: Sequence[str] | None) -> float | None:
        chosen = choose.sample(list(names), min(each, len(names)))
        if not chosen:
            return None
        found = finder.nearest([name.text for name in chosen], among)
        return sum(f in owners[n.text] for f, n in zip(found, chosen, strict=True)) / len(chosen)

    # Names: nearest concept in every language.
    for language, names in sorted(by_language(corpus.lexicon).items()):
        taught = [name for name in names if name.concept in english and name not in hidden]
        examined = [name for name in names if name.concept in english and name in hidden]
        if language != "en":
            figures["retrieval"][language] = share(taught, None)
        liked = [name for name in taught if name.concept in set(favoured)]
        figures["retrieval_favoured"][language] = share(liked, favoured)
        figures["examined"][language] = share(examined, None)
        told = " ".join(
            f"{key} {figures[key].get(language)}" for key in ("retrieval", "retrieval_favoured", "examined")
        )
        report(f"{language}: {told}")

    # Synonyms nobody taught.
    figures |= {"synonyms": {}, "synonyms_all": {}, "answers": {}}
    for language, table in synonyms.items():
        known = {wording: concept for wording, concept in table.items() if concept in english}
        for key, among in (("synonyms", favoured), ("synonyms_all", None)):
            found = finder.nearest(list(known), among)
            figures[key][language] = _mean([f == c for f, c in zip(found, known.values(), strict=True)])
            if key == "synonyms":
                figures["answers"] |= dict(zip(known, found, strict=True))
        report(f"unseen wordings, {language}: {figures['synonyms'][language]} of {len(known)}")
    if rows := [row for row in corpus.close or range(len(corpus.words)) if len(corpus.words)]:
        # Words that no caption and no name holds: does our space put them where the teacher's does?
        rows = choose.sample(rows, min(2 * each, len(rows)))
        wanted = (corpus.vectors[rows].float() @ corpus.prototypes.T).argmax(1).tolist()
        found = finder.nearest([corpus.words[row] for row in rows])
        figures["words"] = _mean([f == corpus.lexicon.concepts[w] for f, w in zip(found, wanted, strict=True)])
        report(f"the teacher's words: {figures['words']} of {len(rows)}")
    figures["cute_cat"] = {"same": finder.alike(CUTE[0], CUTE[1]), "other": finder.alike(CUTE[0], CUTE[2])}

    # Combinations nobody taught.
    drawn: list[tuple[str, Scene]] = [heldout(choose) for _ in range(captions)]
    figures["binding"] = binding(examiner, finder, vocabulary, drawn)
    lengths = torch.tensor(
        [len(ids) for ids in tokenizer([text for text, _ in drawn], verbose=False)["input_ids"]]
    ).float()
    figures["cut"] = float((lengths > TEXT_LENGTH).float().mean())
    figures["tokens"] = lengths.quantile(torch.tensor([0.5, 0.95, 1.0])).tolist()
    report(f"held-out combinations: {figures['binding']}; cut {figures['cut']:.3f}, tokens {figures['tokens']}")
    return figures


@torch.no_grad()
def binding(
    examiner: Examiner, finder: Finder, vocabulary: Vocabulary, drawn: Sequence[tuple[str, Scene]]
) -> dict[str, float]:
    """Share of right answers of each head on captions; `things` and `colours` need both slots, `all` every head.

    Each is taken over the captions that say it.
    """
    device = examiner.heads.weight.device
    logits = examiner.said(finder.embed([text for text, _ in drawn]).to(device))
    orders = torch.tensor([vocabulary.targets(scene, text) for text, scene in drawn]).transpose(0, 1).to(device)
    _, right = caption_loss(logits, orders)
    two = torch.tensor([len({thing.concept for thing in scene.things}) > 1 for _, scene in drawn], device=device)
    said = orders[0] != UNSAID
    said[:, HEADS.index("size")] &= torch.tensor([scene.kind == "size" for _, scene in drawn], device=device)
    shares = {head: _mean(right[said[:, i], i].tolist()) for i, head in enumerate(HEADS)}
    return shares | {
        "two things": _mean(right[two][:, [0, 3]].all(1).tolist()),
        "two things with colours and place": _mean(right[two][:, [0, 1, 3, 4, 6]].all(1).tolist()),
        "all": _mean(right.all(1).tolist()),
    }


def _mean(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else float("nan")
