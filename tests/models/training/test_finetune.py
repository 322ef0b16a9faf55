"""Fine-tuning by LoRA at toy size: real pipelines of three kinds, real training, read back by stock diffusers."""

from __future__ import annotations

import dataclasses
import errno
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline, UNet2DConditionModel
from finetunekit import COLOURS, Told, drawings, ours, stock_like
from modelkit import interrupted_after
from PIL import Image
from safetensors.torch import load_file

from daguerre.models.common.adapter import WEIGHTS, check_adapter
from daguerre.models.common.folder import digest
from daguerre.models.data.firstlight import CONCEPTS
from daguerre.models.data.raster import rasterise
from daguerre.models.data.store import SpriteSet
from daguerre.models.errors import DataError, DataMissing, TrainingError, WeightsMissing, WeightsRefused
from daguerre.models.finetune import train as finetune
from daguerre.models.finetune.base import open_base
from daguerre.models.finetune.lora import FinetuneRecipe
from daguerre.models.finetune.pictures import pixels
from daguerre.models.finetune.train import Finetune, finetune_folder, read_finetune, train_finetune
from daguerre.models.training import checkpoints

RECIPE = FinetuneRecipe(
    rank=4, steps=6, batch=2, rate=5e-3, warmup=2, targets=("attention", "convolution"), sample_steps=2,
    save_minutes=60, prompts=("a red ring",),
)  # fmt: skip


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder for each prediction."""
    folder = tmp_path_factory.mktemp("bases")
    made = {"epsilon": stock_like("epsilon"), "v_prediction": stock_like("v_prediction"), "flow_prediction": ours()}
    for name, pipeline in made.items():
        pipeline.save_pretrained(folder / name, safe_serialization=True)
    return {name: folder / name for name in made}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


PREDICTIONS = ("epsilon", "v_prediction", "flow_prediction")


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_an_adapter_learns_and_leaves_the_base_as_it_was(
    bases: dict[str, Path], prediction: str, tmp_path: Path
) -> None:
    """The loss on the set falls clearly below the base's, whatever that predicts; not a byte of the base changes."""
    before = {file: file.read_bytes() for file in bases[prediction].rglob("*") if file.is_file()}
    recipe = dataclasses.replace(RECIPE, steps=60, batch=4, rate=1e-2, rank=8)
    folder = train_finetune(recipe, drawings(5), bases[prediction], tmp_path, Told())
    loss = json.loads((folder / "config.json").read_text())["loss"]
    assert list(loss) == ["learnt"]
    assert loss["learnt"]["adapter"] < 0.7 * loss["learnt"]["base"]
    assert {file: file.read_bytes() for file in bases[prediction].rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    ("prediction", "text_rate"), [("epsilon", 0.5), ("v_prediction", 0.0), ("flow_prediction", 0.0)]
)
def test_stock_diffusers_draws_what_the_run_showed(
    bases: dict[str, Path], prediction: str, text_rate: float, tmp_path: Path
) -> None:
    """`load_lora_weights` on the folder gives the second row of the run's own sheet, alpha included."""
    recipe = dataclasses.replace(
        RECIPE, alpha=12.0, ema=0.5, text_rate=text_rate, rate=3e-2, steps=12, trigger="inkring",
        prompts=("a red ring", "a ring"), targets=("attention", "feedforward", "convolution"),
    )  # fmt: skip
    told = Told()
    folder = train_finetune(recipe, drawings(6), bases[prediction], tmp_path, told)
    pipeline = DiffusionPipeline.from_pretrained(bases[prediction], local_files_only=True, use_safetensors=True)
    pipeline.set_progress_bar_config(disable=True)
    size = 32
    prompts = ["inkring, a red ring", "inkring, a ring"]

    def drawn(texts: list[str]) -> np.ndarray:
        generators = [torch.Generator("cpu").manual_seed(index) for index in range(2)]
        made = pipeline(
            texts, num_inference_steps=2, guidance_scale=recipe.guidance, width=size, height=size, generator=generators
        ).images
        return np.stack([np.asarray(each, np.int16) for each in made])

    without = drawn(["a red ring", "a ring"])
    pipeline.load_lora_weights(folder, weight_name=WEIGHTS, local_files_only=True, use_safetensors=True)
    read = drawn(prompts)
    assert pipeline.get_list_adapters().keys() == ({"unet", "text_encoder"} if text_rate else {"unet"})
    sheet = np.asarray(told.sheets[-1], np.int16)
    shown = [np.stack([sheet[top : top + size, left : left + size] for left in (2, size + 4)]) for top in (2, size + 4)]
    # One level: channels_last adds numbers in another order.
    assert abs(shown[0] - without).max() <= 1
    assert abs(shown[1] - read).max() <= 1
    assert abs(read - without).max() > 8


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    bases: dict[str, Path], prediction: str, tmp_path: Path
) -> None:
    """Matrices, moments, average, captions and noise all come back; saving on the way changes nothing."""
    text_rate = 0.3 if prediction == "epsilon" else 0.0
    recipe = dataclasses.replace(RECIPE, ema=0.9, text_rate=text_rate, mirror=True)
    whole = train_finetune(recipe, drawings(12), bases[prediction], tmp_path / "whole", Told())
    often = dataclasses.replace(recipe, save_minutes=0.0)
    train_finetune(often, drawings(12), bases[prediction], tmp_path / "parts", Told(), stop=interrupted_after(3))
    assert json.loads((tmp_path / "parts" / "adapter" / "config.json").read_text())["steps"] == 3
    told = Told()
    parts = train_finetune(often, drawings(12), bases[prediction], tmp_path / "parts", told)
    assert len(told.sheets) > 1
    assert "resumed at step 3" in told.lines
    first, second = load_file(whole / WEIGHTS), load_file(parts / WEIGHTS)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    losses = [json.loads((each / "config.json").read_text())["loss"] for each in (whole, parts)]
    assert losses[0] == losses[1]


