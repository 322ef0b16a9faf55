"""The denoiser that draws from drawings in the engine: the same bits alone and among others, and what may go wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from drawerkit import SIDE, picture, toy_denoiser, write_drawer_weights, write_toy_bank
from PIL import Image

from daguerre.models.drawer import bank
from daguerre.models.drawer.pipeline import DrawerPipeline, guidance_shares, is_drawer, load
from daguerre.models.drawer.shelf import Shelf
from daguerre.models.errors import Unfit, WeightsRefused
from daguerre.models.serving.drawer_finish import enlarged
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.jobs import Cancelled
from daguerre.models.serving.requests import Progress, RenderRequest, RenderResult, Source

ASK = RenderRequest("a dog", (1,), 4, 2.0, 64, 64)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drawer_weights(tmp_path_factory.mktemp("weights") / "toy")


@pytest.fixture(scope="module")
def engine(weights: Path) -> Engine:
    made = Engine(weights, device="cpu", own_bank=None)
    made.load()
    return made


def together(engine: Engine, *asks: RenderRequest) -> list[RenderResult]:
    """All begun at once, drawn in the same steps."""
    jobs = [engine.submit(ask) for ask in asks]
    while not all(job.result.done() for job in jobs):
        engine.loop.tick()
    return [job.result.result() for job in jobs]


def same(one: RenderResult, other: RenderResult) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.pictures, other.pictures, strict=True))


def test_the_same_seed_gives_the_same_bits_alone_and_among_others(engine: Engine) -> None:
    """Whatever steps, guidance, words, things, layouts and sources the neighbours have."""
    asks = [
        ASK,
        replace(ASK, prompt="a castle", seeds=(7, 8), steps=5, guidance=1.0, negative="a dog"),
        replace(ASK, prompt="nothing known", seeds=(3,), steps=3),
        replace(ASK, prompt="two dogs and a castle", seeds=(5,), width=96),
        replace(ASK, parts=(("dog", 2.0), ("dragon", -0.5)), chaos=30, seeds=(1, 2)),
        replace(ASK, draft=True, transparent=True),
        replace(ASK, source=Source(picture("blue", 1, 64), strength=0.7)),
    ]
    alone = [engine.draw(ask) for ask in asks]
    assert all(same(one, other) for one, other in zip(alone, together(engine, *asks), strict=True))
    assert all(same(one, other) for one, other in zip(alone[::-1], together(engine, *asks[::-1]), strict=True))


def test_pictures_are_drawn_from_the_references_that_the_metadata_names(engine: Engine) -> None:
    """Other seeds, other drawings; the ids make the same picture again, others another; one that is gone is told."""
    first, second = (engine.draw(replace(ASK, seeds=(seed,), style="3d")) for seed in (1, 2))
    (ids,) = first.about["references"][0]
    assert {each.partition("/")[2] for each in ids[:2]} == {"dog"}
    assert all(not each.startswith("3d/") for each in ids[:2])
    assert ids[2].startswith("style:3d/")
    assert len(ids) == 3
    assert first.about["found"] == [{"score": 1.0, "how": "name", "thing": "dog"}]
    assert second.about["references"][0] != first.about["references"][0]
    again = engine.draw(replace(ASK, style="3d", references=(tuple(ids),)))
    assert same(again, first)
    swapped = tuple(each.replace("/dog", "/castle") for each in ids)
    assert not same(engine.draw(replace(ASK, style="3d", references=(swapped,))), first)
    with pytest.raises(Unfit, match="no bank"):
        engine.draw(replace(ASK, references=(("noto/unicorn",),)))


def test_what_nobody_knows_is_drawn_from_words_alone(engine: Engine) -> None:
    """And the metadata says that nothing was found, or what was not drawn."""
    drawn = engine.draw(replace(ASK, prompt="quantum", style="noto"))
    assert drawn.about["found"] == [{"score": 0.0, "how": "nothing"}]
    assert [each.startswith("style:") for each in drawn.about["references"][0][0]] == [True]
    assert engine.draw(replace(ASK, prompt="a dog with a monocle")).about["found"][0]["not_drawn"] == ["monocle"]


def test_transparent_and_opaque_are_one_picture(engine: Engine) -> None:
    """A transparent picture on white is the opaque one; other shapes hold the thing in their middle."""
    clear = engine.draw(replace(ASK, transparent=True)).pictures[0]
    assert clear.mode == "RGBA"
    white = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    assert np.array_equal(white, engine.draw(ASK).pictures[0])
    wide = engine.draw(replace(ASK, width=128)).pictures[0]
    assert wide.size == (128, 64)
    assert np.array_equal(wide.crop((32, 0, 96, 64)), white)


def test_enlarging_keeps_what_was_drawn() -> None:
    """Premultiplied becomes straight; faint remains of noise become nothing."""
    sample = torch.full((1, 4, 4, 4), -1.0)
    sample[0, :, :2] = torch.tensor([0.0, -1.0, -1.0, 0.0])[:, None, None]  # half a red
    sample[0, :, 3] = -0.96
    pixels = np.asarray(enlarged(None, sample))
    assert pixels[0, 0].tolist() == [255, 0, 0, 128]
    assert pixels[2:].max() == 0


def test_layouts_set_out_drawn_things_with_their_own_alpha(engine: Engine) -> None:
    """Names come from the bank, WordNet's words with them; each drawing has references of its own thing."""
    drawn = engine.draw(replace(ASK, prompt="two dogs left of a fortress", width=128))
    assert drawn.about["layout"] == ["across", 2, 1]
    things = [{each.partition("/")[2] for each in ids if "style:" not in each} for ids in drawn.about["references"][0]]
    assert things == [{"dog"}, {"dog"}, {"castle"}]
    assert drawn.pictures[0].size == (128, 64)
    clear = engine.draw(replace(ASK, prompt="two dogs left of a fortress", width=128, transparent=True)).pictures[0]
    assert clear.getpixel((0, 0))[3] == 0


