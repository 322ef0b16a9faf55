"""Several models on one device: who draws, what stays in memory, what becomes of one that cannot be used."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import familykit
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from smallkit import QUIET, small
from toyweights import write_toy_weights

from daguerre.models.errors import Unrenderable, WeightsRefused
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.parking import SPARE, Kept, bytes_of, places, resume
from daguerre.models.serving.rack import Asked, Rack, joining
from daguerre.models.serving.requests import RenderRequest

ASK = RenderRequest("a red apple", (3,), 2, 3.0, 64, 64)
pytestmark = QUIET


@pytest.fixture(autouse=True, scope="module")
def _small() -> Iterator[None]:
    with small(64):
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three families: drawn together, with two encoders, job by job."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "toy": write_toy_weights(folder / "toy"),
        "sd": familykit.write_sd15(folder / "sd"),
        "flux": familykit.write_flux(folder / "flux"),
    }


def rack_of(folders: dict[str, Path], budget: float = 1e12) -> Rack:
    engines = {name: Engine(folder, device="cpu", name=f"the-{name}") for name, folder in folders.items()}
    rack = Rack({f"the-{name}": engines[name] for name in engines}, budget=round(budget))
    rack.load()
    return rack


def alone(folder: Path, ask: RenderRequest = ASK) -> bytes:
    engine = Engine(folder, device="cpu")
    engine.load()
    return engine.draw(ask).pictures[0].tobytes()


def test_each_request_is_drawn_by_its_model(folders: dict[str, Path]) -> None:
    """Pixels are those of each model alone, whatever was loaded before; the metadata says who drew. Without a name the
    first one draws."""
    rack = rack_of(folders)
    assert rack.active == "the-toy"
    expected = {name: alone(folder) for name, folder in folders.items()}
    assert len(set(expected.values())) == 3
    for name in ("sd", "flux", "toy", "sd"):
        drawn = rack.draw(replace(ASK, model=f"the-{name}"))
        assert drawn.pictures[0].tobytes() == expected[name]
        assert drawn.about["model"] == f"the-{name}"
        assert drawn.about["model_digest"] == rack.engine(f"the-{name}").describe()["model_digest"]
    assert rack.draw(ASK).pictures[0].tobytes() == expected["toy"]
    assert rack.swaps == 5
    assert len({rack.engine(name).describe()["model_digest"] for name in rack.models}) == 3
    with pytest.raises(Unrenderable, match="no such model here; there are: the-toy, the-sd, the-flux"):
        rack.draw(replace(ASK, model="another"))


def test_what_was_used_last_stays_in_memory(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as the budget holds, the one that was used longest ago goes first; without any, each is read again."""
    loads: list[str] = []
    real = Engine.load

    def load(engine: Engine) -> None:
        loads.append(engine.describe()["model"])
        real(engine)

    monkeypatch.setattr(Engine, "load", load)
    all_in = rack_of(folders)
    sizes = {name: all_in.engine(f"the-{name}").held.bytes for name in folders}
    assert sizes["toy"] == bytes_of(all_in.engine("the-toy").held.parts) > 10_000
    loads.clear()
    for name in ("sd", "flux", "toy"):
        all_in.draw(replace(ASK, model=f"the-{name}"))
    assert loads == []
    assert all_in.seconds["the-toy"] == 0 <= all_in.seconds["the-sd"]

    one = rack_of(folders, budget=max(sizes.values()))
    loads.clear()
    assert one.loaded[-1] == "the-toy"
    assert "the-sd" in one.loaded
    assert "the-flux" not in one.loaded
    one.draw(replace(ASK, model="the-sd"))
    one.draw(ASK)
    assert loads == []
    one.draw(replace(ASK, model="the-flux"))
    assert loads == ["the-flux"]

    none = rack_of(folders, budget=0)
    loads.clear()
    begun = none.loop.forwards
    for name in ("sd", "toy", "sd"):
        none.draw(replace(ASK, model=f"the-{name}"))
        assert none.loaded == (f"the-{name}",)
    # PNDM takes one more than its steps.
    assert none.loop.forwards - begun == 3 + 2 + 3, "counted through, whatever was given up"
    assert loads == ["the-sd", "the-toy", "the-sd"]


