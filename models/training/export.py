"""Write a pipeline folder that any program with diffusers opens, and the list of words beside it."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline
from transformers import PreTrainedTokenizerFast

from ..data import captions
from ..data.scenes import BACKGROUNDS
from ..data.sources import DRAWING_SETS
from .denoiser import TextToLatent
from .latents import Aliases

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


def pipeline(model: TextToLatent, codec: AutoencoderKL, tokenizer: PreTrainedTokenizerFast) -> StableDiffusionPipeline:
    """Stock pipeline around our networks; DPM-Solver++ 2M (2211.01095) on the flow's noise levels."""
    scheduler = DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, steps_offset=1)
    return StableDiffusionPipeline(
        vae=codec,
        text_encoder=model.text,
        tokenizer=tokenizer,
        unet=model.unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def export(
    model: TextToLatent,
    codec: AutoencoderKL,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    concepts: Aliases,
    rows: list[dict[str, Any]],
    card: Mapping[str, Any],
) -> None:
    """Write half-precision weights, vocabulary and `training.json`; an existing folder is replaced at the end only."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    # Copies: `.to` works in place, and the run goes on in full precision.
    halved = pipeline(copy.deepcopy(model), copy.deepcopy(codec), tokenizer).to(torch.float16)
    halved.save_pretrained(part, safe_serialization=True, max_shard_size=SHARD)
    # transformers loads a model in the type that its configuration names, diffusers in float32: a program that asks
    # for none would get a mixture.
    settings = part / "text_encoder" / "config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"dtype": "float32"}, indent=2) + "\n")
    # Where a part was read from while training is nobody's business and no other machine's path.
    for settings in part.rglob("config.json"):
        values = {key: value for key, value in json.loads(settings.read_text()).items() if key != "_name_or_path"}
        settings.write_text(json.dumps(values, indent=2) + "\n")
    for file in part.rglob("*.safetensors"):
        file.chmod(0o644)  # safetensors writes 0600, which another user's worker could not read
    (part / "vocabulary.json").write_text(json.dumps(vocabulary(concepts, rows), ensure_ascii=False, indent=0) + "\n")
    (part / "training.json").write_text(json.dumps(dict(card), indent=1) + "\n")
    if folder.exists():
        # What people wrote (the model card, evaluations) stays.
        for kept in folder.glob("*.md"):
            shutil.copy2(kept, part / kept.name)
        shutil.rmtree(folder)
    part.rename(folder)


def vocabulary(concepts: Aliases, rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Everything the captions can say, for `daguerre.queue.vocabulary`."""
    known = {row["caption_en"]: row for row in rows if row["caption_en"] in concepts}
    named = [captions.names(row, concepts[label]) for label, row in known.items()]
    words = {*SILENT, *captions.KIND_WORDS, *captions.KIND_WORDS_ZH, *BACKGROUNDS}
    words |= {chinese for chinese, _ in BACKGROUNDS.values()}
    words |= {word for _, drawing_set in DRAWING_SETS for word in (drawing_set.name,)}
    return {
        "concepts": sorted(known),
        "names": sorted({name for english, chinese in named for name in (*english, *chinese)}),
        "words": sorted(words),
    }
