"""Others' pipelines: Stable Diffusion 1.5 and SDXL share steps, FLUX and SD3 run job by job; all from local folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import familykit
import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, DPMSolverMultistepScheduler
from safetensors.torch import save_file

from daguerre.models.errors import DeviceMissing, TooLate, Unfit, Unsupported, WeightsMissing, WeightsRefused
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.jobs import Cancelled
from daguerre.models.serving.jobwise import Jobwise
from daguerre.models.serving.loop import Loop
from daguerre.models.serving.requests import Progress, RenderRequest
from daguerre.models.serving.singles import family_of

ASK = RenderRequest("a red apple", (3, 4), 4, 3.0, 64, 64, negative="blue")


def loaded(folder: Path) -> Engine:
    made = Engine(folder, device="cpu")
    made.load()
    return made


@pytest.mark.parametrize("write", [familykit.write_sd15, familykit.write_sdxl])
def test_unet_pipelines_share_steps_and_agree_with_the_stock_pipeline(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    """To rounding, with the fast sampler that the operator named; to the bit among others."""
    engine = Engine(write(tmp_path / "toy"), device="cpu", sampler="DPM++ 2M")
    engine.load()
    assert isinstance(engine.loop, Loop)
    stock: Any = DiffusionPipeline.from_pretrained(tmp_path / "toy", local_files_only=True)
    stock.scheduler = DPMSolverMultistepScheduler.from_config(stock.scheduler.config, algorithm_type="dpmsolver++")
    stock.set_progress_bar_config(disable=True)
    size = 32
    expected = stock(
        ASK.prompt, negative_prompt=ASK.negative, num_inference_steps=4, guidance_scale=3.0, height=size, width=size,
        generator=torch.Generator().manual_seed(3),
    ).images[0]  # fmt: skip
    made = engine.draw(replace(ASK, width=size, height=size))
    assert np.abs(np.asarray(made.pictures[0], int) - np.asarray(expected, int)).max() <= 1
    alone = engine.draw(replace(ASK, width=size, height=size, seeds=(4,)))
    assert alone.pictures[0].tobytes() == made.pictures[1].tobytes()
    assert made.about["sampler"] == "DPM-Solver++ 2M"


@pytest.mark.parametrize("write", [familykit.write_flux, familykit.write_sd3])
def test_other_families_run_job_by_job(write: Callable[[Path], Path], tmp_path: Path) -> None:
    """The stock pipeline's own pictures, with progress and previews; cancelling and deadlines at the next step."""
    engine = loaded(write(tmp_path / "toy"))
    assert isinstance(engine.loop, Jobwise)
    seen: list[Progress] = []
    made = engine.draw(ASK, seen.append)
    assert [each.size for each in made.pictures] == [(64, 64)] * 2
    assert [each.step for each in seen] == [1, 2, 3, 4]
    previews = [each.preview for each in seen if each.preview]
    assert previews
    assert all(each[:2] == b"\xff\xd8" and len(each) <= 30_000 for each in previews)
    again = engine.draw(ASK)
    assert [each.tobytes() for each in again.pictures] == [each.tobytes() for each in made.pictures]

    steps: list[int] = []

    def leave(progress: Progress) -> None:
        steps.append(progress.step)
        raise KeyError

    with pytest.raises(KeyError):
        engine.draw(replace(ASK, steps=20), leave)
    assert steps == [1]
    now = [0.0]
    loop: Any = engine.loop
    loop._clock = lambda: now.append(now[-1] + 1.0) or now[-1]
    with pytest.raises(TooLate):
        engine.draw(replace(ASK, steps=20, seconds=3.0))
    with pytest.raises(Unfit, match=r"knows no parts with weights \(::\), tile\.$"):
        engine.draw(replace(ASK, parts=(("apple", 2.0), ("blue", 1.0)), tile=True))
    waiting = engine.submit(ASK)
    waiting.cancel()
    loop.tick()
    assert isinstance(waiting.result.exception(0), Cancelled)


def test_stopping_early_shows_where_the_flow_was_heading(tmp_path: Path) -> None:
    """Half of the steps, and then the picture that they point at: neither the noise between nor the whole run."""
    engine = loaded(familykit.write_flux(tmp_path / "toy"))
    whole, seen = engine.draw(replace(ASK, steps=8)), list[Progress]()
    forwards = engine.loop.forwards
    half = engine.draw(replace(ASK, steps=8, stop=50), seen.append)
    assert [(each.step, each.steps) for each in seen] == [(k, 4) for k in (1, 2, 3, 4)]
    assert engine.loop.forwards - forwards == 4
    pairs = zip(whole.pictures, half.pictures, strict=True)
    apart = [np.abs(np.asarray(a, int) - np.asarray(b, int)).mean() for a, b in pairs]
    # The toy flow is nearly straight: the estimate is within 0.6 of the end, the noisy latents 3.5 off.
    assert all(0 < each < 2 for each in apart)
    pipeline: Any = engine.loop._pipeline  # pyright: ignore
    pipeline.scheduler = DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True)
    with pytest.raises(Unfit, match="stop"):
        engine.draw(replace(ASK, stop=50))


