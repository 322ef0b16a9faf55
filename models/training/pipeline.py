"""From a recipe to a pipeline folder: sprites → codec → text encoder → latents → denoiser → student → export.

Each stage leaves its result in the run folder and is skipped when it is there, so the same command goes on where it
stopped. Stages may begin from weights that were exported before.
"""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from ..common import check_folder
from ..data import CONCEPTS, EMOJIBASE, SpriteSet
from ..data.colours import Looks, looks_of
from ..data.compose import render
from ..data.describe import Names, names_of
from ..data.sampler import KINDS, SceneSampler
from ..errors import TrainingError
from .codec import CodecRecipe, train_codec
from .denoiser import DenoiserRecipe, TextToLatent, train_denoiser
from .distil import DistilRecipe, Teacher
from .export import export
from .latents import LatentRecipe, build_latents, draw_scenes, encode, normalise, posterior_deviation
from .lexicon import Aliases, emojibase_rows
from .networks import LATENT_FACTOR
from .objectives import objective
from .processes import Processes
from .progress import Progress
from .sources import CachedLatents, ComposedScenes, Source
from .student import StudentRecipe, export_student, train_student
from .text import TextRecipe, load_encoder, save_encoder
from .textstage import text_stage
from .upscaler import UpscalerRecipe

Stop = Callable[[], bool]
#: What `concepts = "…"` of a recipe may name.
CONCEPT_LISTS: Mapping[str, Aliases] = {"first-light": CONCEPTS}
#: Scenes that the latents' mean and deviation are measured on.
MEASURED = 2_048


@dataclass(frozen=True, slots=True)
class Start:
    """Exported weights to begin from, and which of their parts."""

    #: A pipeline folder; empty for a run from nothing.
    weights: str = ""
    codec: bool = True
    text: bool = True
    denoiser: bool = True
    #: Teach the start's text encoder more, holding it to what it says of plain captions.
    teach: bool = False


@dataclass(frozen=True, slots=True)
class SceneRecipe:
    """How often each kind of scene is drawn."""

    single: float = KINDS["single"]
    colour: float = KINDS["colour"]
    count: float = KINDS["count"]
    position: float = KINDS["position"]
    two: float = KINDS["two"]
    size: float = KINDS["size"]
    #: Share of the scenes that are one thing in any case.
    plain: float = 0.1
    #: Kinds of drawings: `emoji`, `icon`, `clipart`, `tile`.
    drawings: tuple[str, ...] = ("emoji",)


@dataclass(frozen=True, slots=True)
class PipelineRecipe:
    """One run, whole."""

    name: str
    concepts: str = "first-light"
    #: Compose every batch anew instead of caching latents; for GPUs.
    compose: bool = False
    start: Start = field(default_factory=Start)
    scenes: SceneRecipe = field(default_factory=SceneRecipe)
    codec: CodecRecipe = field(default_factory=CodecRecipe)
    text: TextRecipe = field(default_factory=TextRecipe)
    latents: LatentRecipe = field(default_factory=LatentRecipe)
    denoiser: DenoiserRecipe = field(default_factory=DenoiserRecipe)
    distil: DistilRecipe = field(default_factory=DistilRecipe)
    #: Without one, none is distilled.
    student: StudentRecipe | None = None
    upscaler: UpscalerRecipe | None = None


@dataclass(frozen=True)
class Scenery:
    """The data of a run: drawings, what they are called and look like, and what is drawn from them."""

    sprites: SpriteSet
    concepts: Aliases
    names: Names
    looks: Mapping[int, Looks]
    sampler: SceneSampler


def scenery(recipe: PipelineRecipe, sprites: SpriteSet) -> Scenery:
    """Everything that scenes are drawn from."""
    concepts = CONCEPT_LISTS[recipe.concepts]
    names = names_of(sprites.rows, concepts)
    known = looks_of(sprites.images, [row["i"] for row in sprites.rows if row["caption_en"] in names], 64)
    weights = asdict(recipe.scenes)
    plain, drawings = weights.pop("plain"), weights.pop("drawings")
    rows = sprites.only(kinds=drawings).rows
    sampler = SceneSampler(rows, names_only(concepts, names), looks=known, kinds=weights, plain=plain)
    return Scenery(sprites, concepts, names, known, sampler)


