"""The training loops at toy size, the export and the engine: real networks, real files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, AutoPipelineForImage2Image, DiffusionPipeline, StableDiffusionImg2ImgPipeline
from PIL import Image

from daguerre.models import networks
from daguerre.models.data.build import SpriteSet, rasterise
from daguerre.models.engine import Cancelled, Engine, check_folder, digest, native_size
from daguerre.models.errors import EngineError, TrainingError, WeightsMissing, WeightsRefused
from daguerre.models.training.codec import CodecRecipe, codec_loss, random_pictures, train_codec
from daguerre.models.training.denoiser import DenoiserRecipe, flow_loss, train_denoiser
from daguerre.models.training.export import export
from daguerre.models.training.latents import LatentSet, encode, normalise
from daguerre.models.training.run import read_recipe
from daguerre.models.training.schedule import learning_rate
from daguerre.models.training.text import TextRecipe, train_text
from daguerre.models.training.tokenizer import tokenize, train_tokenizer

ALIASES = {"red apple": (("apple",), ("苹果",)), "pizza": ((), ())}
CODEC = CodecRecipe(channels=(16, 32, 32), size=16, crop=8, batch=2, steps=8, warmup=2)
DENOISER = DenoiserRecipe(
    channels=(16, 16, 32),
    batch=4,
    steps=8,
    warmup=2,
    attention=(False, True, True),
)
COLOURS = ("#ff0000", "#ffcc00")


@pytest.fixture(scope="module")
def sprites() -> SpriteSet:
    """Two concepts in two sizes."""
    drawn, rows = [], []
    for index, (label, radius) in enumerate([("red apple", 30), ("red apple", 20), ("pizza", 30), ("pizza", 20)]):
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64">'
            f'<circle cx="32" cy="32" r="{radius}" fill="{COLOURS[label == "pizza"]}"/></svg>'
        )
        pixels = rasterise(svg, 16)
        assert pixels is not None
        drawn.append(pixels)
        rows.append(
            {
                "i": index,
                "style": "noto",
                "tier": "A",
                "caption_en": label,
                "caption_zh": "",
                "keywords_en": [],
                "keywords_zh": [],
            }
        )
    return SpriteSet(np.stack(drawn), rows)


@pytest.fixture(scope="module")
def latents(sprites: SpriteSet) -> LatentSet:
    torch.manual_seed(0)
    return encode(networks.codec(CODEC.channels), sprites, ALIASES, variants=4, size=16)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(["a red apple", "a pizza", "一个苹果", "apple", "pizza"] * 20, 300)


@pytest.fixture(scope="module")
def text(latents: LatentSet, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A text encoder that has learnt little."""
    recipe = TextRecipe(width=48, layers=1, steps=5, batch=8, warmup=2)
    return train_text(
        recipe, latents.shown, tokenizer, tmp_path_factory.mktemp("text") / "text.safetensors", report=str
    )


@pytest.fixture(scope="module")
def weights(
    tmp_path_factory: pytest.TempPathFactory, sprites: SpriteSet, latents: LatentSet, text: Any, tokenizer: Any
) -> Path:
    """A whole exported pipeline, briefly trained."""
    folder = tmp_path_factory.mktemp("weights")
    model = train_denoiser(DENOISER, latents, text, tokenizer, folder / "run", report=str)
    torch.manual_seed(0)
    export(model, networks.codec(CODEC.channels), tokenizer, folder / "toy", ALIASES, list(sprites.rows), {"steps": 8})
    return folder / "toy"


def test_the_codec_learns(sprites: SpriteSet, tmp_path: Path) -> None:
    """Some small steps at least halve the error of a fresh network on the same pictures."""
    recipe = dataclasses.replace(CODEC, batch=8, steps=200, rate=1e-3, ema=0.9)
    torch.manual_seed(recipe.seed)
    fresh = networks.codec(recipe.channels)
    trained = train_codec(recipe, sprites, tmp_path, report=str)
    torch.manual_seed(3)
    pictures = random_pictures(torch.from_numpy(sprites.images), 16, 16)
    with torch.no_grad():
        _, before = codec_loss(fresh, pictures, recipe, half=False)
        _, after = codec_loss(trained, pictures, recipe, half=False)
    assert after < before / 2


