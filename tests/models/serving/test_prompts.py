"""Prompts and adapters as people have them: weights in brackets, long texts, LoRAs, misfits."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import familykit
import familykit_more
import pytest
import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file, save_file
from smallkit import QUIET, small

from daguerre.models.errors import AdapterUnfit, Unrenderable
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.jobwise import Jobwise
from daguerre.models.serving.requests import RenderRequest
from daguerre.models.serving.triggers import Triggers
from daguerre.models.serving.wording import pieces, settled

ASK = RenderRequest("a red apple", (3,), 2, 3.0, 32, 32)
pytestmark = QUIET


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    with small(64):
        yield


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a cat", [("a cat", 1.0)]),
        ("a (red:1.5) cat", [("a ", 1.0), ("red", 1.5), (" cat", 1.0)]),
        ("((big)) [small]", [("big", 1.21), (" ", 1.0), ("small", 1 / 1.1)]),
        ("(a (red:2) cat:1.5)", [("a ", 1.5), ("red", 3.0), (" cat", 1.5)]),
        (r"a smile \(happy\)", [("a smile (happy)", 1.0)]),
        ("a cat :( and (open", [("a cat :( and (open", 1.0)]),
        ("ratio 16:9", [("ratio 16:9", 1.0)]),
        ("a cat BREAK a dog", [("a cat", 1.0), ("a dog", 1.0)]),
    ],
)
def test_brackets_are_weights(text: str, expected: list[tuple[str, float]]) -> None:
    """As the web UIs read them; what does not close, or is escaped, are words."""
    found = [(piece.text, piece.weight) for piece in pieces(text)]
    expected = [(words, weight) for words, weight in expected if words.strip()]
    assert [words for words, _ in found] == [words for words, _ in expected]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in expected])


def test_adapters_in_a_prompt_are_no_words() -> None:
    """`<lora:name:0.8>` goes among the adapters, once, and out of the text."""
    ask = settled(replace(ASK, prompt="a cat <lora:ink:0.8> on a mat<lora:mine>", adapters=("mine",)))
    assert (ask.prompt, ask.adapters) == ("a cat on a mat", ("mine", "ink:0.8"))
    assert settled(ASK) is ASK


def loaded(folder: Path, **more: Any) -> Engine:
    engine = Engine(folder, device="cpu", **more)
    engine.load()
    return engine


@pytest.mark.parametrize("write", [familykit.write_sd15, familykit.write_sdxl])
def test_long_and_weighted_prompts_reach_clip_models(write: Any, tmp_path: Path) -> None:
    """The end of a long prompt counts; a weight counts; a weight of one is the plain prompt to the bit."""
    engine = loaded(write(tmp_path / "toy"))

    def drawn(prompt: str, **more: Any) -> bytes:
        made = engine.draw(replace(ASK, prompt=prompt, **more))
        return made.pictures[0].tobytes()

    long = "a red apple a blue pizza a red apple a blue pizza a red apple"
    assert drawn(long + " red") != drawn(long + " pizza")
    assert engine.draw(replace(ASK, prompt=long)).about["chunks"] == 2
    assert drawn("a (red:1.0) apple") == drawn("a red apple")
    assert len({drawn("a (red:1.5) apple"), drawn("a [red] apple"), drawn("a red apple")}) == 3
    assert drawn("a red apple BREAK a blue pizza") != drawn("a red apple a blue pizza")
    # Beside requests of other lengths each stays what it is alone.
    jobs = [engine.submit(replace(ASK, prompt=prompt, seeds=(3,))) for prompt in (long, "a red apple", long)]
    alone = drawn(long)
    assert [job.result.result(0).pictures[0].tobytes() for job in jobs] == [alone, drawn("a red apple"), alone]
    endless = engine.draw(replace(ASK, prompt=" ".join(["apple"] * 60)))
    assert "tokens" in endless.about["cut"]


def lora(folder: Path, name: str, *, module: str, rows: int, columns: int, seed: int = 0) -> Path:
    """One pair of matrices in the layout of diffusers."""
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.safetensors"
    chance = torch.Generator().manual_seed(seed)
    save_file(
        {
            f"{module}.lora_A.weight": torch.randn(2, columns, generator=chance),
            f"{module}.lora_B.weight": torch.randn(rows, 2, generator=chance),
        },
        file,
    )
    return file


def test_flux_draws_with_loras_as_its_stock_pipeline_does(tmp_path: Path) -> None:
    """Weighted, two at once, taken off again for the next request; a file that was replaced counts at once."""
    folder = familykit.write_flux(tmp_path / "toy")
    adapters = tmp_path / "adapters"
    module = "transformer.transformer_blocks.0.attn.to_q"
    file = lora(adapters, "ink", module=module, rows=32, columns=32, seed=1)
    lora(adapters, "oil", module=module, rows=32, columns=32, seed=2)
    engine = loaded(folder, adapters=adapters)
    assert isinstance(engine.loop, Jobwise)
    plain = engine.draw(ASK).pictures[0].tobytes()
    inked = engine.draw(replace(ASK, prompt="a red apple <lora:ink:0.5>"))
    assert engine.draw(ASK).pictures[0].tobytes() == plain
    both = engine.draw(replace(ASK, adapters=("ink", "oil")))
    assert len({plain, inked.pictures[0].tobytes(), both.pictures[0].tobytes()}) == 3
    assert inked.about["adapters"]["ink"].endswith("× 0.5")

    stock: Any = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    stock.set_progress_bar_config(disable=True)
    stock.load_lora_weights(adapters, weight_name=file.name, adapter_name="ink", local_files_only=True)
    stock.set_adapters(["ink"], [0.5])
    width, height = inked.about["drawn"]
    expected = stock(
        "a red apple", num_inference_steps=2, guidance_scale=3.0, width=width, height=height,
        generator=torch.Generator().manual_seed(3),
    ).images[0]  # fmt: skip
    assert inked.pictures[0].tobytes() == expected.resize((32, 32), 1).tobytes()

    lora(adapters, "ink", module=module, rows=32, columns=32, seed=9)
    os.utime(file, ns=(1, 1))
    replaced = engine.draw(replace(ASK, adapters=("ink:0.5",)))
    assert replaced.pictures[0].tobytes() != inked.pictures[0].tobytes()
    assert replaced.about["adapters"] != inked.about["adapters"]


def test_a_refused_sampler_leaves_no_adapter_on(tmp_path: Path) -> None:
    """Nor does a second adapter that is not there: the next job, which names none, draws without any."""
    adapters = tmp_path / "adapters"
    lora(adapters, "ink", module="transformer.transformer_blocks.0.attn.to_q", rows=32, columns=32, seed=1)
    engine = loaded(familykit.write_flux(tmp_path / "toy"), adapters=adapters)
    plain = engine.draw(ASK).pictures[0].tobytes()
    assert engine.draw(replace(ASK, adapters=("ink",))).pictures[0].tobytes() != plain
    for refused in ({"sampler": "lcm"}, {"adapters": ("ink", "none")}):
        with pytest.raises(Unrenderable):
            engine.draw(replace(ASK, **{"adapters": ("ink",), **refused}))
        assert engine.draw(ASK).pictures[0].tobytes() == plain


@pytest.mark.parametrize("write", [familykit.write_sd15, familykit.write_flux])
def test_adapters_that_cannot_be_used_are_named(write: Any, tmp_path: Path) -> None:
    """Another base's, a LoHa, a LoKr, an embedding, values that are no numbers, a torn file; then all goes on."""
    adapters = tmp_path / "adapters"
    lora(adapters, "larger", module="unet.mid_block.attentions.0.proj_in", rows=640, columns=640)
    lora(adapters, "other", module="transformer.blocks.77.attn.to_q", rows=32, columns=32)
    good = load_file(adapters / "larger.safetensors")
    save_file({"lora_unet_x.hada_w1_a": torch.zeros(2, 2)}, adapters / "loha.safetensors")
    save_file({"lora_unet_x.lokr_w1": torch.zeros(2, 2)}, adapters / "lokr.safetensors")
    save_file({"emb_params": torch.zeros(2, 32)}, adapters / "embedding.safetensors")
    save_file({key: torch.full_like(value, float("nan")) for key, value in good.items()}, adapters / "nan.safetensors")
    save_file({"something": torch.zeros(1)}, adapters / "nothing.safetensors")
    (adapters / "torn.safetensors").write_bytes(b"torn")
    engine = loaded(write(tmp_path / "toy"), adapters=adapters)
    before = engine.draw(ASK).pictures[0].tobytes()
    for name, said in (
        ("larger", "another base model|belongs to a layer"), ("other", "another base model|belongs to a layer"),
        ("loha", "a LoHa"), ("lokr", "a LoKr"), ("embedding", "textual inversion"), ("nan", "no numbers"),
        ("nothing", "holds no LoRA"), ("torn", "damaged"), ("absent", "no adapter 'absent'.*larger"),
    ):  # fmt: skip
        with pytest.raises(AdapterUnfit, match=said) as refused:
            engine.draw(replace(ASK, adapters=(name,)))
        assert refused.value.code == "unfit_adapter"
    assert engine.draw(ASK).pictures[0].tobytes() == before


