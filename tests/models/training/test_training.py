"""The training loops at toy size and the export: real networks, real files."""

from __future__ import annotations

import dataclasses
import json
import random
import re
from pathlib import Path
from typing import Any

import modelkit
import pytest
import torch
from accelerate.state import AcceleratorState
from diffusers import AutoPipelineForImage2Image, DiffusionPipeline, StableDiffusionImg2ImgPipeline
from modelkit import interrupted_after, same
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from daguerre.models.commands.kinds import Part, Task, read_pipeline, run_task
from daguerre.models.commands.train import FURTHER
from daguerre.models.data.describe import names_of
from daguerre.models.data.store import SpriteSet
from daguerre.models.errors import TrainingError
from daguerre.models.training import networks
from daguerre.models.training.denoiser import DenoiserRecipe, train_denoiser, warm_start
from daguerre.models.training.export import export
from daguerre.models.training.latents import LatentRecipe, build_latents, draw_scenes, encode, normalise
from daguerre.models.training.objectives import objective
from daguerre.models.training.pipeline import train_pipeline
from daguerre.models.training.progress import Lines, TensorBoard
from daguerre.models.training.sources import CachedLatents, ComposedScenes
from daguerre.models.training.student import StudentRecipe, export_student, train_student, window
from daguerre.models.training.tokenizer import tokenize

DENOISER = modelkit.DENOISER
QUIET = Lines(str)
pytest_plugins = ("trainingfixtures",)
RECIPES = Path(__file__).resolve().parents[3] / "models" / "recipes"


@pytest.fixture(scope="module")
def sprites() -> SpriteSet:
    return modelkit.sprite_set()


@pytest.fixture(scope="module")
def source(sprites: SpriteSet) -> CachedLatents:
    return modelkit.source(sprites)


@pytest.mark.parametrize("aim", ["flow", "epsilon"])
def test_a_denoiser_run_that_was_stopped_goes_on_to_the_same_bits(
    aim: str, source: CachedLatents, text: Any, tokenizer: Any, tmp_path: Path
) -> None:
    """Weights, moments, averages and every random number."""
    recipe = dataclasses.replace(DENOISER, objective=aim)
    whole = train_denoiser(recipe, source, text, tokenizer, tmp_path / "whole", QUIET)
    train_denoiser(recipe, source, text, tokenizer, tmp_path / "parts", QUIET, interrupted_after(3))
    parts = train_denoiser(recipe, source, text, tokenizer, tmp_path / "parts", QUIET)
    assert same(whole, parts)


