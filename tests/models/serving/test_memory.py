"""How pipelines are laid onto cards of all sizes: calculated, with a simulated budget."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from familykit import write_flux, write_sd15

from daguerre.models.errors import WeightsRefused
from daguerre.models.serving.loading import load_pipeline, sizes_of, way_for
from daguerre.models.serving.memory import BYTES_PER_PIXEL, GIB, OVERHEAD, plan

#: Weights in half precision, GiB: text encoders, network, codec.
SD15 = {"text_encoder": 0.23, "unet": 1.6, "vae": 0.16}
SDXL = {"text_encoder": 0.23, "text_encoder_2": 1.3, "unet": 4.8, "vae": 0.16}
FLUX = {"text_encoder": 0.23, "text_encoder_2": 8.9, "transformer": 22.2, "vae": 0.16}


@pytest.mark.parametrize(
    ("parts", "side", "together", "card", "way"),
    [
        (SD15, 512, True, 8, "whole"),
        (SDXL, 1024, True, 12, "whole"),
        (FLUX, 1024, False, 48, "whole"),
        (FLUX, 1024, False, 32, "parts"),
        (FLUX, 1024, False, 24, "layers"),
        (FLUX, 1024, False, 8, "layers"),
    ],
)
def test_the_fastest_way_that_fits_is_taken(
    parts: dict[str, float], side: int, together: bool, card: int, way: str
) -> None:
    """The whole model where there is room, then its parts in turn, then its layers."""
    weights = {name: round(size * GIB) for name, size in parts.items()}
    found = plan(weights, card * GIB, side * side, together=together)
    assert found.way == way
    assert found.bytes <= card * GIB


def test_what_fits_in_no_way_is_told_what_it_needs() -> None:
    """Before it is loaded, with both figures."""
    weights = {name: round(size * GIB) for name, size in FLUX.items()}
    with pytest.raises(WeightsRefused, match=r"need 35\.\d GiB .*, or 4\.\d GiB .* and 3\.0 GiB are free"):
        plan(weights, 3 * GIB, 1024 * 1024)
    with pytest.raises(WeightsRefused, match="are free"):
        plan({name: round(size * GIB) for name, size in SDXL.items()}, 8 * GIB, 1024 * 1024, together=True)


def test_a_loaded_pipeline_is_laid_out_by_what_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FLUX' parts take turns where all are too much; Stable Diffusion's stay: pictures share its steps."""
    flux = load_pipeline(write_flux(tmp_path / "flux"), "cpu")
    sizes = sizes_of(flux)
    assert set(sizes) == {"transformer", "vae", "text_encoder", "text_encoder_2"}
    beside = OVERHEAD + BYTES_PER_PIXEL * 256**2
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (beside + sum(sizes.values()) - 1, 80 * GIB))
    assert way_for(flux, "cuda:0") == "parts"
    assert way_for(flux, "cpu") == "whole"
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (80 * GIB, 80 * GIB))
    assert way_for(flux, "cuda:0") == "whole"
    assert way_for(load_pipeline(write_sd15(tmp_path / "sd"), "cpu"), "cuda:0") == "whole"