def test_the_folder_says_where_it_belongs_and_whose_it_is(bases: dict[str, Path], tmp_path: Path) -> None:
    """Digests, rank, trigger, steps; a card; no path of this machine; small; readable by another user."""
    recipe = dataclasses.replace(RECIPE, trigger="inkring", held_out=0.25)
    folder = train_finetune(recipe, drawings(12), bases["flow_prediction"], tmp_path, Told())
    settings = json.loads((folder / "config.json").read_text())
    assert settings["base_digest"] == digest(bases["flow_prediction"])
    assert (settings["rank"], settings["trigger"], settings["steps"], settings["samples"]) == (4, "inkring", 6, 12)
    assert settings["pictures"] == 12
    assert set(settings["loss"]) == {"learnt", "held_out"}
    card = (folder / "README.md").read_text()
    assert "stay their owner's" in card
    assert "`inkring, a " in card
    files = {file.name: file for file in folder.iterdir()}
    assert set(files) == {WEIGHTS, "config.json", "README.md"}
    for file in files.values():
        assert str(tmp_path).encode() not in file.read_bytes()
        assert str(bases["flow_prediction"].parent).encode() not in file.read_bytes()
    assert files[WEIGHTS].stat().st_mode & 0o044 == 0o044
    found = check_adapter(folder, bases["flow_prediction"])
    assert (found.trigger, found.same_base) == ("inkring", True)


def test_an_adapter_of_another_base_is_refused(bases: dict[str, Path], tmp_path: Path) -> None:
    """Another architecture, another prediction, pickles and damage are named; other weights alike in shape pass."""
    folder = train_finetune(RECIPE, drawings(5), bases["epsilon"], tmp_path / "run", Told())
    assert check_adapter(folder, bases["epsilon"]).same_base is True
    with pytest.raises(WeightsRefused, match=r"predict epsilon; v_prediction predicts v_prediction"):
        check_adapter(folder, bases["v_prediction"])
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").unlink()
    with pytest.raises(WeightsRefused, match=r"does not fit flow_prediction: unet\."):
        check_adapter(folder, bases["flow_prediction"])
    assert check_adapter(folder, bases["epsilon"]).same_base is None

    sister = tmp_path / "sister"
    shutil.copytree(bases["epsilon"], sister)
    (sister / "tokenizer" / "tokenizer_config.json").write_text(
        json.dumps(json.loads((sister / "tokenizer" / "tokenizer_config.json").read_text()) | {"model_max_length": 15})
    )
    (folder / "config.json").write_text(json.dumps(settings))
    assert check_adapter(folder, sister).same_base is False

    (folder / "more.bin").write_bytes(b"\x80\x04")
    with pytest.raises(WeightsRefused, match=r"more\.bin"):
        check_adapter(folder, bases["epsilon"])
    (folder / "more.bin").unlink()
    (folder / WEIGHTS).write_bytes(b"half a file")
    with pytest.raises(WeightsRefused, match="damaged"):
        check_adapter(folder, bases["epsilon"])
    with pytest.raises(WeightsMissing, match=r"docs/finetune\.md"):
        check_adapter(tmp_path / "nothing", bases["epsilon"])