def interrupted_after(calls: int) -> Any:
    left = iter(range(calls))
    return lambda: next(left, None) is None


def test_a_codec_run_that_was_stopped_goes_on_to_the_same_bits(sprites: SpriteSet, tmp_path: Path) -> None:
    """Weights, moments and random state all come back."""
    whole = train_codec(CODEC, sprites, tmp_path / "whole", report=str)
    train_codec(CODEC, sprites, tmp_path / "parts", report=str, stop=interrupted_after(3))
    parts = train_codec(CODEC, sprites, tmp_path / "parts", report=str)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))


def test_a_denoiser_run_that_was_stopped_goes_on_to_the_same_bits(
    latents: LatentSet, text: Any, tokenizer: Any, tmp_path: Path
) -> None:
    """Captions and noise of each step are the same, too."""
    whole = train_denoiser(DENOISER, latents, text, tokenizer, tmp_path / "whole", report=str)
    train_denoiser(DENOISER, latents, text, tokenizer, tmp_path / "parts", report=str, stop=interrupted_after(5))
    parts = train_denoiser(DENOISER, latents, text, tokenizer, tmp_path / "parts", report=str)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))


def test_the_denoiser_learns(latents: LatentSet, text: Any, tokenizer: Any, tmp_path: Path) -> None:
    """The flow loss falls well below that of a network that predicts nothing."""
    recipe = dataclasses.replace(DENOISER, steps=150, rate=3e-3, ema=0.9)
    unit = LatentSet(latents.mean / latents.mean.float().std(), latents.deviation * 0, latents.shown)
    trained = train_denoiser(recipe, unit, text, tokenizer, tmp_path, report=str)
    torch.manual_seed(5)
    chosen = torch.arange(len(unit))
    tokens = tokenize(tokenizer, [shown.english[0] for shown in unit.shown])
    with torch.no_grad():
        loss = flow_loss(trained, unit.draw(chosen), tokens, recipe.shift)
        torch.nn.init.zeros_(trained.unet.conv_out.weight)
        torch.nn.init.zeros_(trained.unet.conv_out.bias)
        nothing = flow_loss(trained, unit.draw(chosen), tokens, recipe.shift)
    assert loss < 0.6 * nothing


def test_the_text_encoder_learns_what_captions_mean(latents: LatentSet, tokenizer: Any, tmp_path: Path) -> None:
    """Afterwards two names of one thing lie nearer to each other than to another thing; the file brings it back."""
    recipe = TextRecipe(width=48, layers=1, steps=60, batch=16, warmup=5, rate=3e-3)
    learnt = train_text(recipe, latents.shown, tokenizer, tmp_path / "text.safetensors", report=str)
    again = train_text(recipe, latents.shown, tokenizer, tmp_path / "text.safetensors", report=str)
    with torch.no_grad():
        apple, also, pizza = learnt(tokenize(tokenizer, ["a red apple", "苹果", "a pizza"]))[0].mean(1)
        assert torch.equal(again(tokenize(tokenizer, ["a pizza"]))[0], learnt(tokenize(tokenizer, ["a pizza"]))[0])
    assert torch.cosine_similarity(apple, also, 0) > torch.cosine_similarity(apple, pizza, 0) + 0.2


def test_a_checkpoint_of_another_recipe_is_refused(
    latents: LatentSet, text: Any, tokenizer: Any, tmp_path: Path
) -> None:
    """And is left as it was."""
    train_denoiser(DENOISER, latents, text, tokenizer, tmp_path, report=str)
    before = (tmp_path / "denoiser.safetensors").read_bytes()
    with pytest.raises(TrainingError, match="another recipe"):
        train_denoiser(
            dataclasses.replace(DENOISER, channels=(16, 32, 32)), latents, text, tokenizer, tmp_path, report=str
        )
    assert (tmp_path / "denoiser.safetensors").read_bytes() == before


