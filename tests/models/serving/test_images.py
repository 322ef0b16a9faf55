"""Image prompts: read by the IP-Adapter of a model's folder as stock does; else begun from, and said so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import familykit
import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from ipadapterkit import write_ip_adapter
from PIL import Image
from safetensors.torch import load_file, save_file
from smallkit import QUIET, small

from daguerre.models.serving.engine import Engine
from daguerre.models.serving.images import files_in
from daguerre.models.serving.loop import Loop
from daguerre.models.serving.previews import drawing
from daguerre.models.serving.requests import RenderRequest, Source

PICTURE = drawing(48, 1).convert("RGB")
ASK = RenderRequest("a red apple", (3,), 3, 4.0, 32, 32, negative="blue")
SHOWN = replace(ASK, source=Source(PICTURE, scale=0.6))
pytestmark = QUIET


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    with small(32):
        yield


def loaded(folder: Path, **more: Any) -> Engine:
    engine = Engine(folder, device="cpu", **more)
    engine.load()
    return engine


def stock_of(folder: Path, file: Path) -> Any:
    stock: Any = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    place = file.parent.relative_to(folder).as_posix()
    stock.load_ip_adapter(folder, subfolder="" if place == "." else place, weight_name=file.name, local_files_only=True)
    stock.set_progress_bar_config(disable=True)
    return stock


def stock_picture(stock: Any, scale: float, guidance: float = 4.0) -> np.ndarray:
    stock.set_ip_adapter_scale(scale)
    made = stock(
        "a red apple", negative_prompt="blue", num_inference_steps=3, guidance_scale=guidance, height=32, width=32,
        ip_adapter_image=PICTURE, generator=torch.Generator().manual_seed(3),
    )  # fmt: skip
    return np.asarray(made.images[0], int)


def apart(made: Any, expected: np.ndarray) -> int:
    return int(np.abs(np.asarray(made.pictures[0], int) - expected).max())


@pytest.mark.parametrize(("write", "place"), [(familykit.write_sd15, "models"), (familykit.write_sdxl, "")])
def test_a_picture_is_read_as_stock_reads_it(write: Any, place: str, tmp_path: Path) -> None:
    """At two scales and without guidance; to the bit among rows that have other pictures, scales, or none."""
    folder = write(tmp_path / "toy")
    plain = loaded(folder).draw(ASK).pictures[0].tobytes()
    file = write_ip_adapter(folder, place=place)
    engine = loaded(folder)
    assert engine.image_prompts
    assert isinstance(engine.loop, Loop)
    stock = stock_of(folder, file)
    made = engine.draw(SHOWN)
    assert apart(made, stock_picture(stock, 0.6)) <= 1
    assert made.about["image_prompt"] == "ip-adapter"
    assert made.about["image_scale"] == 0.6
    assert made.about["ip_adapter"]
    more = replace(SHOWN, source=Source(PICTURE, scale=1.0))
    assert apart(engine.draw(more), stock_picture(stock, 1.0)) <= 1
    free = replace(SHOWN, guidance=1.0)
    assert apart(engine.draw(free), stock_picture(stock, 0.6, 1.0)) <= 1
    assert engine.draw(ASK).pictures[0].tobytes() == plain
    other = replace(SHOWN, source=Source(PICTURE.rotate(180), scale=0.6))
    jobs = [engine.submit(each) for each in (ASK, SHOWN, other, more, replace(SHOWN, seeds=(3, 9)))]
    while not all(job.result.done() for job in jobs):
        engine.loop.tick()
    drawn = [job.result.result(0).pictures[0].tobytes() for job in jobs]
    alone = made.pictures[0].tobytes()
    assert drawn[0] == plain
    assert drawn[1] == drawn[4] == alone
    assert len({drawn[0], alone, drawn[2], drawn[3]}) == 4
    assert drawn[3] == engine.draw(more).pictures[0].tobytes()


def test_a_picture_beside_adapters(tmp_path: Path) -> None:
    """A LoRA and a picture: both count, and neither stays on."""
    folder, adapters = familykit.write_sd15(tmp_path / "toy"), tmp_path / "adapters"
    file = write_ip_adapter(folder)
    adapters.mkdir()
    chance = torch.Generator().manual_seed(8)
    module = "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
    pair = {"A": torch.randn(2, 32, generator=chance), "B": torch.randn(32, 2, generator=chance)}
    save_file({f"{module}.lora_{which}.weight": told for which, told in pair.items()}, adapters / "oil.safetensors")
    engine = loaded(folder, adapters=adapters)
    plain = engine.draw(ASK).pictures[0].tobytes()
    both = engine.draw(replace(SHOWN, adapters=("oil",)))
    stock = stock_of(folder, file)
    stock.load_lora_weights(adapters, weight_name="oil.safetensors", local_files_only=True)
    stock.fuse_lora()
    assert apart(both, stock_picture(stock, 0.6)) <= 1
    assert engine.draw(ASK).pictures[0].tobytes() == plain
    assert apart(engine.draw(SHOWN), stock_picture(stock_of(folder, file), 0.6)) <= 1
    engine.rest()
    assert engine.draw(replace(SHOWN, adapters=("oil",))).pictures[0].tobytes() == both.pictures[0].tobytes()


def test_the_second_network_takes_no_memory_of_its_own(tmp_path: Path) -> None:
    """Every weight of the U-Net that reads pictures is the plain one's, but for the adapter's own."""
    folder = familykit.write_sd15(tmp_path / "toy")
    write_ip_adapter(folder)
    loop: Any = loaded(folder).loop
    plain, images = loop._context.network.plain, loop._context.images
    reading = images.variant(plain, 0.6).unet
    own = {weight.data_ptr() for weight in plain.unet.parameters()}
    others = [name for name, weight in reading.named_parameters() if weight.data_ptr() not in own]
    assert others
    assert all("_ip" in name or "encoder_hid_proj" in name for name in others)


def test_without_an_adapter_it_is_begun_from_and_said_so(tmp_path: Path) -> None:
    """As with no scale at all; so in every family, drawn together or job by job."""
    for write in (familykit.write_sd15, familykit.write_flux):
        engine = loaded(write(tmp_path / write.__name__))
        assert not engine.image_prompts
        made = engine.draw(SHOWN)
        assert made.about["image_prompt"] == "begun from"
        begun = engine.draw(replace(ASK, source=Source(PICTURE)))
        assert made.pictures[0].tobytes() == begun.pictures[0].tobytes()
        assert "image_prompt" not in engine.draw(ASK).about


def test_a_model_with_one_still_begins_from_pictures(tmp_path: Path) -> None:
    """Variations of what was drawn have no scale: they begin from it, as the metadata says."""
    folder = familykit.write_sd15(tmp_path / "toy")
    before = loaded(folder).draw(replace(ASK, source=Source(PICTURE)))
    write_ip_adapter(folder)
    after = loaded(folder).draw(replace(ASK, source=Source(PICTURE)))
    assert after.pictures[0].tobytes() == before.pictures[0].tobytes()
    assert after.about["image_prompt"] == "begun from"


def test_one_that_does_not_fit_is_named_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Another base's, a damaged file, values that are none, something else: the model serves, and the log says why."""
    folder = familykit.write_sd15(tmp_path / "toy")
    file = write_ip_adapter(folder)
    good = load_file(file)
    larger = {name: torch.zeros(64, 64) if "_ip" in name else told for name, told in good.items()}
    broken = {name: torch.full_like(told, float("nan")) for name, told in good.items()}
    for tensors, said in (
        (larger, "another base model"), (broken, "no numbers"), ({"x": torch.zeros(1)}, "holds no IP-Adapter"),
        (None, "is damaged"),
    ):  # fmt: skip
        caplog.clear()
        if tensors is None:
            file.write_bytes(b"torn")
        else:
            save_file(tensors, file)
        engine = loaded(folder)
        assert not engine.image_prompts
        assert said in caplog.text
        assert file.name in caplog.text
        assert engine.draw(SHOWN).about["image_prompt"] == "begun from"


def test_where_the_files_lie(tmp_path: Path) -> None:
    """At the top, or in a folder as they are published; never a pickle, nor one for faces alone."""
    folder = familykit.write_sd15(tmp_path / "toy")
    assert files_in(folder) is None
    file = write_ip_adapter(folder, place="sdxl_models")
    shutil.move(folder / "sdxl_models" / "image_encoder", folder / "image_encoder")
    found = files_in(folder)
    assert found is not None
    assert (found.adapter, found.encoder) == (file, folder / "image_encoder")
    file.rename(file.with_suffix(".bin"))
    assert files_in(folder) is None
    Image.new("RGB", (1, 1)).save(folder / "ip-adapter.png")
    write_ip_adapter(folder, name="ip-adapter-faceid_toy")
    assert files_in(folder) is None