def test_a_base_that_cannot_be_used_is_named(bases: dict[str, Path], tmp_path: Path) -> None:
    """Missing, a single file, pickles, another class, an inpainting model, a few-step student, damage."""

    def changed(name: str, file: str, **values: Any) -> Path:
        shutil.copytree(bases["epsilon"], tmp_path / name)
        target = tmp_path / name / file
        target.write_text(json.dumps(json.loads(target.read_text()) | values))
        return tmp_path / name

    with pytest.raises(WeightsMissing, match="no folder"):
        open_base(tmp_path / "nowhere")
    single = tmp_path / "model.safetensors"
    single.write_bytes(b"")
    with pytest.raises(WeightsRefused, match="Convert it once"):
        open_base(single)
    with pytest.raises(WeightsRefused, match="StableDiffusionXLPipeline"):
        open_base(changed("xl", "model_index.json", _class_name="StableDiffusionXLPipeline"))
    pickled = changed("pickled", "model_index.json")
    (pickled / "unet" / "diffusion_pytorch_model.safetensors").rename(pickled / "unet" / "model.ckpt")
    with pytest.raises(WeightsRefused, match=r"model\.ckpt"):
        open_base(pickled)
    damaged = changed("damaged", "model_index.json")
    (damaged / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"half a file")
    with pytest.raises(WeightsRefused, match="cannot be opened"):
        open_base(damaged)
    for name, values, told in (
        ("inpainting", {"in_channels": 9}, "inpainting"),
        ("student", {"time_cond_proj_dim": 16}, "teacher"),
    ):
        pipeline = stock_like("epsilon")
        settings = {key: value for key, value in pipeline.unet.config.items() if not key.startswith("_")}
        pipeline.unet = UNet2DConditionModel(**(settings | values))
        pipeline.save_pretrained(tmp_path / name, safe_serialization=True)
        with pytest.raises(WeightsRefused, match=told):
            open_base(tmp_path / name)
    strange = changed("strange", "scheduler/scheduler_config.json", prediction_type="sample")
    with pytest.raises(TrainingError, match="'sample'"):
        train_finetune(RECIPE, drawings(5), strange, tmp_path / "run", Told())


def test_a_base_that_has_half_precision_files_only_opens(tmp_path: Path) -> None:
    """As many downloads are stored."""
    stock_like("epsilon").to(torch.float16).save_pretrained(tmp_path, safe_serialization=True, variant="fp16")
    base = open_base(tmp_path)
    assert {weight.dtype for weight in base.pipeline.unet.parameters()} == {torch.float32}
    assert not any(weight.requires_grad for weight in base.pipeline.unet.parameters())


def test_no_pictures_or_no_captions_is_said_before_anything_starts(bases: dict[str, Path], tmp_path: Path) -> None:
    """With the names of the pictures that lack one."""
    nothing = SpriteSet(np.zeros((0, 32, 32, 4), np.uint8), [])
    with pytest.raises(DataMissing, match="no picture"):
        train_finetune(RECIPE, nothing, bases["epsilon"], tmp_path / "run", Told())
    some = drawings(5)
    some.rows[3]["caption_en"] = "  "
    with pytest.raises(DataMissing, match=r"1 of 5 pictures have no caption \(ring-3\.png\)"):
        train_finetune(RECIPE, some, bases["epsilon"], tmp_path / "run", Told())
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_stops_the_run(bases: dict[str, Path], tmp_path: Path) -> None:
    """The last good checkpoint stays as it was."""
    train_finetune(RECIPE, drawings(5), bases["epsilon"], tmp_path, Told())
    before = (tmp_path / "finetune.safetensors").read_bytes()
    with pytest.raises(TrainingError, match=r"The loss is nan at step \d+\. Lower `rate`"):
        train_finetune(
            dataclasses.replace(RECIPE, steps=60, rate=float("inf")), drawings(5), bases["epsilon"], tmp_path, Told()
        )
    assert (tmp_path / "finetune.safetensors").read_bytes() == before