def test_a_damaged_checkpoint_is_named(latents: LatentSet, text: Any, tokenizer: Any, tmp_path: Path) -> None:
    """Half a file is not taken for a run."""
    (tmp_path / "denoiser.safetensors").write_bytes(b"half a file")
    with pytest.raises(TrainingError, match="damaged"):
        train_denoiser(DENOISER, latents, text, tokenizer, tmp_path, report=str)


def test_a_loss_that_is_no_number_stops_the_run(latents: LatentSet, text: Any, tokenizer: Any, tmp_path: Path) -> None:
    """It says so, before the checkpoint is overwritten."""
    broken = LatentSet(latents.mean * float("nan"), latents.deviation, latents.shown)
    with pytest.raises(TrainingError, match="nan at step 0"):
        train_denoiser(DENOISER, broken, text, tokenizer, tmp_path, report=str)
    assert not (tmp_path / "denoiser.safetensors").exists()


def test_normalising_changes_latents_but_not_pictures(sprites: SpriteSet) -> None:
    """The codec decodes its own new latents to the same picture, and they are N(0, 1)."""
    torch.manual_seed(0)
    codec = networks.codec(CODEC.channels)
    found = encode(codec, sprites, ALIASES, variants=4, size=16)
    pictures = random_pictures(torch.from_numpy(sprites.images), 3, 16)
    with torch.no_grad():
        before = codec.decode(codec.encode(pictures).latent_dist.mean).sample
        normalise(codec, found)
        after = codec.decode(codec.encode(pictures).latent_dist.mean).sample
    assert torch.allclose(before, after, atol=1e-4)
    assert found.mean.float().mean((0, 2, 3)).abs().max() < 1e-2
    assert (found.mean.float().std((0, 2, 3)) - 1).abs().max() < 1e-2
    assert codec.config.scaling_factor == 1.0


def test_the_rate_warms_up_and_ends_at_zero() -> None:
    """A cosine after a linear beginning."""
    rates = [learning_rate(step, 100, 10) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.0)


def test_a_recipe_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    """A typing mistake must not train for two hours with a default."""
    file = tmp_path / "typo.toml"
    file.write_text('name = "typo"\n[denoiser]\nbach = 3\n')
    with pytest.raises(TrainingError, match="bach"):
        read_recipe(file)
    file.write_text('name = "typo"\n[denoiser]\nbatch = "many"\n')
    with pytest.raises(TrainingError, match="batch must be like 32"):
        read_recipe(file)
    file.write_text('name = "typo"\nconcepts = "everything"\n')
    with pytest.raises(TrainingError, match="everything"):
        read_recipe(file)


def test_samples_are_counted_over_stretches_with_other_batches(
    latents: LatentSet, text: Any, tokenizer: Any, tmp_path: Path
) -> None:
    """The figure on a model's card is what it saw, not the steps times the last batch."""
    seen: list[tuple[int, int]] = []
    for batch, steps in ((4, 3), (2, 5)):
        stretch = dataclasses.replace(DENOISER, batch=batch, steps=steps)
        train_denoiser(stretch, latents, text, tokenizer, tmp_path, str, each_save=lambda _, *told: seen.append(told))
    assert seen == [(3, 12), (5, 16)]


def test_stock_programs_open_the_export(weights: Path) -> None:
    """`DiffusionPipeline.from_pretrained` and `AutoPipelineForImage2Image.from_pipe`, nothing of ours."""
    pipeline = DiffusionPipeline.from_pretrained(weights, local_files_only=True, use_safetensors=True)
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline("a red apple", num_inference_steps=2).images[0]
    assert isinstance(picture, Image.Image)
    again = AutoPipelineForImage2Image.from_pipe(pipeline)
    assert isinstance(again, StableDiffusionImg2ImgPipeline)
    varied = again("a pizza", image=picture, strength=0.6, num_inference_steps=4).images[0]
    assert varied.size == picture.size


