"""Textual inversions: named in a prompt, drawn as the stock pipeline draws them, or refused by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import familykit
import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from safetensors.torch import save_file
from smallkit import QUIET, small

from daguerre.models.errors import EmbeddingUnfit
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.requests import RenderRequest

ASK = RenderRequest("a red apple", (3,), 3, 4.0, 32, 32, negative="blue")
pytestmark = QUIET


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    with small(32):
        yield


def loaded(folder: Path, embeddings: Path, **more: Any) -> Engine:
    engine = Engine(folder, device="cpu", embeddings=embeddings, **more)
    engine.load()
    return engine


def vectors(rows: int, width: int, seed: int) -> torch.Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def write_one(folder: Path, name: str, rows: int, width: int = 32, seed: int = 1) -> torch.Tensor:
    """In the layout of the web UIs, for one encoder."""
    folder.mkdir(exist_ok=True)
    made = vectors(rows, width, seed)
    save_file({"emb_params": made}, folder / f"{name}.safetensors")
    return made


def stock_of(folder: Path) -> Any:
    stock: Any = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    stock.set_progress_bar_config(disable=True)
    return stock


def stock_picture(stock: Any, prompt: str, negative: str) -> np.ndarray:
    made = stock(
        prompt, negative_prompt=negative, num_inference_steps=3, guidance_scale=4.0, height=32, width=32,
        generator=torch.Generator().manual_seed(3),
    )  # fmt: skip
    return np.asarray(made.images[0], int)


def apart(made: Any, expected: np.ndarray) -> int:
    return int(np.abs(np.asarray(made.pictures[0], int) - expected).max())


def test_one_encoder_draws_as_stock_does(tmp_path: Path) -> None:
    """Of several vectors, in the prompt and in the negative one; however it is written; nothing of it stays on."""
    folder, embeddings = familykit.write_sd15(tmp_path / "toy"), tmp_path / "embeddings"
    style, bad = write_one(embeddings, "my-style", 2), write_one(embeddings, "badhands", 1, seed=2)
    engine = loaded(folder, embeddings)
    plain = engine.draw(ASK)
    stock = stock_of(folder)
    assert apart(plain, stock_picture(stock, "a red apple", "blue")) <= 1
    stock.load_textual_inversion({"emb_params": bad}, token="badhands")
    stock.load_textual_inversion({"emb_params": style}, token="my-style")
    expected = stock_picture(stock, "a my-style apple", "badhands")
    made = engine.draw(replace(ASK, prompt="a my-style apple", negative="badhands"))
    assert apart(made, expected) <= 1
    assert made.pictures[0].tobytes() != plain.pictures[0].tobytes()
    assert set(made.about["embeddings"]) == {"my-style", "badhands"}
    for written in ("a <my-style> apple", "a embedding:my-style apple", "a My-Style apple"):
        again = engine.draw(replace(ASK, prompt=written, negative="badhands"))
        assert again.pictures[0].tobytes() == made.pictures[0].tobytes(), written
    assert engine.draw(ASK).pictures[0].tobytes() == plain.pictures[0].tobytes()
    weighted = engine.draw(replace(ASK, prompt="a (my-style:1.4) apple", negative="badhands"))
    assert weighted.pictures[0].tobytes() != made.pictures[0].tobytes()
    words = engine.draw(replace(ASK, prompt="a my-style-too apple"))
    assert "embeddings" not in words.about


def test_two_encoders_draw_as_stock_does(tmp_path: Path) -> None:
    """SDXL's file has vectors for each of its encoders; the order in which files were loaded changes nothing."""
    folder, embeddings = familykit.write_sdxl(tmp_path / "toy"), tmp_path / "embeddings"
    embeddings.mkdir()
    parts = {"clip_l": vectors(2, 32, 3), "clip_g": vectors(2, 32, 4)}
    save_file(parts, embeddings / "glow.safetensors")
    save_file(
        {"text_encoders_0": vectors(1, 32, 5), "text_encoders_1": vectors(1, 32, 6)}, embeddings / "ash.safetensors"
    )
    engine = loaded(folder, embeddings)
    made = engine.draw(replace(ASK, prompt="a glow apple"))
    stock = stock_of(folder)
    stock.load_textual_inversion(parts["clip_l"], token="glow", text_encoder=stock.text_encoder,
                                 tokenizer=stock.tokenizer)  # fmt: skip
    stock.load_textual_inversion(parts["clip_g"], token="glow", text_encoder=stock.text_encoder_2,
                                 tokenizer=stock.tokenizer_2)  # fmt: skip
    assert apart(made, stock_picture(stock, "a glow apple", "blue")) <= 1
    both = replace(ASK, prompt="ash and glow apple")
    assert engine.draw(both).pictures[0].tobytes() == loaded(folder, embeddings).draw(both).pictures[0].tobytes()