def test_requests_of_one_model_are_drawn_together(folders: dict[str, Path]) -> None:
    """Mixed requests that came at one time cost one loading for each model; every one is drawn, the cancelled not."""
    rack = rack_of(folders)
    jobs = [rack.submit(replace(ASK, seeds=(k,), model=f"the-{name}")) for k, name in enumerate(("sd", "toy") * 4)]
    late = rack.submit(replace(ASK, model="the-sd", seconds=0.0))
    jobs[2].cancel()
    thread = threading.Thread(target=rack.run)
    thread.start()
    try:
        names = [job.result.result(60).about["model"] for k, job in enumerate(jobs) if k != 2]
        assert names == [f"the-{name}" for k, name in enumerate(("sd", "toy") * 4) if k != 2]
        assert rack.swaps <= 2
        for job in (jobs[2], late):
            assert job.result.exception(60) is not None
    finally:
        rack.close()
        thread.join(20)
    assert not thread.is_alive()


def test_a_model_that_cannot_be_used_is_left_out(folders: dict[str, Path], tmp_path: Path) -> None:
    """At the start: the others serve, the first one must. Later: who asked for it hears why, and the others go on."""
    broken = tmp_path / "broken"
    shutil.copytree(folders["sd"], broken)
    (broken / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"torn")
    rack = rack_of({"toy": folders["toy"], "broken": broken})
    assert rack.models == ("the-toy",)
    with pytest.raises(Unrenderable, match="cannot be used"):
        rack.draw(replace(ASK, model="the-broken"))
    with pytest.raises(WeightsRefused, match="cannot be used"):
        rack_of({"broken": broken, "toy": folders["toy"]})

    fragile = tmp_path / "fragile"
    shutil.copytree(folders["sd"], fragile)
    later = rack_of({"toy": folders["toy"], "fragile": fragile}, budget=0)
    shutil.rmtree(fragile)
    with pytest.raises(Unrenderable, match="fragile"):
        later.draw(replace(ASK, model="the-fragile"))
    assert later.draw(ASK).about["model"] == "the-toy"
    assert later.models == ("the-toy",)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 10)), max_size=8), st.booleans(), st.floats(0, 5))
def test_nobody_is_passed_by_for_long(waiting: list[tuple[str, float]], busy: bool, patience: float) -> None:
    """Requests of the loaded model join while others have not waited long; then those have their turn."""
    asked = [Asked(model, came) for model, came in sorted(waiting, key=lambda one: one[1])]
    now = 10.0
    chosen = joining(asked, "a", busy=busy, now=now, patience=patience)
    others = [one for one in asked if one.model == "b"]
    if not others:
        assert chosen == "a"
    elif chosen == "a":
        mine = next(one for one in asked if one.model == "a")
        assert mine.came <= others[0].came or now - others[0].came < patience
    else:
        assert chosen == ("" if busy else "b")


def test_where_models_lie() -> None:
    """On the device as long as the next one and what is drawn have room; then in memory; then nowhere, oldest first."""
    gib = 2**30
    kept = [Kept("old", 10 * gib, on_device=True), Kept("new", 8 * gib, on_device=True)]
    assert places(kept, 6 * gib, 6 * gib + SPARE, 0) == ((), ())
    assert places(kept, 12 * gib, 6 * gib + SPARE, 64 * gib) == (("old",), ())
    assert places(kept, 20 * gib, 6 * gib + SPARE, 64 * gib) == (("old", "new"), ())
    assert places(kept, 20 * gib, 6 * gib + SPARE, 9 * gib) == (("new",), ("old",))
    assert places(kept, 20 * gib, 6 * gib + SPARE, 0) == ((), ("old", "new"))
    in_memory: list[Any] = [Kept("old", 3), Kept("new", 4)]
    assert places(in_memory, 100, None, 7) == ((), ())
    assert places(in_memory, 100, None, 6) == ((), ("old",))


@pytest.mark.parametrize("name", ["sd", "flux"])
def test_every_network_is_moved(folders: dict[str, Path], name: str) -> None:
    """No weight of a model stays on the device, whatever its family; what is remembered of requests neither."""
    engine = Engine(folders[name], device="cpu")
    engine.load()
    engine.draw(ASK)
    engine.rest()
    resume(engine.held.parts, "meta")
    pipeline = engine.held.parts[0]
    networks = [each for each in pipeline.components.values() if isinstance(each, torch.nn.Module)]
    assert len(networks) >= 3
    assert {str(weight.device) for network in networks for weight in network.parameters()} == {"meta"}
    loop: Any = engine.loop
    drawing = loop._context.network.plain.unet if name == "sd" else loop._pipeline.transformer
    assert any(drawing is network for network in networks)