def test_sources_are_varied_and_drawn_again_in_part(engine: Engine) -> None:
    """What a mask leaves out stays to the bit; without strength a picture stays what it was, near enough."""
    old = Image.new("RGB", (64, 64), (30, 60, 200))
    mask = Image.new("L", (64, 64))
    mask.paste(255, (32, 0, 64, 64))
    made = engine.draw(replace(ASK, source=Source(old, "inpaint", mask, strength=1.0))).pictures[0]
    assert np.array_equal(made.crop((0, 0, 32, 64)), old.crop((0, 0, 32, 64)))
    assert not np.array_equal(made.crop((40, 0, 64, 64)), old.crop((40, 0, 64, 64)))
    wide = engine.draw(replace(ASK, width=128, source=Source(old, "outpaint", expand=(50, 0, 50, 0)))).pictures[0]
    assert np.array_equal(wide.crop((40, 0, 88, 64)), old.crop((8, 0, 56, 64)))
    few, many = (
        engine.draw(replace(ASK, steps=8, source=Source(picture("red", 1, 64), strength=share))).about["first_step"]
        for share in (0.9, 0.2)
    )
    assert few < many


def test_what_these_weights_cannot_do_is_said(engine: Engine) -> None:
    """Tiles and adapters are refused in words."""
    with pytest.raises(Unfit, match="no tiles"):
        engine.draw(replace(ASK, tile=True))
    with pytest.raises(Unfit, match="no adapters"):
        engine.draw(replace(ASK, adapters=("mine",)))


def test_steps_are_told_with_previews_and_can_be_left(engine: Engine) -> None:
    """A preview is the estimate; stopping early gives it; cancelling ends at the next step."""
    seen: list[Progress] = []
    engine.draw(replace(ASK, steps=6), seen.append)
    assert [each.step for each in seen] == [1, 2, 3, 4, 5, 6]
    assert seen[0].preview is not None
    assert len(seen[0].preview) < 30_000
    stopped = engine.draw(replace(ASK, steps=6, stop=50))
    assert not same(stopped, engine.draw(replace(ASK, steps=6)))
    job = engine.submit(ASK)
    engine.loop.tick()
    job.cancel()
    engine.loop.tick()
    assert isinstance(job.result.exception(), Cancelled)


def test_guidance_of_words_and_of_drawings_apart(tmp_path: Path, engine: Engine) -> None:
    """Three rows where they differ, two where they are alike, and their shares sum to 1."""
    assert guidance_shares(3.0, 3.0) == (3.0, 0.0, -2.0)
    assert sum(guidance_shares(4.0, 1.5)) == 1.0
    rows = engine.loop.rows
    engine.draw(ASK)
    assert engine.loop.rows - rows == 2 * ASK.steps
    other = Engine(write_drawer_weights(tmp_path / "toy", reference_guidance=1.5), device="cpu")
    other.load()
    drawn = other.draw(ASK)
    assert other.loop.rows == 3 * ASK.steps
    assert drawn.about["reference_guidance"] == 1.5
    assert not same(drawn, engine.draw(ASK))