def test_exporting_leaves_the_run_in_full_precision(
    weights: Path, latents: LatentSet, sprites: SpriteSet, text: Any, tokenizer: Any, tmp_path: Path
) -> None:
    """Only the files are halved."""
    model = train_denoiser(
        dataclasses.replace(DENOISER, steps=1), latents, text, tokenizer, tmp_path / "run", report=str
    )
    networks.codec(CODEC.channels).save_pretrained(tmp_path / "codec")
    codec = AutoencoderKL.from_pretrained(tmp_path / "codec", local_files_only=True)
    export(model, codec, tokenizer, tmp_path / "toy", ALIASES, list(sprites.rows), {})
    assert {p.dtype for p in model.parameters()} == {p.dtype for p in codec.parameters()} == {torch.float32}
    assert not any("_name_or_path" in file.read_text() for file in (tmp_path / "toy").rglob("config.json"))
    shards = list((tmp_path / "toy").rglob("*.safetensors"))
    assert shards
    assert all(shard.stat().st_mode & 0o044 == 0o044 and shard.stat().st_size < 16e6 for shard in shards)


@pytest.fixture(scope="module")
def engine(weights: Path) -> Engine:
    made = Engine(weights, device="cpu")
    made.load()
    return made


ASK: dict[str, Any] = {"steps": 3, "guidance": 2.0, "width": 128, "height": 128}


def test_the_same_seed_gives_the_same_pixels(engine: Engine) -> None:
    """And another seed gives others."""
    first, second, other = (engine.generate("a red apple", seeds=[s], **ASK)[0].tobytes() for s in (5, 5, 6))
    assert first == second != other


def test_pictures_have_the_size_asked_for(engine: Engine) -> None:
    """Whatever size the model draws at."""
    assert [p.size for p in engine.generate("a pizza", seeds=[1, 2], **(ASK | {"width": 192}))] == [(192, 128)] * 2


def test_every_step_is_announced_and_leaving_takes_one_step(engine: Engine) -> None:
    """`Cancelled` out of `on_step` ends the work at once."""
    seen: list[int] = []
    engine.generate("a pizza", seeds=[1], on_step=lambda k, n: seen.append(k), **ASK)
    assert seen == [1, 2, 3]

    def leave(step: int, steps: int) -> None:
        seen.append(-step)
        raise Cancelled

    with pytest.raises(Cancelled):
        engine.generate("a pizza", seeds=[1], on_step=leave, **ASK)
    assert seen == [1, 2, 3, -1]


def test_an_engine_without_weights_says_so(tmp_path: Path) -> None:
    """Where they belong and how they are named."""
    with pytest.raises(WeightsMissing, match=r"weights in config\.toml"):
        Engine(tmp_path, device="cpu").load()
    with pytest.raises(EngineError, match="load"):
        Engine(tmp_path, device="cpu").generate("a pizza", seeds=[1], **ASK)


def test_pickles_and_foreign_code_are_refused_unopened(tmp_path: Path) -> None:
    """Neither a pickled weight nor a class outside diffusers and transformers is ever touched."""
    index = tmp_path / "model_index.json"
    index.write_text(json.dumps({"_class_name": "StableDiffusionPipeline", "unet": ["my_code", "Net"]}))
    with pytest.raises(WeightsRefused, match="my_code"):
        check_folder(tmp_path)
    index.write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(WeightsRefused, match=r"model\.bin"):
        check_folder(tmp_path)


def test_a_damaged_shard_is_named_not_a_traceback(weights: Path, tmp_path: Path) -> None:
    """A half-copied file gives a clear error."""
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in weights.rglob("*"):
        if file.is_file():
            target = broken / file.relative_to(weights)
            target.parent.mkdir(exist_ok=True, parents=True)
            target.write_bytes(file.read_bytes())
    shard = next((broken / "vae").glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:1000])
    assert digest(broken) != digest(weights)
    with pytest.raises(WeightsRefused, match="cannot be used"):
        Engine(broken, device="cpu").load()


@pytest.mark.parametrize(
    ("asked", "drawn"),
    [((256, 256), (64, 64)), ((512, 256), (88, 48)), ((64, 1024), (16, 128)), ((1024, 64), (128, 16))],
)
def test_the_model_draws_near_its_own_size(asked: tuple[int, int], drawn: tuple[int, int]) -> None:
    """Aspect kept, sides multiples of eight, never more than twice the trained size."""
    assert native_size(*asked, 64) == drawn
