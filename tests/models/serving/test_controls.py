"""ControlNets: shown a picture or its edges, drawn as the stock pipelines draw them, refused by name otherwise."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import familykit
import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    DiffusionPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionXLControlNetPipeline,
)
from ipadapterkit import write_ip_adapter
from PIL import Image
from safetensors.torch import save_file
from smallkit import QUIET, small

from daguerre.models.errors import ControlUnfit, Unsupported
from daguerre.models.serving.edges import edges
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.loop import Loop
from daguerre.models.serving.previews import drawing
from daguerre.models.serving.requests import RenderRequest, Source

PICTURE = drawing(32, 1).convert("RGB")
ASK = RenderRequest("a red apple", (3,), 3, 4.0, 32, 32, negative="blue")
SHOWN = replace(ASK, source=Source(PICTURE), control="canny")
pytestmark = QUIET


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    with small(32):
        yield


def write_control(weights: Path, folder: Path, seed: int = 5, **more: Any) -> Path:
    """One for a base, whose last layers do something: trained ones are not zero either."""
    torch.manual_seed(seed)
    pipeline: Any = DiffusionPipeline.from_pretrained(weights, local_files_only=True)
    made = ControlNetModel.from_unet(pipeline.unet, conditioning_embedding_out_channels=(16, 32), **more)
    for name, weight in made.named_parameters():
        if "controlnet_" in name and not weight.any():
            torch.nn.init.normal_(weight, std=0.2)
    made.save_pretrained(folder, safe_serialization=True)
    return folder


def stock_picture(weights: Path, folder: Path, shown: Image.Image, scale: float = 1.0) -> np.ndarray:
    plain: Any = DiffusionPipeline.from_pretrained(weights, local_files_only=True)
    xl = "XL" in type(plain).__name__
    kind: Any = StableDiffusionXLControlNetPipeline if xl else StableDiffusionControlNetPipeline
    control = ControlNetModel.from_pretrained(folder, local_files_only=True)
    parts = {name: part for name, part in plain.components.items() if name not in ("image_encoder",)}
    switches = {} if xl else {"requires_safety_checker": False}
    stock = kind(**parts, controlnet=control, **switches)
    stock.set_progress_bar_config(disable=True)
    made = stock(
        "a red apple", negative_prompt="blue", num_inference_steps=3, guidance_scale=4.0, height=32, width=32,
        image=shown, controlnet_conditioning_scale=scale, generator=torch.Generator().manual_seed(3),
    )  # fmt: skip
    return np.asarray(made.images[0], int)


def loaded(weights: Path, folder: Path) -> Engine:
    engine = Engine(weights, device="cpu", controls=folder)
    engine.load()
    return engine


def apart(made: Any, expected: np.ndarray) -> int:
    return int(np.abs(np.asarray(made.pictures[0], int) - expected).max())


@pytest.mark.parametrize("write", [familykit.write_sd15, familykit.write_sdxl])
def test_it_is_drawn_as_stock_draws_it(write: Any, tmp_path: Path) -> None:
    """Edges for canny, the picture itself for others, weighted; to the bit among rows with another one, or none."""
    weights, folder = write(tmp_path / "toy"), tmp_path / "controlnets"
    write_control(weights, folder / "canny")
    write_control(weights, folder / "depth", seed=6)
    engine = loaded(weights, folder)
    assert isinstance(engine.loop, Loop)
    assert list(engine.offers.controls()) == ["canny", "depth"]
    plain = engine.draw(ASK).pictures[0].tobytes()
    made = engine.draw(SHOWN)
    assert apart(made, stock_picture(weights, folder / "canny", edges(PICTURE))) <= 1
    assert made.about["control"] == "canny"
    assert made.about["control_digest"]
    assert "image_prompt" not in made.about
    deep = replace(SHOWN, control="depth:0.5")
    assert apart(engine.draw(deep), stock_picture(weights, folder / "depth", PICTURE, 0.5)) <= 1
    begun = replace(SHOWN, control="")
    jobs = [engine.submit(each) for each in (ASK, SHOWN, deep, begun, replace(SHOWN, seeds=(3, 9)))]
    while not all(job.result.done() for job in jobs):
        engine.loop.tick()
    drawn = [job.result.result(0).pictures[0].tobytes() for job in jobs]
    assert drawn[0] == plain
    assert drawn[1] == drawn[4] == made.pictures[0].tobytes()
    assert drawn[2] == engine.draw(deep).pictures[0].tobytes()
    assert len(set(drawn)) == 4
    write_control(weights, folder / "canny", seed=7)
    for file in (folder / "canny").iterdir():
        os.utime(file, ns=(1, 1))
    again = engine.draw(SHOWN)
    assert again.pictures[0].tobytes() != made.pictures[0].tobytes()
    assert again.about["control_digest"] != made.about["control_digest"]


def test_beside_a_model_that_reads_pictures(tmp_path: Path) -> None:
    """The picture of a control says where things are; it is not read as a prompt besides."""
    weights, folder = familykit.write_sd15(tmp_path / "toy"), tmp_path / "controlnets"
    write_control(weights, folder / "canny")
    before = loaded(weights, folder).draw(SHOWN).pictures[0].tobytes()
    write_ip_adapter(weights)
    engine = loaded(weights, folder)
    assert engine.image_prompts
    after = engine.draw(replace(SHOWN, source=Source(PICTURE, scale=0.6)))
    assert after.pictures[0].tobytes() == before


def test_what_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    """Another base's, a torn file, numbers that are none, one that is not there, no picture, a family that takes none;
    then all goes on."""
    weights, folder = familykit.write_sd15(tmp_path / "toy"), tmp_path / "controlnets"
    xl = familykit.write_sdxl(tmp_path / "xl")
    write_control(weights, folder / "canny")
    write_control(xl, folder / "canny-xl")
    write_control(weights, folder / "torn")
    (folder / "torn" / "diffusion_pytorch_model.safetensors").write_bytes(b"torn")
    made: Any = ControlNetModel.from_pretrained(write_control(weights, folder / "none"), local_files_only=True)
    broken = {name: torch.full_like(told, float("nan")) for name, told in made.state_dict().items()}
    save_file(broken, folder / "none" / "diffusion_pytorch_model.safetensors", {"format": "pt"})
    (folder / "pickled").mkdir()
    (folder / "pickled" / "config.json").write_text("{}")
    (folder / "pickled" / "diffusion_pytorch_model.bin").write_bytes(b"never opened")
    engine = loaded(weights, folder)
    before = engine.draw(ASK).pictures[0].tobytes()
    for name, said in (
        ("canny-xl", "canny-xl was made for another base model"), ("torn", "torn is damaged"),
        ("none", "none has values that are no numbers"), ("pickled", "no ControlNet 'pickled'.*canny, canny-xl"),
    ):  # fmt: skip
        with pytest.raises(ControlUnfit, match=said) as refused:
            engine.draw(replace(SHOWN, control=name))
        assert refused.value.code == "unfit_control"
    with pytest.raises(ControlUnfit, match="canny needs a picture"):
        engine.draw(replace(ASK, control="canny"))
    assert engine.draw(ASK).pictures[0].tobytes() == before
    with pytest.raises(Unsupported, match="ControlNet") as unsupported:
        loaded(familykit.write_flux(tmp_path / "flux"), folder).draw(SHOWN)
    assert unsupported.value.code == "unsupported_control"


def test_edges_are_those_of_opencv() -> None:
    """To the bit, where they were compared (OpenCV 5.0): a picture of blurred noise, and a square on white."""
    noise = np.random.default_rng(7).integers(0, 255, (24, 24, 3), dtype=np.uint8)
    found = np.asarray(edges(Image.fromarray(noise).resize((48, 48), Image.Resampling.BICUBIC)))
    assert int((found[:, :, 0] > 0).sum()) == 896
    assert hashlib.sha256(np.ascontiguousarray(found[:, :, 0]).tobytes()).hexdigest()[:16] == "983c3ffa8c916512"
    square = Image.new("RGB", (32, 32), "white")
    square.paste("black", (8, 8, 24, 24))
    lines = np.asarray(edges(square))[:, :, 0]
    assert ["".join(".#"[int(value > 0)] for value in row) for row in lines[6:10]] == [
        "." * 32, "." * 9 + "#" * 14 + "." * 9, "." * 8 + "#" + "." * 14 + "#" + "." * 8,
        "." * 7 + "#" + "." * 15 + "#" + "." * 8,
    ]  # fmt: skip
    assert not np.asarray(edges(Image.new("RGB", (16, 16), "grey"))).any()


def test_pictures_are_read_in_half_precision_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a processor that draws in bfloat16 rows are filled up as those of others are; each is drawn."""
    monkeypatch.setattr("daguerre.models.serving.engine.can_bfloat16", lambda: True)
    weights, folder = familykit.write_sd15(tmp_path / "toy"), tmp_path / "controlnets"
    write_control(weights, folder / "canny")
    write_ip_adapter(weights)
    engine = Engine(weights, device="cpu", controls=folder, precision="bfloat16")
    engine.load()
    assert engine.describe()["precision"] == "bfloat16"
    made = engine.draw(replace(SHOWN, seeds=(3, 4, 5)))
    assert made.about["control"] == "canny"
    read = engine.draw(replace(ASK, source=Source(PICTURE, scale=0.6)))
    assert read.about["image_prompt"] == "ip-adapter"
