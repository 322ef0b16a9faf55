"""How pipelines are laid onto cards of all sizes: calculated, with a simulated budget."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import familykit
import familykit_more
import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from safetensors.torch import save_file

from daguerre.models.errors import TooLarge, WeightsRefused
from daguerre.models.serving import families, laying, memory
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.footprint import Footprints, measured, peak
from daguerre.models.serving.jobwise import Jobwise
from daguerre.models.serving.laying import streams, take
from daguerre.models.serving.loop import Loop
from daguerre.models.serving.memory import GIB, Activations, Part, Plan, Quantise, needs, plan
from daguerre.models.serving.requests import RenderRequest
from daguerre.models.serving.schedule import Pace
from daguerre.models.serving.sizes import part_in, sizes_in

ASK = RenderRequest("a red apple", (3,), 2, 3.0, 64, 64)


def part(size: float, kind: Any = "network", blocks: int = 20) -> Part:
    whole = round(size * GIB)
    return Part(whole, kind, linears=whole // 2, width=2, block=whole // blocks, layer=whole // (4 * blocks))


#: Weights in half precision, GiB: text encoders, network, codec.
SDXL = {
    "text_encoder": part(0.23, "encoder"), "text_encoder_2": part(1.3, "encoder"), "unet": part(4.8, blocks=8),
    "vae": part(0.16, "codec"),
}  # fmt: skip
FLUX = {
    "text_encoder": part(0.23, "encoder"), "text_encoder_2": part(8.9, "encoder"), "transformer": part(22.2, blocks=57),
    "vae": part(0.16, "codec"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "together", "card", "way"),
    [
        (SDXL, True, 12, "whole"),
        (SDXL, True, 7, "encoders"),
        (SDXL, True, 5, "groups"),
        (FLUX, False, 48, "whole"),
        (FLUX, False, 28, "encoders"),
        (FLUX, False, 24.4, "parts"),
        (FLUX, False, 12, "groups"),
        (FLUX, False, 2.8, "layers"),
    ],
)
def test_the_fastest_way_that_fits_is_taken(parts: dict[str, Part], together: bool, card: float, way: str) -> None:
    """All on the card; text encoders away; parts in turn, unless their steps are shared; blocks; layers."""
    found = plan(parts, round(card * GIB), 1024 * 1024, together=together)
    assert found.way == way
    assert found.bytes <= card * GIB
    assert found.decoded >= 512 * 512
    assert not found.quantised


@pytest.mark.parametrize(
    ("asked", "installed", "card", "found"),
    [
        ("int8", ("torchao",), 24, ("whole", "int8")),
        ("nf4", ("bitsandbytes",), 12, ("whole", "nf4")),
        ("nf4", ("bitsandbytes",), 9, ("parts", "nf4")),
        ("auto", ("torchao", "bitsandbytes"), 24.4, ("parts", "")),
    ],
)
def test_fewer_bits_where_they_are_asked_for(
    asked: Quantise, installed: tuple[str, ...], card: float, found: tuple[str, str]
) -> None:
    """What the operator names is done; `auto` leaves the weights as they are while any way fits."""
    made = plan(FLUX, round(card * GIB), 1024 * 1024, quantise=asked, installed=installed)
    assert (made.way, made.quantised) == found


def test_fewer_bits_are_the_last_way_out() -> None:
    """Of parts that come whole or not at all; with `off`, or nothing installed, they are refused."""
    only = ("whole", "parts")
    card = 14 * GIB
    made = plan(FLUX, card, 1024 * 1024, installed=("torchao",), only=only)
    assert (made.way, made.quantised) == ("parts", "int8")
    with pytest.raises(WeightsRefused, match="are free"):
        plan(FLUX, card, 1024 * 1024, only=only)
    with pytest.raises(WeightsRefused, match="are free"):
        plan(FLUX, card, 1024 * 1024, installed=("torchao",), only=only, quantise="off")


def test_what_fits_in_no_way_is_told_what_would() -> None:
    """Before it is loaded: what it needs, what there is, fewer bits with the command that installs them."""
    with pytest.raises(WeightsRefused) as refused:
        plan(FLUX, 14 * GIB, 1024 * 1024, only=("whole", "parts"))
    said = str(refused.value)
    assert "need 33.5 GiB" in said
    assert "or 24.2 GiB when their parts come one by one" in said
    assert "14.0 GiB are free" in said
    assert '[render] quantize = "int8" after pip install torchao (13.3 GiB)' in said
    assert '"nf4" after pip install bitsandbytes' in said
    with pytest.raises(WeightsRefused, match=r"What would fit: .*pictures of \d\.\d megapixels"):
        plan(FLUX, 4 * GIB, 2048 * 2048)
    with pytest.raises(WeightsRefused, match="Use a smaller model"):
        plan(FLUX, GIB, 1024 * 1024)


def test_large_pictures_are_decoded_in_tiles_sooner_than_parts_are_moved() -> None:
    """The way that a picture in one go would not fit by; and the size up to which there are none is told."""
    takes = Activations()
    weights = needs(FLUX, "whole")
    roomy = plan(FLUX, weights + takes.of(2048 * 2048), 2048 * 2048)
    assert roomy.way == "whole"
    assert 2048 * 2048 <= roomy.decoded <= 2048 * 2048 + 1
    tight = plan(FLUX, weights + takes.of(2048 * 2048, tiled=True), 2048 * 2048)
    assert tight.way == "whole"
    assert tight.decoded < 2048 * 2048
    assert tight.knowing(Activations(500, 500)).decoded > tight.decoded


def test_files_tell_what_they_will_take(tmp_path: Path) -> None:
    """From headers alone, sharded or not, in the numbers that the device computes in: what the modules then have."""
    folder = familykit.write_flux(tmp_path / "toy")
    pipeline: Any = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    for width, numbers in ((4, torch.float32), (2, torch.bfloat16)):
        pipeline.to(numbers)
        modules = {name: each for name, each in pipeline.components.items() if isinstance(each, torch.nn.Module)}
        assert sizes_in(folder, width) == {name: part_in(name, each) for name, each in modules.items()}
    pipeline.to(torch.float32).save_pretrained(tmp_path / "sharded", max_shard_size="100KB")
    assert len(list((tmp_path / "sharded" / "transformer").glob("*.safetensors"))) > 1
    assert sizes_in(tmp_path / "sharded", 4) == sizes_in(folder, 4)
    file = familykit.write_sd15_file(tmp_path)
    whole = sum(each.bytes for each in sizes_in(file, 4).values())
    assert whole == sum(each.bytes for each in sizes_in(familykit.write_sd15(tmp_path / "sd"), 4).values())


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Toys on toy cards: 64 px, no gibibyte for a driver that is not there, and activations of their size."""
    monkeypatch.setattr(memory, "OVERHEAD", 0)
    monkeypatch.setattr(memory, "TILE", 16)
    monkeypatch.setattr(laying, "TILE", 16)
    pace = Pace(((1, 1.0), (2, 1.0), (4, 1.0)))
    monkeypatch.setattr("daguerre.models.serving.profile.measure", lambda *_: pace)
    real = families.native_of
    monkeypatch.setattr(families, "native_of", lambda pipeline: min(64, real(pipeline)))
    monkeypatch.setattr(families, "native_told", lambda *_: 64)


