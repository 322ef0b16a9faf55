"""Work for a lent GPU, tried on the processor: the pack, and a training that ends in time and goes on."""

from __future__ import annotations

import importlib.util
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toyweights import write_toy_weights

from daguerre.models.data.store import SpriteSet
from daguerre.models.drawer.network import opened

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def gpu() -> Any:
    """`scripts/gpu_drawer.py` as a module."""
    spec = importlib.util.spec_from_file_location("gpu_drawer", PROJECT / "scripts/gpu_drawer.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sprites() -> SpriteSet:
    """More than one sheet of squares on nothing, ten things in six styles and many without one."""
    rows: list[dict[str, Any]] = []
    images = np.zeros((1_100, 16, 16, 4), np.uint8)
    for i in range(len(images)):
        images[i, 3:13, 3:13] = (i % 250, 90, 200 - i % 200, 255)
        thing = i % 10
        code = f"1F{thing:03X}" if i < 60 else ""
        rows.append({
            "i": i, "tier": "A", "code": code, "caption_en": f"thing {thing if code else i}",
            "style": f"style {i // 10}", "kind": "emoji" if code else "clipart", "group": 1, "name": str(i),
        })  # fmt: skip
    return SpriteSet(images, rows)


def test_a_pack_gives_the_drawings_again(gpu: Any, tmp_path: Path) -> None:
    """The same rows in the same order, nearly the same pictures; and diffusers, whole."""
    found = sprites()
    assert gpu.pack(found, tmp_path) == sum(file.stat().st_size for file in tmp_path.iterdir())
    again = gpu.unpack(tmp_path)
    assert again.rows == found.rows
    assert np.array_equal(again.images[..., 3] > 127, found.images[..., 3] > 127)
    seen = found.images[..., 3] == 255
    assert np.abs(again.images[seen].astype(int) - found.images[seen]).mean() < 8
    with tarfile.open(tmp_path / "site.tar.xz") as packages:
        assert "diffusers/__init__.py" in packages.getnames()


def test_it_trains_within_its_time_and_goes_on(gpu: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is left is an export that opens; the second call goes on from the first one's steps. No pack: told so."""
    gpu.pack(sprites(), tmp_path / "pack")
    words = write_toy_weights(tmp_path / "words")
    recipe = tmp_path / "toy.toml"
    recipe.write_text(
        f'kind = "drawer"\nname = "toy"\nwords = "{words}"\nstart = "{words}"\n'
        "[drawer]\nsize = 16\nbatch = 4\nbfloat16 = false\n"
    )
    folders = ["--recipe", str(recipe), "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    asked = ["train", "--minutes", "0.08", *folders, "--pack", str(tmp_path / "pack")]
    steps = []
    for _ in range(2):
        assert gpu.main(asked) == 0
        steps.append(json.loads((tmp_path / "out/figures.json").read_text())["steps"])
    assert 0 < steps[0] < steps[1]
    assert "resumed at step" in capsys.readouterr().out
    assert opened(tmp_path / "out/denoiser").size == 16
    assert gpu.main(["train", *folders, "--pack", str(tmp_path / "none")]) == 1
    assert "scripts/gpu-run pack" in capsys.readouterr().err
