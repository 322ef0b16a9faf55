"""`daguerre train RECIPE`: which program a recipe's `kind` names, and what its sections may say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from diffusers import AutoencoderKL

from ..common import upscaler as upscaling
from ..data import SpriteSet
from ..data.build import build
from ..errors import TrainingError
from ..finetune import finetune_folder, read_finetune
from ..training import Processes, Progress, recipes
from ..training.baseline_runs import DcganRecipe, VaeRecipe, train_dcgan, train_vae
from ..training.codec import CodecRecipe, train_codec
from ..training.denoiser import DenoiserRecipe
from ..training.distil import DistilRecipe
from ..training.drawer_run import drawer_run, read_drawer
from ..training.latents import LatentRecipe
from ..training.pipeline import (
    CONCEPT_LISTS,
    PipelineRecipe,
    SceneRecipe,
    Start,
    check_recipe,
    scenery,
    text_part,
    train_pipeline,
)
from ..training.student import StudentRecipe
from ..training.text import TextRecipe
from ..training.upscaler import UpscalerRecipe, train_upscaler
from ..training.upscaler_sprites import crisp_sprites

Stop = Callable[[], bool]
#: `kind` of a recipe → its one section and that section's record; a pipeline has many (`read_pipeline`).
PARTS: Mapping[str, type[Any]] = {
    "codec": CodecRecipe, "dcgan": DcganRecipe, "vae": VaeRecipe, "upscaler": UpscalerRecipe,
    "text": TextRecipe,
}  # fmt: skip
KINDS = ("pipeline", *PARTS, "drawer", "finetune")


@dataclass(frozen=True, slots=True)
class Part:
    """A further kind of recipe, of one section, that is trained by somebody else."""

    #: Record of its section.
    record: type[Any]
    #: Recipe, drawings, concepts, folder of checkpoints, folder of the result, report, stop.
    train: Callable[..., object]


@dataclass(frozen=True, slots=True)
class Task:
    """What `daguerre train` was asked to do."""

    file: Path
    #: Folder of checkpoints.
    run: Path
    #: Folder of the data set: sprites, packages, what the sentence teacher said.
    data: Path
    #: Where results go; each kind has its own place below the run if left out.
    weights: Path | None = None
    #: The user's own pictures, as `daguerre data import` reads them; for `finetune`.
    pictures: Path | None = None
    #: Weights to fine-tune, in place of the recipe's.
    base: Path | None = None
    #: Takes the place of [denoiser] objective.
    objective: str = ""


def run_task(
    task: Task, progress: Progress, stop: Stop = lambda: False, further: Mapping[str, Part] = MappingProxyType({})
) -> None:
    """Run a recipe to its end, or until `stop`; the same call goes on where it stopped. `further`: by their kind.

    Where several processes were launched, pipelines and fine-tunes train on all of them, single parts on the first.

    Raises:
        DataError, TrainingError: says what to do.
    """
    content = recipes.read(task.file)
    kind = content.get("kind", "pipeline")
    several = Processes()
    if kind not in (kinds := (*KINDS, *further)):
        raise TrainingError(f"{task.file}: there is no kind of recipe {kind!r}, only {', '.join(kinds)}.")
    if kind == "finetune":
        if task.pictures is None:
            raise TrainingError("A fine-tune needs your pictures: scripts/start train RECIPE --pictures FOLDER")
        wanted = read_finetune(task.file)
        wanted = replace(wanted, base=task.base or wanted.base)
        finetune_folder(wanted, task.pictures, task.run, progress, stop)
    elif kind == "pipeline":
        recipe = read_pipeline(task.file, task.objective)
        weights = task.weights or task.run / "export" / recipe.name
        # Drawings of 64 px serve smaller pictures, too.
        sprites = several.first(lambda: sprite_set(task.data, max(64, recipe.latents.size), progress))
        if sprites is not None:
            train_pipeline(recipe, task.run, sprites, task.data, weights, progress, stop)
    elif kind == "drawer":
        several.alone(lambda: _drawer(task, progress, stop))
    else:
        several.alone(lambda: _part(kind, content, task, progress, stop, further))


def read_pipeline(file: Path, objective: str = "") -> PipelineRecipe:
    """Read a recipe of a whole pipeline.

    Raises:
        TrainingError: the file is missing, or holds an unknown key or a wrong value; says which.
    """
    content = recipes.read(file)
    sections: dict[str, Any] = {
        name: recipes.section(file, name, record, content.pop(name, {}))
        for name, record in (
            ("start", Start), ("scenes", SceneRecipe), ("codec", CodecRecipe), ("text", TextRecipe),
            ("latents", LatentRecipe), ("denoiser", DenoiserRecipe), ("distil", DistilRecipe),
        )
    }  # fmt: skip
    if "student" in content:
        sections["student"] = recipes.section(file, "student", StudentRecipe, content.pop("student"))
    if objective:
        given = recipes.section(file, "denoiser", DenoiserRecipe, {"objective": objective})
        sections["denoiser"] = replace(sections["denoiser"], objective=given.objective)
    content.pop("kind", None)
    if unknown := sorted(set(content) - {"name", "concepts", "compose"}):
        raise TrainingError(f"{file}: unknown key {unknown[0]!r}.")
    recipe = PipelineRecipe(name=name_of(file, content), **(content | sections))
    check_recipe(recipe, file)
    return recipe


def name_of(file: Path, content: dict[str, Any]) -> str:
    """The name of a recipe, taken out of its content.

    Raises:
        TrainingError: it has none.
    """
    if not isinstance(content.get("name"), str):
        raise TrainingError(f'{file}: a recipe needs a name = "…".')
    return str(content.pop("name"))


def sprite_set(data: Path, size: int, progress: Progress) -> SpriteSet:
    """The built drawings of a size; built where they are not, or where their format is old.

    Raises:
        DataError: a package cannot be had, or no space is left.
    """
    return build(
        data / f"sprites{size}", data / "packages", size=size, report=progress.line,
        progress=lambda name, done, count: progress.step(f"drawing {name}", done, count, {}),
    )  # fmt: skip


def _drawer(task: Task, progress: Progress, stop: Stop) -> None:
    wanted = read_drawer(task.file)
    sprites = sprite_set(task.data, wanted.drawer.size, progress)
    out = task.weights or task.run / "export" / "denoiser"
    drawer_run(wanted, sprites, task.run, out, progress, stop)


def _part(
    kind: str, content: dict[str, Any], task: Task, progress: Progress, stop: Stop, further: Mapping[str, Part]
) -> None:
    """One part of a pipeline, or a baseline."""
    recipe: Any = recipes.section(
        task.file, kind, further[kind].record if kind in further else PARTS[kind], content.pop(kind, {})
    )
    name = name_of(task.file, content)
    concepts = content.pop("concepts", "first-light")
    start = content.pop("start", "")
    content.pop("kind")
    if content:
        raise TrainingError(f"{task.file}: unknown key {min(content)!r}.")
    if concepts not in CONCEPT_LISTS:
        raise TrainingError(f"{task.file}: there is no list of concepts {concepts!r}, only {', '.join(CONCEPT_LISTS)}.")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    begin = Path(start) if start else None
    out = task.weights or task.run / "export" / name
    if kind == "upscaler":
        crisp = crisp_sprites(
            task.data / f"sprites{recipe.size}-{recipe.drawings}", task.data / "packages", recipe.drawings,
            size=recipe.size, report=progress.line, stop=stop,
        )  # fmt: skip
        if crisp is not None:
            codec = AutoencoderKL.from_pretrained(begin, local_files_only=True, use_safetensors=True) if begin else None
            model = train_upscaler(recipe, crisp, task.run, codec, progress.line, stop, device=device)
            upscaling.save(model, out)
        return
    sprites = sprite_set(task.data, 64, progress)
    if kind == "codec":
        codec = train_codec(recipe, sprites, task.run, progress, stop, begin, device)
        codec.save_pretrained(out, safe_serialization=True)
    elif kind == "text":
        alone = PipelineRecipe(name, concepts, text=recipe)
        text_part(alone, scenery(alone, sprites), task.run, task.data, progress, stop, device)
    elif kind in further:
        further[kind].train(recipe, sprites, CONCEPT_LISTS[concepts], task.run, out, progress.line, stop)
    else:
        train = train_dcgan if kind == "dcgan" else train_vae
        train(recipe, sprites, CONCEPT_LISTS[concepts], task.run, progress, stop)