def loaded(folder: Path, budget: int = 0, **more: Any) -> Engine:
    engine = Engine(folder, device="cpu", memory=budget / GIB, **more)
    engine.load()
    return engine


def apart(a: Any, b: Any) -> int:
    return int(np.abs(np.asarray(a.pictures[0], int) - np.asarray(b.pictures[0], int)).max())


@pytest.mark.parametrize("way", memory.WAYS)
@pytest.mark.parametrize("write", [familykit_more.flux, familykit_more.qwen, familykit_more.sd21])
@pytest.mark.usefixtures("small")
def test_each_way_draws_the_same_picture(write: Any, way: memory.Way, tmp_path: Path) -> None:
    """A card just large enough for it: laid out so by real hooks, and the picture is that of the whole model."""
    torch.manual_seed(1)
    folder = tmp_path / "toy"
    write().save_pretrained(folder)
    wanted = loaded(folder).draw(ASK)
    sizes = sizes_in(folder, 4)
    budget = needs(sizes, way) + Activations().of(64 * 64, tiled=True)
    # Toys may need more by a slower way: their blocks are half of them.
    expected = plan(sizes, budget + 1, 64 * 64, together=write is familykit_more.sd21)
    engine = loaded(folder, budget + 1, quantize="off")
    assert engine.laid.way == expected.way
    loop: Any = engine.loop
    (loop.network if isinstance(loop, Loop) else loop).decoded = 0
    assert apart(engine.draw(ASK), wanted) <= 1
    pipeline = loop.network.plain.pipeline if isinstance(loop, Loop) else loop._pipeline
    hooked = {name for name, each in pipeline.components.items() if streams(each)}
    if expected.way == "encoders":
        assert hooked
        assert all("text_encoder" in name for name in hooked)
    elif expected.way in ("groups", "layers"):
        assert hooked & {"unet", "transformer"}
        assert isinstance(loop, Jobwise)
    else:
        assert not hooked