def test_a_replaced_file_counts_at_once(tmp_path: Path) -> None:
    """Other pixels and another digest for the next request, beside adapters too."""
    folder, embeddings = familykit.write_sd15(tmp_path / "toy"), tmp_path / "embeddings"
    write_one(embeddings, "ink", 1)
    adapters = tmp_path / "adapters"
    adapters.mkdir()
    module = "unet.up_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
    save_file(
        {f"{module}.lora_A.weight": vectors(2, 32, 8), f"{module}.lora_B.weight": vectors(32, 2, 9)},
        adapters / "oil.safetensors",
    )
    engine = loaded(folder, embeddings, adapters=adapters)
    ask = replace(ASK, prompt="a ink apple")
    oiled = replace(ask, adapters=("oil",))
    engine.draw(replace(ASK, adapters=("oil",)))
    first, first_oiled = engine.draw(ask), engine.draw(oiled)
    assert first.pictures[0].tobytes() != first_oiled.pictures[0].tobytes()
    write_one(embeddings, "ink", 1, seed=77)
    os.utime(embeddings / "ink.safetensors", ns=(1, 1))
    second, second_oiled = engine.draw(ask), engine.draw(oiled)
    assert first.pictures[0].tobytes() != second.pictures[0].tobytes()
    assert first_oiled.pictures[0].tobytes() != second_oiled.pictures[0].tobytes()
    assert first.about["embeddings"]["ink"] != second.about["embeddings"]["ink"]


@pytest.mark.parametrize("write", [familykit.write_sd15, familykit.write_sdxl])
def test_what_does_not_fit_is_refused_by_name(write: Any, tmp_path: Path) -> None:
    """Another base's, a torn file, numbers that are none, something else; then all goes on."""
    embeddings = tmp_path / "embeddings"
    write_one(embeddings, "wide", 1, width=64)
    write_one(embeddings, "none", 1)
    save_file({"emb_params": torch.full((1, 32), float("nan"))}, embeddings / "none.safetensors")
    save_file({"a": torch.zeros(1), "b": torch.zeros(1)}, embeddings / "other.safetensors")
    save_file({"clip_l": torch.zeros(1, 64), "clip_g": torch.zeros(1, 80)}, embeddings / "xl.safetensors")
    (embeddings / "torn.safetensors").write_bytes(b"torn")
    (embeddings / "pickled.pt").write_bytes(b"never opened")
    engine = loaded(write(tmp_path / "toy"), embeddings)
    assert list(engine.offers.embeddings()) == ["none", "other", "torn", "wide", "xl"]
    before = engine.draw(ASK).pictures[0].tobytes()
    for name, said in (
        ("wide", "another base model"), ("xl", "another base model"), ("none", "no numbers"), ("torn", "is damaged"),
        ("other", "holds no textual inversion"),
    ):  # fmt: skip
        with pytest.raises(EmbeddingUnfit, match=f"(?s){name}.*{said}") as refused:
            engine.draw(replace(ASK, prompt=f"a {name} apple"))
        assert refused.value.code == "unfit_embedding"
    assert engine.draw(ASK).pictures[0].tobytes() == before
    assert engine.draw(replace(ASK, prompt="a pickled apple")).pictures


def test_other_families_read_the_names_as_words(tmp_path: Path) -> None:
    """FLUX reads by an encoder that takes none: the prompt is drawn as it stands."""
    embeddings = tmp_path / "embeddings"
    write_one(embeddings, "ink", 1)
    engine = loaded(familykit.write_flux(tmp_path / "toy"), embeddings)
    assert "embeddings" not in engine.draw(replace(ASK, prompt="a ink apple")).about
