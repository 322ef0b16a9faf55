"""Teach the text encoder what texts mean, before any picture: minutes that save the denoiser hours.

Three kinds of text teach it. Captions of scenes: heads must tell from the mean of all states which things there are,
of which colour, how many and where. Names in all languages: each is its concept, and translations are neighbours. Words
that no caption holds: a sentence teacher says where they lie, so that a member's own word finds its concept.

The mean is taken over all states, padding included: the denoiser attends to padding as well, so padding must carry
the meaning, too.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from ..errors import TrainingError, explained
from . import networks
from .corpus import Corpus
from .distil import known
from .loop import BROKEN, Objective, State, Stop, never, train
from .meaning import (
    Examiner,
    Vocabulary,
    caption_loss,
    contrast_loss,
    distil_loss,
    relation_loss,
)
from .networks import TEXT_LENGTH
from .progress import Progress
from .tokenizer import tokenize, tokenize_split

#: Second name of the embedding table in a T5 encoder.
TIED = "encoder.embed_tokens.weight"
#: Share of the batches in which the empty caption is held in its place.
SILENT = 0.5


@dataclass(frozen=True, slots=True)
class TextRecipe:
    """Every number of a text run."""

    width: int = 192
    layers: int = 3
    vocabulary: int = 8_192
    #: Texts of one batch: captions of scenes, pairs of names, words of the teacher.
    captions: int = 32
    pairs: int = 12
    words: int = 16
    steps: int = 4_000
    rate: float = 1.5e-3
    warmup: int = 30
    decay: float = 1.0
    #: Deviation of the relative-position biases at the beginning. With T5's own (0.07) attention cannot tell before
    #: from after for thousands of steps, so "left of" and its swap read the same.
    positions: float = 2.0
    #: Deviation of the token embeddings at the beginning; Adam needs a thousand steps to turn round T5's own, 1.
    embeddings: float = 0.2
    #: The padding's embedding ÷ the others'.
    padding: float = 0.01
    #: Share of the words that are cut in two before merging, so that pieces of rare words are known.
    split: float = 0.1
    #: Names and words are padded to `short` tokens for the first `short_share` of the steps: they cost half then.
    short: int = 12
    short_share: float = 0.7
    #: Whether words are learnt from the sentence teacher; without it, names take their place.
    teacher: bool = True
    #: Weights of the losses beside that of the captions, which has 1.
    names: float = 1.0
    distil: float = 1.0
    relate: float = 1.0
    contrast: float = 0.1
    #: Temperature of the teacher's choice among concepts.
    temperature: float = 0.1
    #: Where it begins from an encoder that a denoiser knows: weight of staying with its states of plain captions.
    anchor: float = 10.0
    #: Share of the names that are kept for the examination.
    examined: float = 0.02
    seed: int = 1
    save_minutes: float = 2.0


def train_text(
    recipe: TextRecipe,
    corpus: Corpus,
    vocabulary: Vocabulary,
    tokenizer: PreTrainedTokenizerFast,
    run: Path,
    progress: Progress,
    stop: Stop = never,
    device: torch.device | str = "cpu",
    begun: T5EncoderModel | None = None,
) -> tuple[T5EncoderModel, Examiner]:
    """Train to the recipe's last step, from `run`'s checkpoint where there is one; gives the encoder and its examiner.

    `text.safetensors`, the encoder alone, is written when the last step is done.

    Args:
        begun: an encoder to go on from, which a denoiser was trained with. Its states of captions of one plain thing
            are kept (`anchor`), so that the denoiser still understands them while the encoder learns the rest.

    Raises:
        TrainingError: the loss is not a number, or the checkpoint cannot be used.
    """
    teaching = TextTeaching(recipe, corpus, vocabulary, tokenizer, device, begun)
    state = train(teaching, run, progress, stop)
    if state.step >= recipe.steps:
        save_encoder(teaching.encoder, run / "text.safetensors")
    return teaching.encoder, teaching.examiner


class TextTeaching(Objective):
    """Three kinds of texts, each with its losses; and staying with what a denoiser knows, where there is one."""

    name = "text"
    file = "text-run"
    broken = BROKEN.replace("loss is", "loss of the text encoder is").replace("`rate`", "its `rate`")

    def __init__(
        self,
        recipe: TextRecipe,
        corpus: Corpus,
        vocabulary: Vocabulary,
        tokenizer: PreTrainedTokenizerFast,
        device: torch.device | str,
        begun: T5EncoderModel | None,
    ) -> None:
        super().__init__(recipe)
        self._corpus, self._vocabulary, self._tokenizer, self._device = corpus, vocabulary, tokenizer, device
        torch.manual_seed(recipe.seed)
        self.encoder = fresh_encoder(recipe, tokenizer) if begun is None else copy.deepcopy(begun).train()
        self.encoder.to(device)
        self._anchor = None if begun is None else Anchor(copy.deepcopy(begun).to(device), recipe.captions)
        self.examiner = Examiner(recipe.width, vocabulary.classes()).to(device)
        self.optimizers = torch.optim.AdamW(
            self.clipped(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True
        )
        self.stepped = [self.optimizers]
        self.modules = {"encoder": self.encoder, "examiner": self.examiner}
        self._concepts = corpus.prototypes.to(device)
        self._means: dict[str, float] = {}

    def clipped(self) -> list[nn.Parameter]:
        return [*self.encoder.parameters(), *self.examiner.parameters()]

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        choose = random.Random(f"text/{self.recipe.seed}/{step}")
        loss, scalars = self._captions(choose)
        loss = self._names(loss, step, choose, scalars)
        if self._anchor is not None:
            tokens = tokenize(self._tokenizer, self._anchor.captions(self._corpus, choose)).to(self._device)
            kept = self._anchor.loss(self.encoder, tokens)
            loss = loss + self.recipe.anchor * kept
            scalars["anchor"] = kept.item()
        return loss, scalars

    def _captions(self, choose: random.Random) -> tuple[Tensor, dict[str, float]]:
        """Captions of scenes: which things there are, of which colour, how many and where."""
        drawn = self._corpus.captions(self.recipe.captions, choose)
        texts = [text for text, _ in drawn]
        tokens = tokenize_split(self._tokenizer, texts, choose, self.recipe.split, TEXT_LENGTH).to(self._device)
        orders = torch.tensor([self._vocabulary.targets(scene, text) for text, scene in drawn]).transpose(0, 1)
        loss, right = caption_loss(self.examiner.said(pooled(self.encoder, tokens)), orders.to(self._device))
        scalars = {"captions": loss.item(), "things": right[:, [0, 3]].all(1).float().mean().item()}
        return loss, scalars | {"all": right.all(1).float().mean().item()}

    def _names(self, loss: Tensor, step: int, choose: random.Random, scalars: dict[str, float]) -> Tensor:
        """Names, in pairs of translations, and the teacher's words: added to `loss`, told in `scalars`."""
        recipe, corpus, examiner = self.recipe, self._corpus, self.examiner
        taught = recipe.teacher and len(corpus.words) > 0
        pairs = corpus.pairs(recipe.pairs if taught else recipe.pairs + recipe.words // 2, choose)
        words, vectors = corpus.framed(recipe.words, choose) if taught else ([], corpus.vectors[:0])
        texts = [one.text for one, _ in pairs] + [two.text for _, two in pairs] + words
        short = recipe.short if step < recipe.short_share * recipe.steps else TEXT_LENGTH
        seen = pooled(
            self.encoder, tokenize_split(self._tokenizer, texts, choose, recipe.split, short).to(self._device)
        )
        same = torch.tensor([self._vocabulary.concepts[one.concept] for one, _ in pairs], device=self._device)
        count = len(pairs)
        logits = examiner.concepts(seen)
        named = nn.functional.cross_entropy(logits[: 2 * count], same.repeat(2))
        contrast = contrast_loss(seen[:count], seen[count : 2 * count], same)
        loss = loss + recipe.names * named + recipe.contrast * contrast
        scalars |= {"names": named.item(), "contrast": contrast.item()}
        if taught:
            vectors = vectors.to(self._device)
            projected = examiner.teacher(seen)
            distil = distil_loss(projected, torch.cat([self._concepts[same.repeat(2)], vectors]))
            relate = relation_loss(logits[2 * count :], vectors, self._concepts, recipe.temperature)
            loss = loss + recipe.distil * distil + recipe.relate * relate
            scalars |= {"distil": distil.item(), "relate": relate.item()}
        return loss

    def told(self, state: State, scalars: Mapping[str, float]) -> Mapping[str, float]:
        """Means of about the last 20."""
        self._means = {name: 0.95 * self._means.get(name, value) + 0.05 * value for name, value in scalars.items()}
        return self._means


def fresh_encoder(recipe: TextRecipe, tokenizer: PreTrainedTokenizerFast) -> T5EncoderModel:
    """An encoder that knows nothing, ready to learn; drawn from torch's current random state."""
    encoder = networks.text_encoder(len(tokenizer), recipe.width, recipe.layers)
    biases = encoder.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
    nn.init.normal_(biases, std=recipe.positions)
    nn.init.normal_(encoder.shared.weight, std=recipe.embeddings)
    with torch.no_grad():
        # Padding begins as nothing of its own, so that from the first step its states are what they attend to.
        encoder.shared.weight[tokenizer.pad_token_id] *= recipe.padding
    return encoder


class Anchor:
    """What an encoder said before, so that who learnt to listen to it still understands."""

    def __init__(self, before: T5EncoderModel, count: int) -> None:
        self._before = before.eval().requires_grad_(False)
        self._count = count

    def captions(self, corpus: Corpus, choose: random.Random) -> list[str]:
        """Captions of one thing as drawn, and now and then of nothing: what guidance compares with."""
        found = [""] if choose.random() < SILENT else []
        while len(found) < self._count:
            found += [text for text, scene in corpus.captions(self._count, choose) if known(scene)]
        return found[: self._count]

    def loss(self, encoder: T5EncoderModel, tokens: Tensor) -> Tensor:
        """Squared distance of all states (padding's too) to those before, over the variance of those."""
        with torch.no_grad():
            before = self._before(tokens)[0]
        away: Tensor = (encoder(tokens)[0] - before).square().mean() / before.var()
        return away


def pooled(encoder: T5EncoderModel, tokens: Tensor) -> Tensor:
    """Mean of all states, (B, T) → (B, width)."""
    states: Tensor = encoder(tokens)[0]
    return states.mean(1)


def save_encoder(encoder: T5EncoderModel, file: Path) -> None:
    """Write the encoder alone, fp32; half of the bytes when it is exported as fp16."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # The embedding table goes by two names; once is enough.
    weights = {key: value for key, value in encoder.state_dict().items() if key != TIED}
    save_file({key: value.detach().cpu().clone() for key, value in weights.items()}, file)


def load_encoder(recipe: TextRecipe, tokens: int, file: Path) -> T5EncoderModel:
    """Read what `save_encoder` wrote, for a tokenizer of `tokens` tokens.

    Raises:
        TrainingError: the file is damaged, or of another recipe or tokenizer.
    """
    encoder = networks.text_encoder(tokens, recipe.width, recipe.layers)
    with explained(TrainingError, f"{file} is damaged or of another recipe ({{problem}}). Delete it to train anew."):
        weights = load_file(file)
        encoder.load_state_dict(weights | {TIED: weights["shared.weight"]})
    return encoder