@pytest.mark.usefixtures("small")
def test_text_encoders_away_leave_steps_shared_and_adapters_on(tmp_path: Path) -> None:
    """SDXL whose encoders stream: rows still share steps, seeds hold among others, and copies for LoRAs stream too."""
    torch.manual_seed(1)
    folder = familykit.write_sdxl(tmp_path / "toy")
    sizes = sizes_in(folder, 4)
    engine = loaded(folder, needs(sizes, "encoders") + Activations().of(64 * 64, tiled=True))
    assert (engine.laid.way, type(engine.loop).__name__) == ("encoders", "Loop")
    asked = replace(ASK, prompt="a (red:1.3) apple")
    both, alone = engine.draw(replace(asked, seeds=(3, 4))), engine.draw(replace(asked, seeds=(4,)))
    assert both.pictures[1].tobytes() == alone.pictures[0].tobytes()
    variant = engine.loop.network.plain.pipeline if isinstance(engine.loop, Loop) else None
    assert variant is not None
    tensors = {
        f"text_encoder.{name}.lora_{end}.weight": torch.randn(shape)
        for name, layer in variant.text_encoder.named_modules()
        if name.endswith("q_proj")
        for end, shape in (("A", (2, layer.in_features)), ("B", (layer.out_features, 2)))
    }
    (tmp_path / "loras").mkdir()
    save_file(tensors, tmp_path / "loras" / "mine.safetensors")
    more = loaded(folder, needs(sizes, "encoders") + Activations().of(64 * 64, tiled=True), adapters=tmp_path / "loras")
    changed = more.draw(replace(asked, seeds=(4,), adapters=("mine",)))
    assert changed.pictures[0].tobytes() != alone.pictures[0].tobytes()
    whole = loaded(folder, adapters=tmp_path / "loras").draw(replace(asked, seeds=(4,), adapters=("mine",)))
    assert isinstance(more.loop, Loop)
    more.loop.network.decoded = 0
    assert apart(more.draw(replace(asked, seeds=(4,), adapters=("mine",))), whole) <= 1
    made: Any = more.loop
    (copied,) = made._context.adapters._made.values()
    assert streams(copied.pipeline.text_encoder)
    assert not streams(copied.unet)


@pytest.mark.usefixtures("small")
def test_too_small_a_card_is_refused_before_anything_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the files' headers: no tensor is read."""
    folder = familykit.write_flux(tmp_path / "toy")
    monkeypatch.setattr(DiffusionPipeline, "from_pretrained", lambda *_, **__: pytest.fail("it was loaded"))
    with pytest.raises(WeightsRefused, match="are free"):
        loaded(folder, 10_000)


