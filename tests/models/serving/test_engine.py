"""The engine on a toy pipeline: real networks, real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from toyweights import write_toy_weights

from daguerre.models.common.folder import check_folder, digest, native_size
from daguerre.models.errors import EngineError, WeightsMissing, WeightsRefused
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.jobs import Cancelled


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_weights(tmp_path_factory.mktemp("weights") / "toy")


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


def test_about_its_own_size_nothing_is_scaled() -> None:
    """SDXL's own shapes are drawn as they are; what is asked for larger only as far as the operator allows."""
    for shape in ((1216, 832), (832, 1216), (1344, 768), (1536, 640), (1024, 1024)):
        assert native_size(*shape, 1024) == shape
    assert native_size(1536, 1024, 1024) == (1256, 840)
    assert native_size(1536, 1024, 1024, most_pixels=2_000_000) == (1536, 1024)