def names_only(concepts: Aliases, names: Names) -> Aliases:
    """The concepts that the data set has."""
    return {concept: aliases for concept, aliases in concepts.items() if concept in names}


def train_pipeline(
    recipe: PipelineRecipe,
    run: Path,
    sprites: SpriteSet,
    cache: Path,
    weights: Path,
    progress: Progress,
    stop: Stop = lambda: False,
) -> None:
    """Run every stage that is not done yet; exports to `weights` whenever the denoiser is saved.

    Args:
        cache: folder of what several runs share: packages, the sentence teacher's vectors.

    Raises:
        DataError, TrainingError: with what to do.
    """
    several = Processes()
    device = str(several.device)
    if recipe.start.weights:
        check_folder(Path(recipe.start.weights))
    if several.main:
        run.mkdir(parents=True, exist_ok=True)
        (run / "recipe.json").write_text(json.dumps(asdict(recipe), indent=1))
        if recipe.start.weights:
            _take_along(Path(recipe.start.weights) / "upscaler", run / "extras" / "upscaler")
    scene = scenery(recipe, sprites)
    codec = several.first(lambda: _codec(recipe, scene, run, progress, stop, device))
    if codec is None:
        return
    parts = several.first(lambda: text_part(recipe, scene, run, cache, progress, stop, device))
    if parts is None:
        return
    tokenizer, text = parts
    source = several.first(lambda: _source(recipe, scene, codec, run, progress, stop, device))
    if source is None:
        return
    aim = objective(recipe.denoiser.objective, shift=recipe.denoiser.shift)

    def each_save(model: TextToLatent, step: int, samples: int) -> None:
        card = {"recipe": _told(recipe), "steps": step, "samples": samples}
        model.unet.register_to_config(sample_size=recipe.latents.size // LATENT_FACTOR)
        styles = sorted({row["style"] for row in sprites.rows})
        extras = run / "extras"
        export(model, codec, tokenizer, weights, scene.names, card, aim.scheduler(), styles=styles, extras=extras)

    start = None
    if recipe.start.weights and recipe.start.denoiser:
        start = UNet2DConditionModel.from_pretrained(
            recipe.start.weights, subfolder="unet", local_files_only=True, use_safetensors=True
        )
    told = None
    if recipe.distil.weights:
        check_folder(Path(recipe.distil.weights))
        told = Teacher(recipe.distil, scene.names, device)
    model = train_denoiser(
        recipe.denoiser, source, text, tokenizer, run, progress, stop, each_save, start=start, teacher=told
    )
    if recipe.student is None or several.any(stop()):
        return

    # The student: an adapter beside the weights.
    teacher, wanted, folder = copy.deepcopy(model), recipe.student, run / "extras" / "student"

    def student() -> None:
        train_student(
            wanted, source, teacher.unet, teacher.text, tokenizer, run, progress, stop,
            lambda _: export_student(teacher.unet, wanted, folder),
        )  # fmt: skip
        if folder.is_dir():
            shutil.copytree(folder, weights / "student", dirs_exist_ok=True)

    several.alone(student)


def _told(recipe: PipelineRecipe) -> dict[str, Any]:
    """The recipe for those who get the weights: other weights by name, as their folders are of this machine."""
    told = asdict(recipe)
    for part in (told["start"], told["distil"]):
        part["weights"] = Path(part["weights"]).name
    return told


def _take_along(part: Path, to: Path) -> None:
    """Copy a part of the start that this run does not train, so that its export is as whole as what it began from."""
    if part.is_dir() and not to.is_dir():
        shutil.copytree(part, to)


def _codec(
    recipe: PipelineRecipe, scene: Scenery, run: Path, progress: Progress, stop: Stop, device: str
) -> AutoencoderKL | None:
    """The codec with latents N(0, 1): from the start, or trained and normalised here; None where `stop` came first."""
    folder = run / "codec"
    if not folder.is_dir():
        if recipe.start.weights and recipe.start.codec:
            shutil.copytree(Path(recipe.start.weights) / "vae", folder)
        else:
            trained = train_codec(recipe.codec, scene.sprites, run, progress, stop, device=device).eval()
            if stop():
                return None
            scenes = draw_scenes(scene.sampler, MEASURED, 1.0, random.Random(recipe.latents.seed))
            normalise(trained, encode(trained, scenes, scene.sprites.images, recipe.codec.size))
            trained.save_pretrained(folder, safe_serialization=True)
    codec: AutoencoderKL = AutoencoderKL.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    return codec.eval().requires_grad_(False)


def text_part(
    recipe: PipelineRecipe, scene: Scenery, run: Path, cache: Path, progress: Progress, stop: Stop, device: str
) -> tuple[PreTrainedTokenizerFast, T5EncoderModel] | None:
    """Tokenizer and text encoder: from the start, or taught here; None where `stop` came first."""
    folder, file = run / "tokenizer", run / "text.safetensors"
    begun = None
    if recipe.start.weights and recipe.start.text and not file.is_file():
        start = Path(recipe.start.weights)
        before = T5EncoderModel.from_pretrained(start / "text_encoder", local_files_only=True, use_safetensors=True)
        if recipe.start.teach:
            begun = PreTrainedTokenizerFast.from_pretrained(start / "tokenizer", local_files_only=True), before.float()
        else:
            shutil.copytree(start / "tokenizer", folder, dirs_exist_ok=True)
            save_encoder(before.float(), file)
    if file.is_file():
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
        return tokenizer, load_encoder(recipe.text, len(tokenizer), file)

    emojibase = cache / "packages" / EMOJIBASE.folder
    every = [*(emojibase_rows(emojibase) if emojibase.is_dir() else ()), *scene.sprites.rows]
    taught = text_stage(
        recipe.text, every, scene.concepts, scene.sampler, scene.names, run, cache / "teacher", progress, stop, device,
        begun,
    )  # fmt: skip
    return (taught.tokenizer, taught.encoder) if taught else None


def _source(
    recipe: PipelineRecipe,
    scene: Scenery,
    codec: AutoencoderKL,
    run: Path,
    progress: Progress,
    stop: Stop,
    device: str,
) -> Source | None:
    """Where the denoiser's batches come from; None where `stop` came first."""
    images = scene.sprites.images
    if recipe.compose:
        return ComposedScenes(
            scene.sampler, images, codec.to(device), scene.names, size=recipe.latents.size,
            aspects=recipe.latents.aspects,
        )  # fmt: skip
    shards = build_latents(
        run / f"latents-{recipe.latents.size}", recipe.latents, codec, images, scene.sampler, progress, stop
    )
    if shards is None:
        return None
    scenes = draw_scenes(scene.sampler, 64, 1.0, random.Random(0))
    return CachedLatents(shards, posterior_deviation(codec, render(scenes, images, recipe.latents.size)), scene.names)


def check_recipe(recipe: PipelineRecipe, file: Path) -> None:
    """Refuse what no run could use.

    Raises:
        TrainingError: says what there is.
    """
    if recipe.concepts not in CONCEPT_LISTS:
        raise TrainingError(
            f"{file}: there is no list of concepts {recipe.concepts!r}, only {', '.join(CONCEPT_LISTS)}."
        )
    if recipe.denoiser.objective not in ("flow", "epsilon"):
        raise TrainingError(f"{file}: [denoiser] objective must be flow or epsilon, not {recipe.denoiser.objective!r}.")
    if recipe.distil.weights and recipe.denoiser.objective != "flow":
        raise TrainingError(
            f'{file}: [distil] compares velocities; take objective = "flow", or leave its weights empty.'
        )
    if not 0 <= recipe.distil.share <= 1:
        raise TrainingError(f"{file}: [distil] share is a share of the target, 0 to 1, not {recipe.distil.share:g}.")
    if recipe.student and recipe.denoiser.objective != "flow":
        raise TrainingError(f'{file}: a [student] is distilled from a flow; take objective = "flow", or no student.')
