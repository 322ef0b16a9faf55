"""Toy sprites and an untrained codec: a pytest plugin, named by those files."""

from __future__ import annotations

from pathlib import Path

import modelkit
import numpy as np
import pytest
import torch

from daguerre.models.data.raster import rasterise
from daguerre.models.data.store import SpriteSet
from daguerre.models.training import networks


@pytest.fixture(scope="module")
def sprites() -> SpriteSet:
    """Discs and squares in some colours, 16 pixels."""
    shapes = ['<circle cx="32" cy="32" r="28" fill="{}"/>', '<rect x="10" y="10" width="44" height="44" fill="{}"/>']
    drawn, rows = [], []
    for shape in shapes:
        for colour in ("#d02020", "#2040d0", "#20a040"):
            body = shape.format(colour)
            pixels = rasterise(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">{body}</svg>', 16)
            assert pixels is not None
            rows.append({"i": len(rows), "code": "", "name": f"{len(rows)}", "tier": "A", "caption_en": "shape"})
            drawn.append(pixels)
    return SpriteSet(np.stack(drawn), rows)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A codec's folder, as a run exports it, untrained."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("exported") / "vae"
    networks.codec(modelkit.CODEC_CHANNELS).save_pretrained(folder, safe_serialization=True)
    return folder