def test_a_checkpoint_of_another_run_is_refused(bases: dict[str, Path], tmp_path: Path) -> None:
    """Another rank, other pictures or another base would silently spoil it."""
    train_finetune(RECIPE, drawings(5), bases["epsilon"], tmp_path, Told())
    before = (tmp_path / "finetune.safetensors").read_bytes()
    for recipe, sprites, base, told in (
        (dataclasses.replace(RECIPE, rank=2), drawings(5), "epsilon", "another recipe"),
        (RECIPE, drawings(6), "epsilon", "other pictures"),
        (RECIPE, drawings(5), "v_prediction", "another base"),
    ):
        with pytest.raises(TrainingError, match=told):
            train_finetune(recipe, sprites, bases[base], tmp_path, Told())
    assert (tmp_path / "finetune.safetensors").read_bytes() == before


def test_a_full_disk_keeps_the_last_adapter(
    bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever file does not fit, the run says so, and what was whole stays whole."""
    folder = train_finetune(RECIPE, drawings(5), bases["epsilon"], tmp_path, Told())
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    longer = dataclasses.replace(RECIPE, steps=10)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as limited:
        limited.setattr(StableDiffusionPipeline, "save_lora_weights", full)
        with pytest.raises(TrainingError, match=r"Cannot write the adapter .*No space left"):
            train_finetune(longer, drawings(5), bases["epsilon"], tmp_path, Told())
    with monkeypatch.context() as limited:
        limited.setattr(checkpoints, "save_file", full)
        with pytest.raises(TrainingError, match=r"Cannot write the checkpoint .*No space left"):
            train_finetune(dataclasses.replace(RECIPE, steps=12), drawings(5), bases["epsilon"], tmp_path, Told())
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert {file.name for file in tmp_path.iterdir()} >= {"adapter", "finetune.safetensors", "before-after.png"}
    assert not list(tmp_path.glob("*.part"))


def test_pictures_are_shown_on_white_at_the_base_size() -> None:
    """Clear pixels become white whatever colour hides in them; a mirrored picture is the other way round."""
    image = np.zeros((1, 8, 8, 4), np.uint8)
    image[..., 0] = 255  # red, but clear
    image[0, :, :4] = (0, 0, 255, 255)
    sprites = SpriteSet(image, [{"i": 0, "caption_en": "blue"}])
    (plain,) = pixels(sprites, [0], 8, mirrored=False)
    (mirrored,) = pixels(sprites, [0], 8, mirrored=True)
    (large,) = pixels(sprites, [0], 32, mirrored=False)
    assert plain[0, 0].tolist() == [0, 0, 255]
    assert plain[0, 7].tolist() == [255, 255, 255]
    assert (mirrored == plain[:, ::-1]).all()
    assert large.shape == (32, 32, 3)
    assert large[16, 31].tolist() == [255, 255, 255]
    assert (large[..., 0].astype(int) <= large[..., 2].astype(int) + 1).all(), "no hidden red in the edge"


def test_a_folder_of_pictures_becomes_an_adapter(bases: dict[str, Path], tmp_path: Path) -> None:
    """Pictures of any shape and their captions, from file names or metadata.jsonl, in one call; again without work."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for index, name in enumerate(COLOURS):
        Image.new("RGB", (40 + 9 * index, 50), COLOURS[name]).save(folder / f"{name}_square-{index}.png")
    wanted = Finetune("mine", bases["v_prediction"], dataclasses.replace(RECIPE, prompts=(), crop=True, steps=2))
    told = Told()
    made = finetune_folder(wanted, folder, tmp_path / "run", told)
    assert check_adapter(made, wanted.base).settings["pictures"] == 5
    assert f"{len(COLOURS)} pictures of 32 px to learn from, 0 kept out" in told.lines
    assert told.sheets[-1].size == (5 * 34 + 2, 2 * 34 + 2)
    assert "`black square`" in (made / "README.md").read_text()
    (folder / "metadata.jsonl").write_text('{"file_name": "red_square-0.png", "text": ""}\n')
    with pytest.raises(DataError, match="line 1"):
        finetune_folder(wanted, folder, tmp_path / "run", told)


def test_a_size_or_targets_that_do_not_fit_are_refused(bases: dict[str, Path], tmp_path: Path) -> None:
    """Before the first step, with what fits."""
    for values, told in (
        ({"size": 30}, "a multiple of 8"),
        ({"targets": ("attenton",)}, "attention, feedforward, convolution, not attenton"),
        ({"targets": ()}, "targets must name"),
        ({"rank": 0}, "rank and batch must be 1"),
        ({"text_rate": 0.5}, "set text_rate = 0"),
    ):
        with pytest.raises(TrainingError, match=told):
            train_finetune(
                dataclasses.replace(RECIPE, **values), drawings(5), bases["flow_prediction"], tmp_path, Told()
            )


def test_the_recipe_file_is_read_and_mistakes_are_named(tmp_path: Path) -> None:
    """The shipped one fits; a typing mistake does not train with a default."""
    shipped = read_finetune(Path(finetune.__file__).parents[1] / "recipes" / "finetune.toml")
    assert shipped.name == "my-style"
    assert shipped.recipe.targets == ("attention", "feedforward", "convolution")
    file = tmp_path / "typo.toml"
    for text, told in (
        ('name = "a"\nbase = "b"\n[finetune]\nrnak = 3\n', "rnak"),
        ('name = "a"\n', "base ="),
        ('name = "a"\nbase = "b"\nbaes = "c"\n', "baes"),
    ):
        file.write_text(text)
        with pytest.raises(TrainingError, match=told):
            read_finetune(file)


ROOT = Path(finetune.__file__).parents[2]
SHOWN = ("cat face", "pizza", "rocket", "red apple", "house", "sunflower", "owl", "guitar")


@pytest.mark.slow
def test_a_style_that_the_base_never_saw_shows_on_things_that_were_not_in_the_folder(tmp_path: Path) -> None:
    """40 black silhouettes teach first-light to draw other things without colour; docs/finetune.md has the figures."""
    found = sorted(ROOT.glob("runs/data/packages/iconify-json-*/json/fluent-emoji-high-contrast.json"))
    if not found:
        pytest.skip("needs the source packages: scripts/start data build")
    icons = json.loads(found[-1].read_text())["icons"]
    names = [each for each in CONCEPTS if each.replace(" ", "-") in icons and each not in SHOWN][::3][:40]
    drawn = [
        rasterise(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="32" height="32" color="#202020">'
            f"{icons[name.replace(' ', '-')]['body']}</svg>",
            64,
        )
        for name in names
    ]
    sprites = SpriteSet(
        np.stack([each for each in drawn if each is not None]),
        [{"i": index, "name": name, "caption_en": name} for index, name in enumerate(names)],
    )
    wanted = read_finetune(ROOT / "models" / "recipes" / "finetune.toml")
    recipe = dataclasses.replace(wanted.recipe, steps=240, trigger="silhouette style", prompts=SHOWN, save_minutes=60.0)
    told = Told()
    folder = train_finetune(recipe, sprites, ROOT / wanted.base, tmp_path, told)
    sheet = np.asarray(told.sheets[-1], np.float32)
    colour = (sheet.max(-1) - sheet.min(-1)).reshape(2, -1, sheet.shape[1])[:, :64].mean((1, 2))
    loss = json.loads((folder / "config.json").read_text())["loss"]
    print(loss, "colourfulness of base and adapter", colour, "bytes", (folder / WEIGHTS).stat().st_size)
    assert loss["learnt"]["adapter"] < 0.8 * loss["learnt"]["base"]
    assert loss["held_out"]["adapter"] < 0.9 * loss["held_out"]["base"]
    assert colour[1] < 0.6 * colour[0]
    assert (folder / WEIGHTS).stat().st_size < 3e6