@pytest.mark.parametrize("amx", [True, False])
def test_tiles_are_used_where_the_processor_has_them_and_by_the_student_too(
    amx: bool, source: CachedLatents, text: Any, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The precision is one for the whole process, so the stage after the denoiser's must not ask for another."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx})
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        recipe = dataclasses.replace(DENOISER, tiles=True, steps=2)
        model = train_denoiser(recipe, source, text, tokenizer, tmp_path, QUIET)
        assert AcceleratorState().mixed_precision == ("bf16" if amx else "no")
        assert all(each.dtype == torch.float32 for each in model.parameters())
        student = StudentRecipe(rank=2, windows=2, inner=1, steps=2, batch=2)
        train_student(student, source, model.unet, model.text, tokenizer, tmp_path, QUIET)
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize("aim", ["flow", "epsilon"])
def test_the_denoiser_learns(aim: str, source: CachedLatents, text: Any, tokenizer: Any, tmp_path: Path) -> None:
    """The loss on the same batch falls clearly below that of a fresh network."""
    recipe = dataclasses.replace(DENOISER, objective=aim, steps=80, rate=3e-3, ema=0.8, batch=8)
    trained = train_denoiser(recipe, source, text, tokenizer, tmp_path, QUIET)
    torch.manual_seed(recipe.seed)
    fresh = train_denoiser(dataclasses.replace(recipe, steps=0), source, text, tokenizer, tmp_path / "none", QUIET)
    clean, texts = source.batch(32, random.Random(5), torch.Generator().manual_seed(5))
    with torch.no_grad():
        losses = [
            objective(aim, shift=0.8).loss(each, clean, tokenize(tokenizer, texts), torch.Generator().manual_seed(6))
            for each in (fresh, trained)
        ]
    assert losses[1] < 0.8 * losses[0]


def test_a_run_can_begin_from_exported_weights(
    source: CachedLatents, text: Any, tokenizer: Any, tmp_path: Path
) -> None:
    """Every tensor that fits is taken over, and what does not is named."""
    trained = train_denoiser(DENOISER, source, text, tokenizer, tmp_path / "one", QUIET)
    begun = train_denoiser(
        dataclasses.replace(DENOISER, steps=0), source, text, tokenizer, tmp_path / "two", QUIET, start=trained.unet
    )
    assert same(trained.unet, begun.unet)
    wider = networks.denoiser((16, 16, 48), (False, True, True), 48)
    assert "fresh: " in warm_start(wider, trained.unet)


def test_samples_are_counted_over_stretches_with_other_batches(
    source: CachedLatents, text: Any, tokenizer: Any, tmp_path: Path
) -> None:
    """The figure on a model's card is what it saw, not the steps times the last batch."""
    seen: list[tuple[int, int]] = []
    for batch, steps in ((4, 3), (2, 5)):
        stretch = dataclasses.replace(DENOISER, batch=batch, steps=steps)
        train_denoiser(stretch, source, text, tokenizer, tmp_path, QUIET, each_save=lambda _, *told: seen.append(told))
    assert seen == [(3, 12), (5, 16)]


def test_a_checkpoint_of_another_recipe_is_refused(
    source: CachedLatents, text: Any, tokenizer: Any, tmp_path: Path
) -> None:
    """And stays as it was."""
    train_denoiser(dataclasses.replace(DENOISER, steps=1), source, text, tokenizer, tmp_path, QUIET)
    before = (tmp_path / "denoiser.safetensors").read_bytes()
    with pytest.raises(TrainingError, match="another recipe"):
        train_denoiser(dataclasses.replace(DENOISER, channels=(16, 32, 32)), source, text, tokenizer, tmp_path, QUIET)
    assert (tmp_path / "denoiser.safetensors").read_bytes() == before


def test_a_damaged_checkpoint_is_named(source: CachedLatents, text: Any, tokenizer: Any, tmp_path: Path) -> None:
    """Half a file is not taken for a run."""
    (tmp_path / "denoiser.safetensors").write_bytes(b"half a file")
    with pytest.raises(TrainingError, match="damaged"):
        train_denoiser(DENOISER, source, text, tokenizer, tmp_path, QUIET)


def test_a_loss_that_is_no_number_stops_the_run(
    source: CachedLatents, text: Any, tokenizer: Any, tmp_path: Path
) -> None:
    """It says so, before the checkpoint is overwritten."""

    class Broken:
        def batch(
            self, count: int, choose: random.Random, generator: torch.Generator
        ) -> tuple[torch.Tensor, list[str]]:
            clean, texts = source.batch(count, choose, generator)
            return clean * float("nan"), texts

    with pytest.raises(TrainingError, match="nan at step 0"):
        train_denoiser(DENOISER, Broken(), text, tokenizer, tmp_path, QUIET)
    assert not (tmp_path / "denoiser.safetensors").exists()


def test_a_cache_of_latents_goes_on_where_it_stopped(sprites: SpriteSet, tmp_path: Path) -> None:
    """Whole shards are kept, the result is that of one go, and another codec makes it anew."""
    recipe = LatentRecipe(size=modelkit.SIZE, shards=3, scenes=6, aspects=(1.0, 1.5))
    codec, scenes = modelkit.codec(), modelkit.sampler(sprites)
    whole = build_latents(tmp_path / "whole", recipe, codec, sprites.images, scenes, QUIET)
    assert build_latents(tmp_path / "parts", recipe, codec, sprites.images, scenes, QUIET, interrupted_after(1)) is None
    kept = (tmp_path / "parts" / "00000.npy").stat().st_mtime_ns
    parts = build_latents(tmp_path / "parts", recipe, codec, sprites.images, scenes, QUIET)
    assert whole is not None
    assert parts is not None
    assert all(torch.equal(a.means, b.means) and a.scenes == b.scenes for a, b in zip(whole, parts, strict=True))
    assert (tmp_path / "parts" / "00000.npy").stat().st_mtime_ns == kept
    assert [tuple(shard.means.shape[1:]) for shard in whole] == [(4, 8, 8), (4, 8, 12), (4, 8, 8)]
    with torch.no_grad():
        codec.quant_conv.bias.add_(1)
    again = build_latents(tmp_path / "parts", recipe, codec, sprites.images, scenes, QUIET)
    assert again is not None
    assert not torch.equal(again[0].means, whole[0].means)


def test_batches_are_true_and_of_one_shape(source: CachedLatents, sprites: SpriteSet) -> None:
    """Cached or composed on the spot: latents of one shape, and as many captions in several languages."""
    composed = ComposedScenes(
        modelkit.sampler(sprites), sprites.images, modelkit.codec(), names_of(sprites.rows, modelkit.CONCEPTS),
        size=modelkit.SIZE, aspects=(1.0, 1.5),
    )  # fmt: skip
    for each in (source, composed):
        shapes, texts = set(), []
        for step in range(12):
            clean, said = each.batch(5, random.Random(step), torch.Generator().manual_seed(step))
            shapes.add(tuple(clean.shape[1:]))
            texts += said
        assert shapes == {(4, 8, 8), (4, 8, 12)}
        assert len(texts) == 60
        assert any(re.search("[\u4e00-\u9fff]", text) for text in texts)
        assert any("apple" in text for text in texts)


def test_normalising_changes_latents_but_not_pictures(sprites: SpriteSet) -> None:
    """The codec decodes its own new latents to the same picture, and they are N(0, 1)."""
    codec = modelkit.codec()
    scenes = draw_scenes(modelkit.sampler(sprites), 32, 1.0, random.Random(2))
    means = encode(codec, scenes, sprites.images, modelkit.SIZE)
    pictures = torch.rand(3, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        before = codec.decode(codec.encode(pictures).latent_dist.mean).sample
        normalise(codec, means)
        after = codec.decode(codec.encode(pictures).latent_dist.mean).sample
    found = encode(codec, scenes, sprites.images, modelkit.SIZE).float()
    assert torch.allclose(before, after, atol=1e-4)
    assert found.mean((0, 2, 3)).abs().max() < 1e-2
    assert (found.std((0, 2, 3)) - 1).abs().max() < 1e-2
    assert codec.config.scaling_factor == 1.0


def test_a_recipe_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    """A typing mistake must not train for two hours with a default."""
    file = tmp_path / "typo.toml"
    for text, said in (
        ('name = "typo"\n[denoiser]\nbach = 3\n', "bach"),
        ('name = "typo"\n[denoiser]\nbatch = "many"\n', "batch must be like 16"),
        ('name = "typo"\nconcepts = "everything"\n', "everything"),
        ('name = "typo"\n[denoiser]\nobjective = "gan"\n', "flow or epsilon"),
        ('name = "typo"\nkind = "transformer"\n', "transformer"),
        ("name = typo", "Cannot read"),
        ('kind = "pipeline"\n', "needs a name"),
    ):
        file.write_text(text)
        with pytest.raises(TrainingError, match=said):
            run_task(Task(file, tmp_path, tmp_path), QUIET)


@pytest.mark.parametrize("name", ["cpu", "gpu", "smoke"])
def test_shipped_pipeline_recipes_can_be_read(name: str) -> None:
    assert read_pipeline(RECIPES / f"{name}.toml", "").student is not None


def test_the_objective_of_a_recipe_can_be_replaced() -> None:
    """`daguerre train RECIPE --objective epsilon`; a student needs a flow, so it says so."""
    with pytest.raises(TrainingError, match="student"):
        read_pipeline(RECIPES / "smoke.toml", "epsilon")


def test_a_student_learns_its_teachers_windows(
    source: CachedLatents, text: Any, tokenizer: Any, tmp_path: Path
) -> None:
    """Closer to the guided teacher's mean velocity than the teacher's own first step is; resumed to the same bits."""
    taught = DenoiserRecipe(**{**dataclasses.asdict(DENOISER), "steps": 60, "rate": 3e-3, "ema": 0.8})
    teacher = train_denoiser(taught, source, text, tokenizer, tmp_path / "teacher", QUIET)
    recipe = StudentRecipe(steps=40, warmup=2, batch=4, inner=2, rate=5e-3, ema=0.9)
    nets = []
    for name, stops in (("whole", (None,)), ("parts", (15, None))):
        for stop in stops:
            unet = networks.denoiser(DENOISER.channels, DENOISER.attention, 48)
            unet.load_state_dict(teacher.unet.state_dict())
            train_student(
                recipe, source, unet, teacher.text, tokenizer, tmp_path / name, QUIET,
                interrupted_after(stop) if stop else lambda: False,
            )  # fmt: skip
        nets.append(unet)
    assert same(*nets)
    clean, texts = source.batch(16, random.Random(9), torch.Generator().manual_seed(9))
    states, silence = (teacher.text(tokenize(tokenizer, each))[0] for each in (texts, [""] * len(texts)))
    begin, target, sigma = window(recipe, unet, clean, states, silence, torch.Generator().manual_seed(1))
    with torch.no_grad():
        student = unet(begin, sigma * 1000, states).sample
        unet.disable_adapters()
        plain = unet(begin, sigma * 1000, states).sample
    assert (student - target).square().mean() < 0.9 * (plain - target).square().mean()
    export_student(unet, recipe, tmp_path / "student")
    assert (tmp_path / "student" / "pytorch_lora_weights.safetensors").stat().st_size < 400_000


@pytest.fixture(scope="module")
def exported(
    tmp_path_factory: pytest.TempPathFactory, source: CachedLatents, sprites: SpriteSet, text: Any, tokenizer: Any
) -> Path:
    """A whole exported pipeline, briefly trained."""
    folder = tmp_path_factory.mktemp("weights")
    model = train_denoiser(DENOISER, source, text, tokenizer, folder / "run", QUIET)
    codec = modelkit.codec()
    names = names_of(sprites.rows, modelkit.CONCEPTS)
    export(model, codec, tokenizer, folder / "toy", names, {"steps": 8}, styles=["noto"])
    # Only the files are halved.
    assert {p.dtype for p in model.parameters()} == {p.dtype for p in codec.parameters()} == {torch.float32}
    return folder / "toy"


def test_stock_programs_open_the_export(exported: Path) -> None:
    """`DiffusionPipeline.from_pretrained` and `AutoPipelineForImage2Image.from_pipe`, nothing of ours."""
    pipeline = DiffusionPipeline.from_pretrained(exported, local_files_only=True, use_safetensors=True)
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline("a red apple", num_inference_steps=2).images[0]
    assert isinstance(picture, Image.Image)
    again = AutoPipelineForImage2Image.from_pipe(pipeline)
    assert isinstance(again, StableDiffusionImg2ImgPipeline)
    varied = again("a pizza", image=picture, strength=0.6, num_inference_steps=4).images[0]
    assert varied.size == picture.size


def test_a_whole_recipe_trains_exports_and_begins_again(sprites: SpriteSet, tmp_path: Path) -> None:
    """`smoke.toml` on a tiny set: every stage, the loss falls, tensorboard has it, the next run begins from it."""
    recipe = read_pipeline(RECIPES / "smoke.toml", "")
    losses: list[float] = []

    class Watched(Lines):
        def step(self, stage: str, step: int, steps: int, scalars: Any) -> None:
            super().step(stage, step, steps, scalars)
            if stage == "denoiser":
                losses.append(scalars["loss"])

    told = TensorBoard(tmp_path / "events", Watched(str))
    train_pipeline(recipe, tmp_path / "run", sprites, tmp_path / "cache", tmp_path / "out", told)
    assert losses[-1] < 0.9 * losses[0]
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    assert len(events.Scalars("denoiser/loss")) >= 5
    pipeline = DiffusionPipeline.from_pretrained(tmp_path / "out", local_files_only=True, use_safetensors=True)
    assert pipeline.unet.config.sample_size == 8
    assert (tmp_path / "out" / "student" / "config.json").is_file()

    # A part that this run does not train travels from the start into the export.
    (tmp_path / "out" / "upscaler").mkdir()
    (tmp_path / "out" / "upscaler" / "config.json").write_text("{}")
    start = dataclasses.replace(recipe.start, weights=str(tmp_path / "out"))
    further = dataclasses.replace(
        recipe, start=start, student=None, denoiser=dataclasses.replace(recipe.denoiser, steps=2)
    )
    said: list[str] = []
    train_pipeline(further, tmp_path / "next", sprites, tmp_path / "cache", tmp_path / "more", Lines(said.append))
    assert any(line.startswith("warm start: ") and "fresh" not in line for line in said)
    assert (tmp_path / "more" / "upscaler" / "config.json").read_text() == "{}"
    told = (tmp_path / "more" / "training.json").read_text()
    assert json.loads(told)["recipe"]["start"]["weights"] == "out"
    assert str(tmp_path) not in told


def test_the_text_stage_has_a_recipe_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`daguerre train text.toml` leaves tokenizer, encoder and figures in the run's folder."""
    monkeypatch.setattr("daguerre.models.commands.kinds.sprite_set", lambda *_: modelkit.sprite_set())
    file = tmp_path / "text.toml"
    file.write_text(
        'kind = "text"\nname = "toy"\n[text]\nwidth = 24\nlayers = 1\nvocabulary = 400\ncaptions = 4\n'
        "pairs = 2\nwords = 2\nsteps = 2\nwarmup = 1\nshort = 8\nteacher = false\n"
    )
    run_task(Task(file, tmp_path / "run", tmp_path), QUIET)
    assert {"tokenizer", "text.safetensors", "text-report.json"} <= {one.name for one in (tmp_path / "run").iterdir()}


def test_a_recipe_of_a_further_kind_goes_to_whom_it_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training knows nothing of recognisers, which judge its results; the command line brings them along."""
    monkeypatch.setattr("daguerre.models.commands.kinds.sprite_set", lambda *_: modelkit.sprite_set())
    file = tmp_path / "recogniser.toml"
    file.write_text('kind = "recogniser"\nname = "toy"\n[recogniser]\nsteps = 7\n')
    with pytest.raises(TrainingError, match="no kind of recipe 'recogniser'"):
        run_task(Task(file, tmp_path / "run", tmp_path), QUIET)
    asked: list[tuple[object, ...]] = []
    further = {"recogniser": Part(FURTHER["recogniser"].record, lambda *all_of_it: asked.append(all_of_it))}
    run_task(Task(file, tmp_path / "run", tmp_path), QUIET, lambda: False, further)
    assert getattr(asked[0][0], "steps") == 7  # noqa: B009  its record is not this test's
    assert asked[0][3:5] == (tmp_path / "run", tmp_path / "run" / "export" / "toy")