@pytest.mark.parametrize("damage", ["missing", "cut", "foreign"])
def test_serving_goes_on_without_a_bank(
    weights: Path, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One that is not there, damaged or of another model is told of; pictures come from words alone."""
    copy = tmp_path / "toy"
    shutil.copytree(weights, copy)
    file = copy / bank.FOLDER / bank.FILE
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:200])
    else:
        write_toy_bank(copy / bank.FOLDER, side=32)
    made = Engine(copy, device="cpu")
    made.load()
    assert "words alone" in caplog.text
    drawn = made.draw(ASK)
    assert drawn.about["references"] == [[[]]]
    assert drawn.pictures[0].size == (64, 64)


def test_ones_own_drawings_are_drawn_from_at_once(
    weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They come before the shipped ones, without a restart; a damaged file of them is told of and left out."""
    own = tmp_path / "own"
    made = Engine(weights, device="cpu", own_bank=own)
    made.load()
    ask = replace(ASK, prompt="mascot")
    assert made.draw(ask).about["found"] == [{"score": 0.0, "how": "nothing"}]
    thing = bank.BankThing("own", "mascot", "", {}, {}, {}, (bank.Reference("own/mascot", "", 0),))
    bank.write(own / bank.FILE, SIDE, [bank.Entry(thing, (bank.packed(np.asarray(picture("pink", 1)), 100),))], {})
    drawn = made.draw(ask)
    assert drawn.about["found"][0]["thing"] == "mascot"
    assert drawn.about["references"] == [[["own/mascot"]]]
    assert drawn.about["own_bank"] == bank.read(own).digest
    (own / bank.FILE).write_bytes(b"damaged")
    assert made.draw(ask).about["found"][0]["how"] == "nothing"
    assert "one's own drawings are left out" in caplog.text


def test_the_pipeline_saves_and_opens(tmp_path: Path, weights: Path) -> None:
    """diffusers' own round trip gives the same pictures; other classes in the folder are refused."""
    assert is_drawer(weights)
    pipeline = load(weights, torch.float32)
    pipeline.set_progress_bar_config(disable=True)

    def drawn(one: DrawerPipeline) -> torch.Tensor:
        found = one(
            "dog, noto style", references=[picture("brown", 1)], style_reference=picture("red", 2),
            num_inference_steps=3, generator=torch.Generator().manual_seed(1), output_type="pt",
        )  # fmt: skip
        return found.images

    first = drawn(pipeline)
    assert first.shape == (1, 4, SIDE, SIDE)
    pipeline.save_pretrained(tmp_path / "copy")
    again = DrawerPipeline.from_pretrained(tmp_path / "copy")
    again.set_progress_bar_config(disable=True)
    # Loaded anew its weights lie elsewhere in memory, where sums may round otherwise.
    assert float((drawn(again) - first).abs().mean()) < 1e-3
    index = tmp_path / "copy" / "model_index.json"
    index.write_text(index.read_text().replace('"diffusers",\n    "UNet2D', '"somebody.else",\n    "UNet2D'))
    with pytest.raises(WeightsRefused, match="code of its own"):
        Engine(tmp_path / "copy", device="cpu").load()


def test_a_context_holds_nothing_of_what_is_left_out(weights: Path) -> None:
    """With no reference known, whatever their pixels are, the denoiser says the same."""
    model = toy_denoiser()
    shelf = Shelf(bank.read(weights / bank.FOLDER), None, SIDE)
    none = shelf.pictures(())
    words, noisy, time = torch.randn(1, 8, 24), torch.randn(1, 4, 4, 4), torch.tensor([0.5])
    with torch.no_grad():
        one = model(noisy, time, model.read(words, none.pictures, none.known))
        other = model(noisy, time, model.read(words, -none.pictures, none.known))
    assert torch.equal(one, other)


def test_the_parts_of_a_folder_open_in_other_programs(weights: Path) -> None:
    """The index names classes of diffusers and transformers alone, and U-Net and codec open by them."""
    parts = json.loads((weights / "model_index.json").read_text())
    named = {name: value for name, value in parts.items() if isinstance(value, list)}
    assert set(named) == {"text_encoder", "tokenizer", "unet", "vae", "scheduler"}
    assert {library for library, _ in named.values()} == {"diffusers", "transformers"}
    unet = UNet2DConditionModel.from_pretrained(weights / "unet", local_files_only=True)
    codec = AutoencoderKL.from_pretrained(weights / "vae", local_files_only=True)
    assert unet.config.in_channels == 4 + 3 * 4 + 3
    noisy, states = torch.randn(1, 19, 4, 4), torch.randn(1, 8, 24)
    assert unet(noisy, 500.0, encoder_hidden_states=states).sample.shape == (1, 4, 4, 4)
    assert codec.decode(torch.randn(1, 4, 4, 4)).sample.shape == (1, 3, SIDE, SIDE)
