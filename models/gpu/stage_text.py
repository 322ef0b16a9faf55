"""The stage `text`: the text encoder and its tokenizer, with the packed vectors of the sentence teacher."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from ..data.synonyms import SYNONYMS
from ..errors import TrainingError
from ..training.corpus import text_tokenizer
from ..training.meaning import Vocabulary
from ..training.pipeline import PipelineRecipe
from ..training.text import TextRecipe, train_text
from ..training.textreport import text_report
from ..training.textstage import scene_captions
from .budget import Stretch
from .delivery import deliver
from .job import Job, Told, done_before, stocked
from .pace import Way, fastest, probe
from .unpack import further_rows
from .words import packed_corpus


def text(job: Job, recipe: PipelineRecipe) -> dict[str, Any]:
    """Train and examine it; the result holds `text_encoder/` and `tokenizer/`.

    Raises:
        DataError: the pack has no teacher's vectors.
        TrainingError: see `train_text`.
    """
    plan, told = recipe.text, Told(job.report)
    sprites = job.sprites(64)
    scene, _ = stocked(recipe, sprites)
    run, made = job.work / "text", job.work / "text-weights"
    corpus = packed_corpus(sprites, further_rows(job.pack), scene_captions(scene.sampler, scene.names), job.pack)
    folder = run / "tokenizer"
    if not folder.is_dir():
        text_tokenizer(corpus, plan.vocabulary, random.Random(f"tokenizer/{plan.seed}")).save_pretrained(folder)
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    styles = sorted({row["style"] for row in sprites.rows})
    vocabulary = Vocabulary(
        {concept: i for i, concept in enumerate(corpus.lexicon.concepts)}, {style: i for i, style in enumerate(styles)}
    )

    def train(wanted: TextRecipe, at: Path, stop: Any, progress: Any) -> Any:
        return train_text(wanted, corpus, vocabulary, tokenizer, at, progress, stop, job.device)

    # Short texts first, then long ones.
    def way(name: str, wanted: TextRecipe) -> Way:
        return Way(name, lambda at, stop: train(wanted, at, stop, Told(lambda _: None)), wanted.captions)

    short = way("text, short", replace(plan, short_share=1.0))
    found = fastest([short], job.clock, job.work / "probe", job.report)
    if found is None:
        raise TrainingError("The pace of the text encoder could not be measured. Give more --minutes.")
    long = probe(way("text, long", replace(plan, short_share=0.0)), job.clock, job.work / "probe") or found[1]
    stretches = [Stretch(plan.short_share, found[1]), Stretch(1.0, long)]
    steps = job.steps(stretches, done_before(run / "text-run.safetensors"))
    encoder, examiner = train(replace(plan, steps=steps), run, job.watch(), told)

    # Examine and deliver.
    synonyms = {
        language: {both[i]: concept for concept, both in SYNONYMS.items() if both[i] and concept in scene.names}
        for i, language in enumerate(("en", "zh"))
    }
    heldout = scene_captions(scene.sampler, scene.names, heldout_only=True)
    encoder, examiner = encoder.cpu(), examiner.cpu()
    encoder.half().save_pretrained(made / "text_encoder", safe_serialization=True)
    tokenizer.save_pretrained(made / "tokenizer")
    deliver(made, job.out, told.scalars)
    figures: dict[str, Any] = told.scalars | {"steps": steps}
    if job.clock.left() > job.reserve / 2:
        figures |= text_report(
            encoder.float(), examiner, tokenizer, corpus, vocabulary, synonyms, heldout, report=job.report
        )
    deliver(made, job.out, figures)
    return figures
