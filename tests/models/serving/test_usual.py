"""What a checkpoint is drawn with where nobody says anything: by its family, its scheduler and its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import familykit
import familykit_more
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, LCMScheduler, TCDScheduler
from toyweights import write_toy_weights

from daguerre.app.render import usual_for
from daguerre.app.trial import understood
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.loading import load_pipeline
from daguerre.models.serving.usual import Usual, usual_of

FIRST_LIGHT = Path(__file__).resolve().parents[3] / "models" / "weights" / "first-light"
pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("FutureWarning", "RuntimeWarning")]


def usual(write: Callable[[Path], Any], folder: Path, change: Callable[[Any], None] = lambda pipeline: None) -> Usual:
    """Written, loaded as a worker loads it, perhaps changed, and understood."""
    write(folder)
    pipeline = load_pipeline(folder, "cpu")
    change(pipeline)
    return usual_of(pipeline, folder)


def more(make: Callable[[], Any]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        torch.manual_seed(1)
        make().save_pretrained(folder, safe_serialization=True)

    return write


@pytest.mark.parametrize(
    ("write", "name", "steps", "guidance"),
    [
        (familykit.write_sd15, "stable-diffusion-v1-5", 50, 7.5),
        (familykit.write_sd15, "sd-turbo", 4, 1.0),
        (familykit.write_sdxl, "stable-diffusion-xl-base-1.0", 50, 5.0),
        (familykit.write_sdxl, "sdxl-turbo", 4, 1.0),
        (familykit.write_sdxl, "dreamshaperXL_v21TurboDPMSDE", 4, 1.0),
        (familykit.write_sdxl, "sdxl_lightning_8step_unet", 8, 1.0),
        (familykit.write_sdxl, "RealVisXL_V4.0_Lightning", 4, 1.0),
        (familykit.write_sdxl, "Hyper-SDXL-2steps", 2, 1.0),
        (familykit.write_sdxl, "sdxl-hyperrealism", 50, 5.0),
        (familykit.write_sdxl, "playground-v2.5-1024px-aesthetic", 50, 3.0),
        (familykit.write_flux, "flux-dev", 28, 3.5),
        (more(familykit_more.flux_schnell), "flux-schnell", 4, 1.0),
        (more(familykit_more.flux_schnell), "of-another-name", 4, 1.0),
        (more(familykit_more.lcm), "LCM_Dreamshaper_v7", 4, 8.5),
        (familykit.write_sd3, "stable-diffusion-3-medium", 28, 7.0),
        (familykit.write_sd3, "stable-diffusion-3.5-medium", 40, 4.5),
        (familykit.write_sd3, "stable-diffusion-3.5-large", 28, 3.5),
        (familykit.write_sd3, "stable-diffusion-3.5-large-turbo", 4, 1.0),
        (more(familykit_more.qwen), "Qwen-Image", 50, 4.0),
        (more(familykit_more.z_image), "Z-Image-Turbo", 9, 1.0),
    ],
)
def test_a_checkpoint_is_drawn_as_its_makers_draw_it(
    write: Callable[[Path], Any], name: str, steps: int, guidance: float, tmp_path: Path
) -> None:
    """The family's figures, or those that its name stands for."""
    found = usual(write, tmp_path / name)
    assert (found.steps, found.guidance) == (steps, guidance)


def test_the_scheduler_tells_too(tmp_path: Path) -> None:
    """A few-step scheduler, and a solver of higher order, whatever the folder is called."""

    def with_scheduler(kind: Any) -> Callable[[Any], None]:
        def change(pipeline: Any) -> None:
            pipeline.scheduler = kind.from_config(pipeline.scheduler.config)

        return change

    few = usual(familykit.write_sdxl, tmp_path / "mine", with_scheduler(LCMScheduler))
    assert (few.steps, few.guidance) == (4, 1.0)
    assert usual(familykit.write_sdxl, tmp_path / "mine", with_scheduler(TCDScheduler)) == few
    quick = usual(familykit.write_sd15, tmp_path / "other", with_scheduler(DPMSolverMultistepScheduler))
    assert (quick.steps, quick.guidance) == (25, 7.5)


def test_the_side_is_the_models_own(tmp_path: Path) -> None:
    """As `sample_size` says, in what a request may ask for; a hub's cache names the model two folders up."""

    def of_cells(cells: int) -> Callable[[Any], None]:
        def change(pipeline: Any) -> None:
            pipeline.unet.register_to_config(sample_size=cells)

        return change

    cached = tmp_path / "models--maker--sd-turbo" / "snapshots" / "0123abcd"
    found = [usual(familykit.write_sd15, cached, of_cells(cells)) for cells in (256, 8, 4096)]
    assert [each.side for each in found] == [512, 64, 2048]
    assert {each.steps for each in found} == {4}


def test_our_own_weights_stay_as_they_are(tmp_path: Path) -> None:
    """first-light, what is trained by its recipes, and a stock U-Net that tells its words: 16 steps, 3, 256 pixels."""
    assert usual_of(load_pipeline(FIRST_LIGHT, "cpu"), FIRST_LIGHT) == Usual(16, 3.0, 256)
    assert usual(write_toy_weights, tmp_path / "toy") == Usual(16, 3.0, 256)
    (familykit.write_sd15(tmp_path / "own") / "vocabulary.json").write_text("{}")
    assert usual_of(load_pipeline(tmp_path / "own", "cpu"), tmp_path / "own") == Usual(16, 3.0, 256)


def test_an_engine_tells_what_it_understood(tmp_path: Path) -> None:
    """In the queue's words for the heartbeat, and in words for `doctor`."""
    folder = tmp_path / "sdxl-turbo"
    more(familykit_more.flux_schnell)(folder)
    engine = Engine(folder, device="cpu", megapixels=2.0)
    engine.load()
    told = usual_for(engine)
    assert (told.steps, told.guidance, told.pixels) == (4, 1.0, 2_000_000)
    words = understood(engine)
    for part in ("sdxl-turbo: FluxPipeline", "float32", f"{told.size} × {told.size}, 4 steps, no guidance"):
        assert part in words
