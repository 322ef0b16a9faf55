"""Put the text stage together: names, scenes and the examination's wordings become a corpus and an encoder."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from ..data import SYNONYMS, Kind, Scene
from ..data.describe import Names, describe
from ..data.sampler import SceneSampler
from ..errors import DataError
from .corpus import Captions, Corpus, build_corpus, text_tokenizer
from .lexicon import Aliases, Unseen, lexicon
from .meaning import Vocabulary
from .progress import Progress
from .text import TextRecipe, load_encoder, train_text
from .textreport import text_report

#: Share of the captions in Chinese; the rest is English. Other languages are learnt by their names.
CHINESE = 0.4
#: Kinds of scenes whose combinations are held out.
HELD: tuple[Kind, ...] = ("colour", "count", "position", "two")


@dataclass(frozen=True)
class TextStage:
    """What the denoiser needs of the text stage."""

    encoder: T5EncoderModel
    tokenizer: PreTrainedTokenizerFast
    corpus: Corpus


def unseen_wordings(rows: Sequence[Mapping[str, Any]], aliases: Aliases) -> Unseen:
    """The evaluation's synonyms; longer names of concepts may hold them."""
    names = [row.get(f"caption_{language}") or "" for row in rows for language in ("en", "zh", "zh-hant", "ja")]
    further = [name for both in aliases.values() for each in both for name in each]
    return Unseen((word for both in SYNONYMS.values() for word in both), [*names, *further])


def scene_captions(sampler: SceneSampler, names: Names, *, heldout_only: bool = False) -> Captions:
    """Draws scenes and says them in English or Chinese; `heldout_only`: of held-out combinations, where there are any.

    A handful of concepts may have none: then any scene is drawn.
    """
    kinds = [kind for kind in HELD if heldout_only and _can_draw(sampler, kind)]

    def draw(choose: random.Random) -> tuple[str, Scene]:
        scene = sampler.draw(choose, kind=choose.choice(kinds) if kinds else None, heldout_only=bool(kinds))
        return describe(scene, names, choose, "zh" if choose.random() < CHINESE else "en"), scene

    return draw


def _can_draw(sampler: SceneSampler, kind: Kind) -> bool:
    try:
        sampler.draw(random.Random(0), kind=kind, heldout_only=True)
    except DataError:
        return False
    return True


def text_stage(
    recipe: TextRecipe,
    rows: Sequence[Mapping[str, Any]],
    aliases: Aliases,
    sampler: SceneSampler,
    names: Names,
    run: Path,
    cache: Path,
    progress: Progress,
    stop: Callable[[], bool] = lambda: False,
    device: torch.device | str = "cpu",
    begun: tuple[PreTrainedTokenizerFast, T5EncoderModel] | None = None,
) -> TextStage | None:
    """Train the encoder, or read it where `run` holds it; None where it was stopped before its end.

    Leaves in `run`: `tokenizer/`, `text.safetensors`, `text.json` (the recipe) and `text-report.json` (the figures).

    Args:
        rows: with `caption_<language>` and `keywords_<language>`: the sprite set's, and `lexicon.emojibase_rows`.
        aliases: the concepts of the scenes, which are drawn more often; with their further names.
        sampler, names: of the scenes.
        cache: folder of the teacher's vectors.
        begun: tokenizer and encoder to go on from (see `train_text`).

    Raises:
        TrainingError: says what to do.
    """
    # What is said, and what must not be.
    unseen = unseen_wordings(rows, aliases)
    words = lexicon(rows, aliases, unseen)
    caption = scene_captions(sampler, names)
    corpus = build_corpus(
        words, caption, unseen, cache, favoured=tuple(aliases), examined=recipe.examined, teacher=recipe.teacher,
        report=progress.line, stop=stop,
    )  # fmt: skip
    if stop():
        return None

    # The tokenizer.
    folder = run / "tokenizer"
    if folder.is_dir():
        tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    else:
        fresh = random.Random(f"tokenizer/{recipe.seed}")
        tokenizer = begun[0] if begun else text_tokenizer(corpus, recipe.vocabulary, fresh)
        tokenizer.save_pretrained(folder)
    file = run / "text.safetensors"
    if file.is_file():
        return TextStage(load_encoder(recipe, len(tokenizer), file), tokenizer, corpus)

    # The encoder, and how good it is.
    styles = sorted({row["style"] for row in rows if "style" in row})
    vocabulary = Vocabulary(
        {concept: i for i, concept in enumerate(words.concepts)}, {style: i for i, style in enumerate(styles)}
    )
    encoder, examiner = train_text(
        recipe, corpus, vocabulary, tokenizer, run, progress, stop, device, begun=begun[1] if begun else None
    )
    if not file.is_file():
        return None
    synonyms = {
        language: {both[i]: concept for concept, both in SYNONYMS.items() if both[i] and concept in aliases}
        for i, language in enumerate(("en", "zh"))
    }
    heldout = scene_captions(sampler, names, heldout_only=True)
    figures = text_report(encoder, examiner, tokenizer, corpus, vocabulary, synonyms, heldout, report=progress.line)
    (run / "text-report.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False))
    return TextStage(encoder.cpu(), tokenizer, corpus)
