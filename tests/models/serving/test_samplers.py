"""Every checkpoint is drawn by its own scheduler, and by no other in silence."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import familykit
import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from PIL import Image

from daguerre.models.errors import Unsupported, WeightsRefused
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.loop import Loop
from daguerre.models.serving.requests import RenderRequest, Source
from daguerre.models.serving.samplers import SAMPLERS, Samplers, chosen, spelt
from daguerre.models.serving.schedule import Pace
from daguerre.models.serving.stock import Run
from daguerre.queue.records import requests as queue_requests

SD = familykit.SD
ASK = RenderRequest("a red apple", (3, 4), 5, 3.0, 32, 32, negative="blue")
V = {"prediction_type": "v_prediction"}
#: What folders name, with settings that change the schedule.
SCHEDULERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False}),
    ("DDIMScheduler", {"clip_sample": False, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing", **V}),
    ("DDPMScheduler", {"clip_sample": False}),
    ("PNDMScheduler", {"skip_prk_steps": True, "set_alpha_to_one": False}),
    ("EulerDiscreteScheduler", {}),
    ("EulerDiscreteScheduler", {"timestep_spacing": "trailing", "use_karras_sigmas": True}),
    ("EulerDiscreteScheduler", {**V, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}),
    ("EulerDiscreteScheduler", {**V, "timestep_type": "continuous", "sigma_min": 0.002, "sigma_max": 120.0}),
    ("EulerAncestralDiscreteScheduler", {"timestep_spacing": "trailing"}),
    ("HeunDiscreteScheduler", {}),
    ("KDPM2AncestralDiscreteScheduler", {}),
    ("DPMSolverMultistepScheduler", {}),
    ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True, "final_sigmas_type": "sigma_min"}),
    ("DPMSolverMultistepScheduler", {"use_exponential_sigmas": True}),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True}),
    ("DPMSolverMultistepScheduler", {"solver_type": "heun", "solver_order": 3}),
    ("DPMSolverSinglestepScheduler", {}),
    ("DEISMultistepScheduler", {}),
    ("UniPCMultistepScheduler", {}),
    ("LCMScheduler", {}),
    ("TCDScheduler", {}),
    ("EDMEulerScheduler", {}),
    ("EDMDPMSolverMultistepScheduler", {}),
)


def toy(folder: Path, scheduler: Any, write: Any = familykit.write_sd15) -> Path:
    write(folder)
    scheduler.save_pretrained(folder / "scheduler")
    index = folder / "model_index.json"
    names = [name for name in ("PNDMScheduler", "EulerDiscreteScheduler") if name in index.read_text()]
    index.write_text(index.read_text().replace(names[0], type(scheduler).__name__))
    return folder


def made(name: str, settings: dict[str, Any]) -> Any:
    kind = getattr(diffusers, name)
    base = {} if name.startswith(("EDM", "Flow")) else SD
    known = inspect.signature(kind.__init__).parameters
    return kind(**({key: value for key, value in base.items() if key in known} | settings))


def decibels(one: Image.Image, other: Image.Image) -> float:
    """Peak signal-to-noise ratio; infinite where equal."""
    error = np.mean((np.asarray(one, float) - np.asarray(other, float)) ** 2)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def stock_picture(stock: Any, scheduler: Any, ask: RenderRequest, seed: int) -> Image.Image:
    stock.scheduler = scheduler
    stock.set_progress_bar_config(disable=True)
    return stock(
        ask.prompt, negative_prompt=ask.negative, num_inference_steps=ask.steps, guidance_scale=ask.guidance,
        height=ask.height, width=ask.width, generator=torch.Generator().manual_seed(seed),
    ).images[0]  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _no_measuring() -> Iterator[None]:
    """How fast toys are is nothing that these tests ask for."""
    pace = Pace(((1, 1.0), (2, 1.0), (4, 1.0), (8, 1.0)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("daguerre.models.serving.profile.measure", lambda *_: pace)
        yield


def loaded(folder: Path, **more: Any) -> Engine:
    engine = Engine(folder, device="cpu", **more)
    engine.load()
    return engine


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, Any]:
    """An engine with an SD 1.5 folder, and the stock pipeline of it; tests give both their scheduler."""
    folder = familykit.write_sd15(tmp_path_factory.mktemp("shared") / "toy")
    stock: Any = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    stock.set_progress_bar_config(disable=True)
    return loaded(folder), stock


def stepped_by(shared: tuple[Engine, Any], scheduler: Any, wanted: str = "") -> Engine:
    """The engine with what loading a folder with that scheduler would have found."""
    loop: Any = shared[0].loop
    loop._context.network.samplers = Samplers(scheduler, wanted)
    return shared[0]


@pytest.mark.parametrize(("name", "settings"), SCHEDULERS, ids=lambda each: each if isinstance(each, str) else "")
def test_every_scheduler_steps_as_in_the_stock_pipeline(
    name: str, settings: dict[str, Any], shared: tuple[Engine, Any]
) -> None:
    """At least 60 dB of its picture with the same generator, in shared steps; alone and in a grid to the bit."""
    engine = stepped_by(shared, made(name, settings))
    grid = engine.draw(ASK)
    assert decibels(grid.pictures[0], stock_picture(shared[1], made(name, settings), ASK, 3)) >= 60
    alone = engine.draw(replace(ASK, seeds=(4,)))
    assert alone.pictures[0].tobytes() == grid.pictures[1].tobytes()
    assert decibels(grid.pictures[0], grid.pictures[1]) < 40
    assert str(grid.about["sampler"]).startswith(("DPM-Solver++", name.removesuffix("Scheduler")))


@pytest.mark.parametrize(("name", "settings"), SCHEDULERS, ids=lambda each: each if isinstance(each, str) else "")
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_runs_begin_in_the_middle_as_stock_pipelines_do(name: str, settings: dict[str, Any], strength: float) -> None:
    """Noise of that level on what there is, then the last steps; what is kept has the noise of the next step."""
    scheduler = made(name, settings)
    noise, latents = (torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(k)) for k in (1, 2))

    def network(x: torch.Tensor, time: float) -> torch.Tensor:
        return torch.sin(x * 1.3 + time / 1000) * 0.8

    own = Run(scheduler, 10, strength)
    own.generator = torch.Generator().manual_seed(5)
    x = own.first(noise, latents)
    for k in range(own.begin, len(own)):
        x, estimate = own.step(k, network(own.scaled(k, x), own.time(k)), x)
        assert torch.isfinite(estimate).all()
    torch.testing.assert_close(own.noised(latents, noise, len(own)), latents)

    scheduler.set_timesteps(10)
    begin = min(10 - int(10 * strength), 9) * scheduler.order
    scheduler.set_begin_index(begin) if hasattr(scheduler, "set_begin_index") else None
    y = scheduler.add_noise(latents, noise, scheduler.timesteps[begin : begin + 1])
    told = {"generator": torch.Generator().manual_seed(5), "eta": 0.0}
    told = {key: value for key, value in told.items() if key in inspect.signature(scheduler.step).parameters}
    for time in scheduler.timesteps[begin:]:
        said = network(scheduler.scale_model_input(y, time), float(time))
        y = scheduler.step(said, time, y, **told).prev_sample
    torch.testing.assert_close(x, y)
    torch.testing.assert_close(x, estimate, atol=0.2, rtol=0.2)


@pytest.mark.parametrize("name", ["EulerAncestralDiscreteScheduler", "LCMScheduler"])
def test_a_folder_is_drawn_by_the_scheduler_that_it_names(name: str, tmp_path: Path) -> None:
    """From `model_index.json` on, nothing else given."""
    folder = toy(tmp_path / "toy", made(name, {}))
    engine = loaded(folder)
    assert isinstance(engine.loop, Loop)
    stock: Any = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    drawn = engine.draw(ASK)
    assert decibels(drawn.pictures[0], stock_picture(stock, stock.scheduler, ASK, 3)) >= 60
    assert drawn.about["sampler"] == engine.describe()["sampler"] == name.removesuffix("Scheduler")


@pytest.mark.parametrize("name", ["EDMEulerScheduler", "EulerDiscreteScheduler", "LCMScheduler"])
def test_sdxl_folders_too(name: str, tmp_path: Path) -> None:
    """CosXL and Playground are conditioned as EDM, Lightning and Turbo step by Euler with trailing times."""
    settings = {"timestep_spacing": "trailing"} if name == "EulerDiscreteScheduler" else {}
    folder = toy(tmp_path / "toy", made(name, settings), familykit.write_sdxl)
    engine = loaded(folder)
    assert isinstance(engine.loop, Loop)
    stock: Any = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    assert decibels(engine.draw(ASK).pictures[0], stock_picture(stock, stock.scheduler, ASK, 3)) >= 60


def test_flow_matching_steps_along_the_flow(shared: tuple[Engine, Any]) -> None:
    """No stock pipeline of U-Nets steps by it, so it is stepped here by hand: x moves along what the network says."""
    scheduler, stock = made("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}), shared[1]
    ask = replace(ASK, guidance=1.0, negative="", seeds=(3,))
    picture = stepped_by(shared, scheduler).draw(ask).pictures[0]
    scheduler.set_timesteps(ASK.steps)
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(3))
    words = stock.encode_prompt(ASK.prompt, "cpu", 1, False)[0]
    with torch.no_grad():
        for time in scheduler.timesteps:
            said = stock.unet(latents, time, encoder_hidden_states=words).sample
            latents = scheduler.step(said, time, latents).prev_sample
        pixels = stock.vae.decode(latents / stock.vae.config.scaling_factor).sample
    assert decibels(picture, stock.image_processor.postprocess(pixels.detach())[0]) >= 60


@pytest.mark.parametrize("name", ["EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler"])
def test_masks_and_early_ends_work_by_any_scheduler(name: str, shared: tuple[Engine, Any]) -> None:
    """What a mask keeps stays to the bit, and the estimate of the last steps is the picture nearly."""
    engine = stepped_by(shared, made(name, {}))
    ask = replace(ASK, seeds=(3,), steps=10)
    base = engine.draw(ask).pictures[0]
    mask = Image.new("L", (32, 32), 0)
    mask.paste(255, (0, 0, 16, 32))
    drawn = engine.draw(replace(ask, seeds=(9,), source=Source(base, "inpaint", mask, strength=0.5)))
    kept = np.asarray(drawn.pictures[0])
    assert (kept[:, 20:] == np.asarray(base)[:, 20:]).all()
    assert drawn.about["first_step"] > 0
    early, half = engine.draw(replace(ask, stop=90)).pictures[0], engine.draw(replace(ask, stop=20)).pictures[0]
    assert decibels(early, base) > decibels(half, base)


def test_the_operator_may_name_another_and_the_picture_says_so(shared: tuple[Engine, Any], tmp_path: Path) -> None:
    """Each name of the list draws an SD 1.5 folder; one that is not on it, or not for such a model, is refused."""
    own = made("PNDMScheduler", {"skip_prk_steps": True})
    ask = replace(ASK, seeds=(3,))
    pictures: dict[str, bytes] = {}
    for name in SAMPLERS:
        drawn = stepped_by(shared, own, name).draw(ask)
        pictures[name] = drawn.pictures[0].tobytes()
        assert drawn.about["sampler"] != "PNDM" or name == "pndm"
    assert len(set(pictures.values())) > len(SAMPLERS) - 3
    assert pictures["pndm"] == stepped_by(shared, own).draw(ask).pictures[0].tobytes()
    with pytest.raises(WeightsRefused, match=r"no sampler 'best'.*euler a"):
        loaded(familykit.write_sd15(tmp_path / "toy"), sampler="best")
    flow = familykit.write_sd3(tmp_path / "flow")
    with pytest.raises(WeightsRefused, match="not for flow models"):
        loaded(flow, sampler="ddim")
    assert loaded(flow, sampler="heun").draw(ASK).about["sampler"] == "FlowMatchHeunDiscrete"


def test_rows_of_a_table_and_rows_of_their_own_agree(shared: tuple[Engine, Any]) -> None:
    """The fast way equals the stock object: DPM++ 2M stepped by either gives the same picture."""
    engine = stepped_by(shared, made("DPMSolverMultistepScheduler", {}))
    quick = engine.draw(ASK).pictures[0]
    loop: Any = engine.loop
    network = loop._context.network
    assert network.samplers.usual.order == 2
    network.samplers.usual = replace(network.samplers.usual, order=0)
    assert decibels(engine.draw(ASK).pictures[0], quick) >= 60


def test_a_request_names_its_sampler(shared: tuple[Engine, Any]) -> None:
    """Each picture by its own, in the same steps as others, and the metadata says which; spelt as prompts spell it."""
    engine = stepped_by(shared, made("DPMSolverMultistepScheduler", {}))
    job = engine.submit(replace(ASK, sampler="euler-a"))
    other = engine.submit(ASK)
    loop: Any = engine.loop
    while loop.tick():
        pass
    euler, usual = job.result.result(), other.result.result()
    assert (euler.about["sampler"], usual.about["sampler"]) == ("EulerAncestralDiscrete", "DPM-Solver++ 2M")
    stock = stock_picture(shared[1], chosen(made("DPMSolverMultistepScheduler", {}), "euler a"), ASK, 3)
    assert decibels(euler.pictures[0], stock) >= 60
    assert usual.pictures[0].tobytes() == engine.draw(ASK).pictures[0].tobytes()


def test_a_sampler_that_does_not_fit_the_model(shared: tuple[Engine, Any]) -> None:
    """Only the request that names it is refused, with the reason."""
    engine = stepped_by(shared, made("EDMEulerScheduler", {}))
    with pytest.raises(Unsupported, match="not for EDM models") as refused:
        engine.draw(replace(ASK, sampler="lcm"))
    assert refused.value.code == "unsupported_sampler"
    engine.draw(ASK)


def test_prompts_name_the_samplers_that_there_are() -> None:
    """The queue, which knows no models, lists them too."""
    assert {spelt(name) for name in queue_requests.SAMPLERS} == SAMPLERS.keys()
