"""Weights in fewer bits: brought to them here, or as they lie in GGUF files and folders of bitsandbytes.

What needs torchao, bitsandbytes or gguf (extra `quantize`) is passed over where they are not installed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import diffusers as d
import familykit
import familykit_more
import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from transformers import CLIPTextModel

from daguerre.models.errors import WeightsRefused
from daguerre.models.serving import families, memory
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.jobwise import Jobwise
from daguerre.models.serving.memory import GIB, PACKAGES, Activations, Quantised, needs, shrunk
from daguerre.models.serving.requests import RenderRequest
from daguerre.models.serving.sizes import sizes_in

ASK = RenderRequest("a red apple", (3, 4), 2, 3.0, 64, 64)
#: What the libraries say when they are imported.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("small")]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "OVERHEAD", 0)
    real = families.native_of
    monkeypatch.setattr(families, "native_of", lambda pipeline: min(64, real(pipeline)))
    monkeypatch.setattr(families, "native_told", lambda *_: 64)


def needing(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} (extra quantize) is not installed")


def saved(write: Callable[[], Any], folder: Path) -> Path:
    torch.manual_seed(1)
    write().save_pretrained(folder)
    return folder


def loaded(weights: Path, budget: int = 0, **more: Any) -> Engine:
    engine = Engine(weights, device="cpu", memory=budget / GIB, **more)
    engine.load()
    return engine


def apart(a: Any, b: Any) -> float:
    return float(np.abs(np.asarray(a.pictures[0], int) - np.asarray(b.pictures[0], int)).mean())


def wider_flux() -> Any:
    """FLUX with layers of at least 64 inputs, as bitsandbytes' kernels for processors want them."""
    made = familykit_more.flux()
    made.register_modules(
        transformer=d.FluxTransformer2DModel(
            patch_size=1, in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=32,
            num_attention_heads=2, joint_attention_dim=64, pooled_projection_dim=64, axes_dims_rope=(8, 12, 12),
            guidance_embeds=True,
        ),
        vae=familykit.codec(latent_channels=16, shift_factor=0.1), text_encoder_2=familykit.t5(64),
        text_encoder=familykit.clip(CLIPTextModel, 64),
    )  # fmt: skip
    return made


@pytest.mark.parametrize(
    ("write", "how", "most"),
    [
        *(
            pytest.param(write, "int8", 1.0, marks=needing("torchao"), id=f"{write.__name__}-int8")
            for write in (familykit_more.flux, familykit_more.sd21, familykit_more.qwen)
        ),
        pytest.param(wider_flux, "nf4", 8.0, marks=needing("bitsandbytes")),
    ],
)
def test_weights_are_brought_to_fewer_bits(
    write: Callable[[], Any], how: Quantised, most: float, tmp_path: Path
) -> None:
    """Nearly the same picture, which says so, from less memory; the same seed gives the same picture again."""
    folder = saved(write, tmp_path / "toy")
    plain, engine = loaded(folder).draw(ASK), loaded(folder, quantize=how)
    made = engine.draw(ASK)
    assert made.about["quantised"] == how
    assert "quantised" not in plain.about
    assert isinstance(engine.loop, Jobwise)
    assert 0 < apart(made, plain) <= most
    assert engine.draw(ASK).pictures[0].tobytes() == made.pictures[0].tobytes()
    loop: Any = engine.loop
    parts = loop._pipeline.components
    network = parts.get("transformer") or parts["unet"]
    size = sum(_bytes(weight) for weight in network.parameters())
    expected = shrunk(sizes_in(folder, 4), how)["transformer" if "transformer" in parts else "unet"].bytes
    assert abs(size / expected - 1) < 0.1


def _bytes(weight: Any) -> int:
    inner = [each for each in vars(weight).values() if isinstance(each, torch.Tensor)]
    if inner and type(weight).__name__ == "Int8Tensor":
        return sum(each.numel() * each.element_size() for each in inner)
    state = getattr(weight, "quant_state", None)
    return weight.numel() * weight.element_size() + (0 if state is None else 4 * state.absmax.numel())