def test_a_grid_that_memory_does_not_hold_is_drawn_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half as many pictures at a time, and more again once that has been well; all of them come."""
    engine = loaded(familykit.write_sd3(tmp_path / "toy"))
    loop: Any = engine.loop
    real, holds, asked = loop._together, [2], list[int]()

    def small(job: Any, prompt: str, seeds: Any, *more: Any) -> Any:
        asked.append(len(seeds))
        if len(seeds) > holds[0]:
            raise torch.OutOfMemoryError
        return real(job, prompt, seeds, *more)

    monkeypatch.setattr(loop, "_together", small)
    ask = replace(ASK, seeds=(1, 2, 3, 4))
    drawn = engine.draw(ask)
    assert asked == [4, 2, 2]
    assert len({each.tobytes() for each in drawn.pictures}) == 4
    assert drawn.about["canonical"] == "job of 2, then 2"
    holds[0] = 4
    asked.clear()
    for _ in range(5):
        engine.draw(ask)
    assert asked[0] == 2
    assert asked[-1] == 4


def test_adapters_tell_their_words(tmp_path: Path) -> None:
    """What the operator wrote, then what the file says: a phrase, tags of nearly every picture, the pictures' folder.
    Another file of the name is read anew; what says nothing, or is torn, has none."""
    tags = {"10_sks dog": {"sks dog": 20, "photo": 19, "grass": 3}}
    files = {
        "phrase": {"modelspec.trigger_phrase": "ink\n drawing", "ss_tag_frequency": json.dumps(tags)},
        "tags": {"ss_tag_frequency": json.dumps(tags)},
        "folder": {"ss_tag_frequency": json.dumps({"4_my_cat": {}})},
        "odd": {"ss_tag_frequency": "[1, 2"},
        "told": {"modelspec.trigger_phrase": "other"},
        "plain": {},
    }
    for name, metadata in files.items():
        save_file({"x": torch.zeros(1)}, tmp_path / f"{name}.safetensors", metadata)
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    triggers = Triggers(tmp_path, {"told": "as written"})
    expected = {"phrase": "ink drawing", "tags": "sks dog, photo", "folder": "my cat", "told": "as written"}
    assert triggers() == expected
    save_file({"x": torch.zeros(1)}, tmp_path / "tags.safetensors", {"modelspec.trigger_phrase": "new " * 99})
    os.utime(tmp_path / "tags.safetensors", ns=(1, 1))
    assert triggers()["tags"].startswith("new new")
    assert len(triggers()["tags"]) <= 120
    assert Triggers(None)() == {}


def test_a_lora_that_was_replaced_is_another(tmp_path: Path) -> None:
    """Merged ones too: other pixels and digest for the next request, also where the new file has the old one's size
    and time; the old one put back draws the old picture."""
    adapters = tmp_path / "adapters"
    module = "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
    file = lora(adapters, "ink", module=module, rows=32, columns=32, seed=1)
    old, told = file.read_bytes(), file.stat()
    engine = loaded(familykit.write_sd15(tmp_path / "toy"), adapters=adapters)
    ask = replace(ASK, adapters=("ink",))
    first = engine.draw(ask)
    lora(adapters, "ink", module=module, rows=32, columns=32, seed=9)
    os.utime(file, ns=(told.st_atime_ns, told.st_mtime_ns))
    assert (file.stat().st_mtime_ns, file.stat().st_size) == (told.st_mtime_ns, told.st_size)
    second = engine.draw(ask)
    assert first.pictures[0].tobytes() != second.pictures[0].tobytes()
    assert first.about["adapters"] != second.about["adapters"]
    file.write_bytes(old)
    third = engine.draw(ask)
    assert third.pictures[0].tobytes() == first.pictures[0].tobytes()
    assert third.about["adapters"] == first.about["adapters"]


def test_a_lokr_is_drawn_where_diffusers_loads_it(tmp_path: Path) -> None:
    """Z-Image takes them as its stock pipeline does; elsewhere they are refused by what they are (above)."""
    torch.manual_seed(1)
    folder, adapters = tmp_path / "toy", tmp_path / "adapters"
    familykit_more.z_image().save_pretrained(folder, safe_serialization=True)
    adapters.mkdir()
    chance = torch.Generator().manual_seed(5)
    module = "diffusion_model.layers.0.attention.to_q"
    save_file(
        {
            f"{module}.lokr_w1": torch.randn(4, 4, generator=chance),
            f"{module}.lokr_w2": torch.randn(8, 8, generator=chance),
            f"{module}.alpha": torch.tensor(8.0),
        },
        adapters / "kron.safetensors",
    )
    engine = loaded(folder, adapters=adapters)
    plain = engine.draw(ASK).pictures[0].tobytes()
    made = engine.draw(replace(ASK, adapters=("kron",)))
    assert made.pictures[0].tobytes() != plain
    assert engine.draw(ASK).pictures[0].tobytes() == plain
    stock: Any = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    stock.set_progress_bar_config(disable=True)
    stock.load_lora_weights(adapters, weight_name="kron.safetensors", adapter_name="kron", local_files_only=True)
    width, height = made.about["drawn"]
    expected = stock(
        "a red apple", num_inference_steps=2, guidance_scale=3.0, width=width, height=height, negative_prompt="",
        generator=torch.Generator().manual_seed(3),
    ).images[0]  # fmt: skip
    assert made.pictures[0].tobytes() == expected.resize((32, 32), 1).tobytes()
