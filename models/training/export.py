"""Write a pipeline folder that any program with diffusers opens, and the list of words beside it."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, SchedulerMixin, StableDiffusionPipeline
from transformers import PreTrainedTokenizerFast

from ..common import BACKGROUNDS, COLOURS, replacing, without_paths
from ..data import KIND_WORDS, KIND_WORDS_ZH, NUMBERS, NUMBERS_ZH, RELATIONS, RELATIONS_ZH, SIZES, SYNONYMS
from ..data.describe import Names, plural
from .denoiser import TextToLatent
from .objectives import Flow

#: Weights in the repository are cut into files below 16 MB.
SHARD = "15MB"
#: Words that say nothing about the picture but that people write.
SILENT = [
    "a",
    "an",
    "the",
    "of",
    "on",
    "in",
    "at",
    "to",
    "and",
    "with",
    "some",
    "please",
    "draw",
    "picture",
    "image",
    "photo",
    "icon",
    "emoji",
    "style",
    "background",
    "drawing",
    "me",
    "my",
    "your",
    "for",
    "one",
    "is",
    "it",
    "this",
    "that",
    "very",
    "color",
    "colour",
    "colored",
    "coloured",
    "sticker",
    "logo",
    "cartoon",
    "illustration",
    "的",
    "一",
    "个",
    "只",
    "张",
    "幅",
    "朵",
    "辆",
    "片",
    "颗",
    "图片",
    "图标",
    "画",
    "风格",
    "背景",
    "在",
    "上",
    "我",
    "请",
    "和",
    "头",
    "脸",
    "一个",
    "一只",
    "一张",
    "表情",
]


def pipeline(
    model: TextToLatent,
    codec: AutoencoderKL,
    tokenizer: PreTrainedTokenizerFast,
    scheduler: SchedulerMixin | None = None,
) -> StableDiffusionPipeline:
    """Stock pipeline around our networks; the flow's sampler if no other is given."""
    return StableDiffusionPipeline(
        vae=codec,
        text_encoder=model.text,
        tokenizer=tokenizer,
        unet=model.unet,
        scheduler=scheduler or Flow().scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def export(
    model: TextToLatent,
    codec: AutoencoderKL,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    names: Names,
    card: Mapping[str, Any],
    scheduler: SchedulerMixin | None = None,
    *,
    styles: Sequence[str] = (),
    extras: Path | None = None,
) -> None:
    """Write half-precision weights, vocabulary and `training.json`; an existing folder is replaced at the end only.

    Args:
        extras: a folder whose content (upscaler, student) is copied in as it is.
    """
    # Copies: `.to` works in place, and the run goes on in full precision.
    halved = pipeline(copy.deepcopy(model), copy.deepcopy(codec), tokenizer, scheduler).to(torch.float16)
    with replacing(folder, keep="*.md") as part:
        halved.save_pretrained(part, safe_serialization=True, max_shard_size=SHARD)
        # transformers loads a model in the type that its configuration names, diffusers in float32: a program that
        # asks for none would get a mixture.
        settings = part / "text_encoder" / "config.json"
        settings.write_text(json.dumps(json.loads(settings.read_text()) | {"dtype": "float32"}, indent=2) + "\n")
        without_paths(part)
        if extras is not None and extras.is_dir():
            shutil.copytree(extras, part, dirs_exist_ok=True)
        words = json.dumps(vocabulary(names, styles), ensure_ascii=False, indent=0)
        (part / "vocabulary.json").write_text(words + "\n", encoding="utf-8")
        (part / "training.json").write_text(json.dumps(dict(card), indent=1) + "\n")


def vocabulary(names: Names, styles: Sequence[str] = ()) -> dict[str, list[str]]:
    """Everything the captions can say, for `daguerre.queue.vocabulary`."""
    words = {*SILENT, *KIND_WORDS, *KIND_WORDS_ZH, *BACKGROUNDS, *styles}
    words |= {chinese for chinese, _ in BACKGROUNDS.values()}
    for colour, said in COLOURS.items():
        words |= {colour, *said.english, *said.chinese, said.short}
    words |= {
        *NUMBERS,
        *NUMBERS_ZH,
        *["gradient", "going", "from", "without", "no", "both", "together", "渐变", "从", "到", "没有"],
    }
    for ways in (*RELATIONS.values(), *RELATIONS_ZH.values(), *(way for both in SIZES.values() for way in both)):
        words |= {word for way in ways for word in way.split()}
    every = {name for named in names.values() for each in named.values() for name in each}
    every |= {plural(name) for named in names.values() for name in named["en"]}
    # No caption says them, but the text encoder has learnt what they mean; refusing them would be wrong.
    every |= {word for concept in names for word in SYNONYMS.get(concept, ()) if word}
    return {"concepts": sorted(names), "names": sorted(every), "words": sorted(words)}