@needing("torchao")
def test_a_card_that_holds_them_in_no_other_way_gets_fewer_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto`, with a budget below what layers one by one need; `off` is refused, and told what would fit."""
    folder = saved(familykit_more.flux, tmp_path / "toy")
    sizes = sizes_in(folder, 4)
    # Where neither blocks nor layers can come by themselves the largest part decides.
    ways = ("whole", "parts")
    monkeypatch.setattr("daguerre.models.serving.planning.WAYS", ways)
    budget = needs(shrunk(sizes, "int8"), "parts") + Activations().of(64 * 64, tiled=True) + 1
    assert needs(sizes, "parts") > needs(shrunk(sizes, "int8"), "parts")
    engine = loaded(folder, budget)
    assert (engine.laid.way, engine.laid.quantised) == ("parts", "int8")
    engine.draw(ASK)
    with pytest.raises(WeightsRefused, match=r'What would fit: .*quantize = "int8" \('):
        loaded(folder, budget, quantize="off")


@pytest.mark.parametrize("how", ["int8", "nf4"])
def test_what_is_not_installed_is_named_with_its_command(
    how: Quantised, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is loaded."""
    monkeypatch.setattr("daguerre.models.serving.planning.installed", lambda: [])
    package, command = PACKAGES[how]
    with pytest.raises(WeightsRefused, match=rf"needs the package {package}.*{command}.*worker,quantize"):
        loaded(familykit.write_flux(tmp_path / "toy"), quantize=how)


def written_gguf(folder: Path, *, kind: str = "Q8_0") -> Path:
    """FLUX's transformer as a GGUF file, with the rest of its folder beside it: blocks of 32 weights in few bits."""
    import gguf  # pyright: ignore[reportMissingImports]

    beside = saved(familykit_more.flux, folder / "flux-Q8_0")
    pipeline: Any = DiffusionPipeline.from_pretrained(beside, local_files_only=True)
    file = folder / "flux-Q8_0.gguf"
    writer = gguf.GGUFWriter(file, "flux")
    for name, weight in pipeline.transformer.state_dict().items():
        values = weight.float().numpy()
        if values.ndim == 2 and values.shape[1] % 32 == 0:
            numbers = gguf.GGMLQuantizationType[kind]
            writer.add_tensor(name, gguf.quants.quantize(values, numbers), raw_dtype=numbers)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    for weights in (beside / "transformer").glob("*.safetensors"):
        weights.unlink()
    return file


@needing("gguf")
def test_a_gguf_file_draws_with_its_folder_beside_it(tmp_path: Path) -> None:
    """Nearly what the whole folder draws; the pictures say so; a bound on memory and other files count too."""
    whole = loaded(saved(familykit_more.flux, tmp_path / "whole")).draw(ASK)
    file = written_gguf(tmp_path)
    engine = loaded(file)
    made = engine.draw(ASK)
    assert (made.about["model"], made.about["quantised"]) == ("flux-Q8_0", "gguf")
    assert apart(made, whole) <= 1.0
    assert loaded(file, GIB).laid.way == "whole"
    other = engine.describe()["model_digest"]
    assert loaded(written_gguf(tmp_path / "q4", kind="Q4_0")).describe()["model_digest"] != other
    with pytest.raises(WeightsRefused, match="quantised already"):
        loaded(file, quantize="int8")
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(WeightsRefused, match="cannot be used on cpu"):
        loaded(file)


def test_a_gguf_file_says_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package, with the command that installs it; then the folder with the rest of the model, by name."""
    file = tmp_path / "flux.gguf"
    file.write_bytes(b"GGUF")
    real = find_spec
    monkeypatch.setattr("daguerre.models.common.folder.find_spec", lambda name: None if name == "gguf" else real(name))
    with pytest.raises(WeightsRefused, match="package gguf is not installed here: pip install gguf"):
        loaded(file)
    monkeypatch.setattr("daguerre.models.common.folder.find_spec", lambda name: True if name == "gguf" else real(name))
    with pytest.raises(WeightsRefused, match=rf"Put the diffusers folder of its model into {tmp_path / 'flux'}"):
        loaded(file)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True},
            "bitsandbytes is not installed here: pip install",
        ),
        ({"load_in_4bit": True}, "quantised by bitsandbytes"),
        ({"quant_method": "torchao"}, "pip install torchao"),
        ({"quant_method": "svdquant"}, "quantised by svdquant, which is not read here"),
    ],
)
def test_a_quantised_folder_names_what_reads_it(
    told: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it: the part, the package and the command, before anything is loaded."""
    folder = saved(familykit_more.flux, tmp_path / "toy")
    file = folder / "transformer" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"quantization_config": told}))
    monkeypatch.setattr(families, "find_spec", lambda _: None)
    with pytest.raises(WeightsRefused, match=rf"The part transformer .*{said}"):
        loaded(folder)


@needing("bitsandbytes")
def test_a_folder_of_bitsandbytes_is_loaded_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As diffusers saves one: four bits and their scales. Where diffusers wants a GPU for it, it says so."""
    from diffusers import BitsAndBytesConfig, FluxTransformer2DModel
    from diffusers.quantizers.bitsandbytes.bnb_quantizer import BnB4BitDiffusersQuantizer

    folder = saved(wider_flux, tmp_path / "toy")
    whole = loaded(folder).draw(ASK)
    real = BnB4BitDiffusersQuantizer.validate_environment
    with monkeypatch.context() as patched:
        # Its kernels run on processors too; the library only asks whether there is a GPU.
        patched.setattr(BnB4BitDiffusersQuantizer, "validate_environment", lambda *_, **__: None)
        patched.setattr(BnB4BitDiffusersQuantizer, "update_device_map", lambda _, device_map: device_map)
        small: Any = FluxTransformer2DModel.from_pretrained(
            folder / "transformer", local_files_only=True,
            quantization_config=BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4"),
        )  # fmt: skip
        small.to("cpu")
        for weights in (folder / "transformer").glob("*.safetensors"):
            weights.unlink()
        small.save_pretrained(folder / "transformer")
        assert "quantization_config" in json.loads((folder / "transformer" / "config.json").read_text())
        made = loaded(folder).draw(ASK)
        assert made.about["quantised"] == "bitsandbytes"
        assert 0 < apart(made, whole) <= 8
    assert BnB4BitDiffusersQuantizer.validate_environment is real
    if not torch.cuda.is_available():
        with pytest.raises(WeightsRefused, match=r"cannot be used on cpu: No GPU found"):
            loaded(folder)