def test_a_negative_prompt_counts_where_guidance_is_a_number(tmp_path: Path) -> None:
    """FLUX takes guidance as an input and would pass over what is not wanted."""
    engine = loaded(familykit.write_flux(tmp_path / "toy"))
    plain, kept_away = engine.draw(replace(ASK, negative="")), engine.draw(ASK)
    assert plain.pictures[0].tobytes() != kept_away.pictures[0].tobytes()


def test_those_who_wait_for_another_job_may_leave_before_their_turn(tmp_path: Path) -> None:
    """Cancelled or late: they are told at the next step of the one that is drawn."""
    engine = loaded(familykit.write_sd3(tmp_path / "toy"))
    gone, late = engine.submit(replace(ASK, seeds=(9,))), engine.submit(replace(ASK, seeds=(8,), seconds=0.0))
    told: list[tuple[bool, bool]] = []

    def look(progress: Progress) -> None:
        gone.cancel()
        told.append((gone.result.done(), late.result.done()))

    loop: Any = engine.loop
    first = loop.submit(ASK, look)
    loop._inbox.rotate(1)
    while not first.result.done():
        loop.tick()
    assert told[0] == (False, True)
    assert told[1] == (True, True)
    assert isinstance(gone.result.exception(0), Cancelled)
    assert isinstance(late.result.exception(0), TooLate)


def test_single_files_are_told_by_their_tensors_and_never_unpickled(tmp_path: Path) -> None:
    """What is no safetensors file is not opened; what nobody knows is named."""
    file = tmp_path / "model.safetensors"
    save_file({"conditioner.embedders.1.x": torch.zeros(1)}, file)
    assert family_of(file).__name__ == "StableDiffusionXLPipeline"
    save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(1)}, file)
    assert family_of(file).__name__ == "StableDiffusionPipeline"
    save_file({"double_blocks.0.img_attn.x": torch.zeros(1)}, file)
    assert family_of(file).__name__ == "FluxPipeline"
    save_file({"something": torch.zeros(1)}, file)
    with pytest.raises(WeightsRefused, match="holds no"):
        Engine(file, device="cpu").load()
    file.write_bytes(b"torn")
    with pytest.raises(WeightsRefused, match="damaged"):
        Engine(file, device="cpu").load()
    pickled = tmp_path / "model.ckpt"
    pickled.write_bytes(b"\x80\x04")
    with pytest.raises(WeightsRefused, match="Convert"):
        Engine(pickled, device="cpu").load()
    with pytest.raises(WeightsMissing):
        Engine(tmp_path / "absent", device="cpu").load()


def test_a_single_file_draws_what_its_folder_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All weights in one file, in the original layout; a folder of its name gives what it lacks. Steps are shared."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    engine = loaded(familykit.write_sd15_file(tmp_path))
    assert isinstance(engine.loop, Loop)
    made = engine.draw(ASK)
    assert made.about["model"] == "model"
    same = loaded(familykit.write_sd15(tmp_path / "folder")).draw(ASK)
    assert [each.tobytes() for each in made.pictures] == [each.tobytes() for each in same.pictures]


def test_a_single_file_without_its_configurations_says_what_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is fetched; the folder beside the file is named, with what belongs into it."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    file = tmp_path / "model.safetensors"
    save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(320, 4, 3, 3)}, file)
    with pytest.raises(WeightsRefused, match=r"nothing is fetched: put .* into .*/model\.$"):
        Engine(file, device="cpu").load()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Not torch's assertion."""
    with pytest.raises(DeviceMissing, match=r"no device cuda:1 .*\[render\] devices"):
        Engine(familykit.write_sd15(tmp_path / "toy"), device="cuda:1").load()


def test_a_request_names_its_sampler_in_job_by_job_families_too(tmp_path: Path) -> None:
    """For that job alone; one that is not for flow models is that request's fault."""
    engine = loaded(familykit.write_sd3(tmp_path / "toy"))
    ask = replace(ASK, negative="", seeds=(3,))
    usual = engine.draw(ask)
    heun = engine.draw(replace(ask, sampler="heun"))
    assert (usual.about["sampler"], heun.about["sampler"]) == ("FlowMatchEulerDiscrete", "FlowMatchHeunDiscrete")
    assert heun.pictures[0].tobytes() != usual.pictures[0].tobytes()
    with pytest.raises(Unsupported, match="not for flow models"):
        engine.draw(replace(ask, sampler="lcm"))
    assert engine.draw(ask).pictures[0].tobytes() == usual.pictures[0].tobytes()
    # FLUX's pipeline makes its own sigmas, which few schedulers take.
    with pytest.raises(Unsupported, match="FluxPipeline cannot be drawn by heun"):
        loaded(familykit.write_flux(tmp_path / "flux")).draw(replace(ask, sampler="heun"))