@pytest.mark.usefixtures("small")
def test_a_card_that_is_fuller_than_it_said_gets_the_next_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first try runs out of memory when it draws: laid out anew; where every way does, the last word is why."""
    folder = familykit.write_flux(tmp_path / "toy")
    real, tried = Jobwise.try_out, list[Jobwise]()

    def full(self: Jobwise) -> None:
        tried.append(self)
        if len(tried) <= 2:
            raise TooLarge("no room for pictures")
        real(self)

    monkeypatch.setattr(Jobwise, "try_out", full)
    engine = loaded(folder, GIB)
    assert len(tried) == 3
    assert engine.laid.way == "parts"
    engine.draw(ASK)

    def never(_: Jobwise) -> None:
        raise TooLarge("never")

    monkeypatch.setattr(Jobwise, "try_out", never)
    with pytest.raises(TooLarge, match="never"):
        loaded(folder, GIB, quantize="off")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("write", [familykit.write_flux, familykit.write_sd15])
def test_activations_are_measured_once_and_kept(write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a small profile run after loading; the next start plans by them and measures nothing."""
    folder = write(tmp_path / "toy")
    first = loaded(folder, GIB, profile=tmp_path / "paces.json")
    (known,) = json.loads((tmp_path / "memory.json").read_text()).values()
    assert known["decoded"] >= memory.BYTES_PER_PIXEL_DECODED / 4
    monkeypatch.setattr("daguerre.models.serving.footprint.measured", lambda *_: pytest.fail("measured again"))
    monkeypatch.setattr("daguerre.models.serving.trials.measured", lambda *_: pytest.fail("measured again"))
    second = loaded(folder, GIB, profile=tmp_path / "paces.json")
    assert replace(second.laid, bytes=first.laid.bytes) == first.laid
    assert second.laid.bytes < first.laid.bytes
    assert Footprints("another", tmp_path / "memory.json").known() is None
    (tmp_path / "memory.json").write_text("{")
    assert Footprints("another", tmp_path / "memory.json").known() is None


def test_the_meter_counts_what_lives() -> None:
    """Two tensors of 4 MB at a time, whatever came and went before; a lap begins with what is there."""
    with torch.inference_mode(), peak("cpu") as found:
        one = torch.zeros(1000, 1000)
        for _ in range(5):
            one = one + 1
        assert 8_000_000 <= found.lap() < 9_000_000
        del one
        torch.zeros(10)
        assert found.lap() <= 4_000_100
    assert measured(lambda side: (10_000 * side**2, 100), 8, 16) == Activations(10_000, 650)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("write", [familykit.write_flux, familykit.write_sd15])
def test_a_large_picture_is_decoded_in_tiles_and_says_so(write: Any, tmp_path: Path) -> None:
    """Above the planned size: the codec is called on tiles, nearly the same picture; below: to the bit as ever."""
    engine = loaded(write(tmp_path / "toy"))
    plain = engine.draw(ASK)
    assert "decoded" not in plain.about
    loop: Any = engine.loop
    drawing = loop.network if isinstance(loop, Loop) else loop
    drawing.decoded = 20 * 20
    codec = drawing.vae if isinstance(loop, Loop) else loop._pipeline.vae
    codec.tile_sample_min_size, codec.tile_latent_min_size = 16, 16 // 2
    tiled = engine.draw(ASK)
    assert tiled.about["decoded"] == "in tiles"
    assert codec.use_tiling
    assert 0 < apart(tiled, plain) < 128
    drawing.decoded = 64 * 64
    again = engine.draw(ASK)
    assert not codec.use_tiling
    assert again.pictures[0].tobytes() == plain.pictures[0].tobytes()
    assert take(codec, 64 * 64, 2, 64 * 64) == ""
    assert codec.use_slicing
    assert take(object(), 1, 1, 1) == ""


def test_plans_are_told_in_a_line() -> None:
    """For the log."""
    assert Plan("groups", 3 * GIB, "int8").told() == "groups int8 3.0 GiB"


def test_the_page_shows_what_the_program_calculates() -> None:
    """docs/gpu.md holds the tables of benchmarks/cards.py, line by line; sizes are those that makers tell."""
    project = Path(__file__).resolve().parents[3]
    told = importlib.util.spec_from_file_location("cards", project / "benchmarks" / "cards.py")
    assert told is not None
    assert told.loader is not None
    cards = importlib.util.module_from_spec(told)
    told.loader.exec_module(cards)
    assert cards.tables() in (project / "docs" / "gpu.md").read_text(encoding="utf-8")
    transformer = cards.parts_of(cards.flux)["transformer"]
    assert 11.8e9 < transformer.bytes / 2 < 12.0e9
    assert 4.7e9 < cards.parts_of(cards.flux)["text_encoder_2"].bytes / 2 < 4.8e9
