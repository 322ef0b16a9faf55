"""From a recipe to a pipeline folder: data → codec → tokenizer → latents → text encoder → denoiser → export.

Each stage leaves its result in the run folder and is skipped when it is there, so the same command goes on where it
stopped.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from ..data.build import SpriteSet, build
from ..data.captions import CHINESE, ENGLISH, KIND_WORDS, KIND_WORDS_ZH, names
from ..data.firstlight import CONCEPTS
from ..data.scenes import BACKGROUNDS
from ..data.sources import DRAWING_SETS
from ..errors import TrainingError
from .codec import CodecRecipe, train_codec
from .denoiser import DenoiserRecipe, TextToLatent, train_denoiser
from .export import export
from .latents import Aliases, LatentSet, Shown, encode, normalise
from .text import TextRecipe, train_text
from .tokenizer import train_tokenizer

Report = Callable[[str], None]
#: What `concepts = "…"` of a recipe may name.
CONCEPT_LISTS: dict[str, Aliases] = {"first-light": CONCEPTS}
_Stage = TypeVar("_Stage")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One run, whole."""

    name: str
    concepts: str = "first-light"
    codec: CodecRecipe = field(default_factory=CodecRecipe)
    text: TextRecipe = field(default_factory=TextRecipe)
    denoiser: DenoiserRecipe = field(default_factory=DenoiserRecipe)
    #: Pictures of each sprite that are encoded.
    variants: int = 16


def read_recipe(file: Path) -> Recipe:
    """Read a recipe.

    Raises:
        TrainingError: the file is missing, or holds an unknown key or a wrong value; says which.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as problem:
        raise TrainingError(f"Cannot read the recipe {file}: {problem}") from problem
    latents = content.pop("latents", {})
    codec = _section(file, "codec", CodecRecipe, content.pop("codec", {}))
    text = _section(file, "text", TextRecipe, content.pop("text", {}))
    denoiser = _section(file, "denoiser", DenoiserRecipe, content.pop("denoiser", {}))
    if unknown := [*(set(latents) - {"variants"}), *(set(content) - {"name", "concepts"})]:
        raise TrainingError(f"{file}: unknown key {unknown[0]!r}.")
    if "name" not in content:
        raise TrainingError(f'{file}: a recipe needs a name = "…".')
    if content.get("concepts", "first-light") not in CONCEPT_LISTS:
        raise TrainingError(
            f"{file}: there is no list of concepts {content['concepts']!r}, only {', '.join(CONCEPT_LISTS)}."
        )
    return Recipe(codec=codec, text=text, denoiser=denoiser, variants=latents.get("variants", 16), **content)


def train(
    recipe: Recipe,
    run: Path,
    data: Path,
    weights: Path,
    report: Report = print,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Run every stage that is not done yet; exports to `weights` whenever the denoiser is saved.

    Raises:
        DataError, TrainingError: with what to do.
    """
    run.mkdir(parents=True, exist_ok=True)
    (run / "recipe.json").write_text(json.dumps(dataclasses.asdict(recipe), indent=1))
    sprites = build(data / f"sprites{recipe.codec.size}", data / "packages", size=recipe.codec.size, report=report)
    concepts = CONCEPT_LISTS[recipe.concepts]
    codec, latents = _latents(recipe, sprites, concepts, run, report, stop)
    if latents is None:
        return
    tokenizer = _tokenizer(recipe, sprites, concepts, run)
    text = train_text(recipe.text, latents.shown, tokenizer, run / "text.safetensors", report)

    def each_save(model: TextToLatent, step: int, samples: int) -> None:
        card = {"recipe": dataclasses.asdict(recipe), "steps": step, "samples": samples}
        export(model, codec, tokenizer, weights, concepts, list(sprites.rows), card)

    train_denoiser(recipe.denoiser, latents, text, tokenizer, run, report, stop, each_save)


def _latents(
    recipe: Recipe, sprites: SpriteSet, concepts: Aliases, run: Path, report: Report, stop: Callable[[], bool]
) -> tuple[AutoencoderKL, LatentSet | None]:
    """The normalised codec and what it makes of the sprites; trained and encoded where that is not done."""
    folder, file = run / "codec", run / "latents.safetensors"
    if file.is_file():
        tensors = load_file(file)
        shown = [Shown(*map(_tuples, row)) for row in json.loads((run / "latents.json").read_text())]
        codec = AutoencoderKL.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        return codec, LatentSet(tensors["mean"], tensors["deviation"], shown)
    codec = train_codec(recipe.codec, sprites, run, report, stop).eval()
    if stop():
        return codec, None
    latents = encode(codec, sprites, concepts, variants=recipe.variants, size=recipe.codec.size, report=report)
    normalise(codec, latents)
    codec.save_pretrained(folder, safe_serialization=True)
    rows = [[list(s.english), list(s.chinese), s.style, s.background] for s in latents.shown]
    (run / "latents.json").write_text(json.dumps(rows, ensure_ascii=False))
    save_file({"mean": latents.mean.contiguous(), "deviation": latents.deviation.contiguous()}, file)
    return codec, latents


def _tokenizer(recipe: Recipe, sprites: SpriteSet, concepts: Aliases, run: Path) -> PreTrainedTokenizerFast:
    folder = run / "tokenizer"
    if folder.is_dir():
        found: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
        return found
    # Names of all emoji, not of the chosen concepts only: a wider model can then be warm-started from this one.
    texts: list[str] = []
    for row in sprites.rows:
        english, chinese = names(row, concepts.get(row["caption_en"], ((), ())))
        texts += [*english, *chinese, *row["keywords_en"], *row["keywords_zh"]]
    sentences = [t.format(name=n, thing=n, style="") for n in set(texts) for t in (*ENGLISH[3:6], *CHINESE[2:4])]
    # Words of every caption count as often as common names do.
    frequent = [*KIND_WORDS, *KIND_WORDS_ZH, *(f"{style.name} style" for _, style in DRAWING_SETS)]
    frequent += [f"{english} background {chinese}背景" for english, (chinese, _) in BACKGROUNDS.items()]
    tokenizer = train_tokenizer([*texts, *sentences, *frequent * 100], recipe.text.vocabulary)
    tokenizer.save_pretrained(folder)
    return tokenizer


def _section(file: Path, name: str, kind: type[_Stage], content: dict[str, Any]) -> _Stage:
    known = {each.name: each for each in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key, value in content.items():
        if key not in known:
            raise TrainingError(f"{file}: [{name}] has no setting {key!r}; it has {', '.join(sorted(known))}.")
        default = known[key].default
        if not isinstance(
            value, list if isinstance(default, tuple) else (int, float) if isinstance(default, float) else type(default)
        ):
            raise TrainingError(f"{file}: [{name}] {key} must be like {default!r}, not {value!r}.")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in content.items()})


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def use_cores(threads: int | None) -> None:
    """Bind torch to `threads` cores; None leaves its own choice."""
    if threads is not None:
        torch.set_num_threads(threads)
