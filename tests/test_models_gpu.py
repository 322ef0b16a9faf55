"""Work for a GPU, tried on the processor: the pack, the budget, batches from numbers, a stage from end to end."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import modelkit
import numpy as np
import pytest
import torch
from PIL import Image

from daguerre.models.data.compose import render
from daguerre.models.data.describe import names_of
from daguerre.models.data.raster import rasterise
from daguerre.models.data.store import SpriteSet
from daguerre.models.errors import DataError, DataMissing
from daguerre.models.gpu import pack as packing
from daguerre.models.gpu import packages, unpack, words
from daguerre.models.gpu.delivery import collect
from daguerre.models.gpu.feed import Drawer, FedScenes
from daguerre.models.gpu.layers import layers, paint
from daguerre.models.gpu.run import main
from daguerre.models.training.denoiser import TextToLatent, build
from daguerre.models.training.export import export
from daguerre.models.training.latents import draw_scenes

ROOT = Path(__file__).resolve().parents[1]
SHAPES = {
    "red apple": '<circle cx="32" cy="32" r="{}" fill="#ff0000"/>',
    "pizza": '<rect x="4" y="4" width="{0}" height="{0}" fill="#ffcc00"/>',
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# Batches.


@pytest.mark.parametrize("size", [32, 64])
def test_pictures_from_numbers_are_those_of_compose(size: int) -> None:
    """Every kind of scene and shape, recoloured, halved, mirrored, on gradients."""
    sprites = modelkit.sprite_set(48)
    sampler = modelkit.sampler(sprites)
    for aspect in (1.0, 1.5, 2 / 3):
        scenes = draw_scenes(sampler, 60, aspect, random.Random(aspect))
        assert any(thing.colour for scene in scenes for thing in scene.things)
        wanted = render(scenes, sprites.images, size)
        painted = paint(layers(scenes, size, 48), torch.from_numpy(sprites.images))
        assert painted.shape == wanted.shape
        assert (painted - wanted).abs().max() < 1e-4


def drawer(sprites: SpriteSet) -> Drawer:
    return Drawer(
        modelkit.sampler(sprites), names_of(sprites.rows, modelkit.CONCEPTS), 32, sprites.images.shape[1], (1.0, 1.5)
    )


def test_batches_do_not_depend_on_who_draws_them() -> None:
    """Two processes or none: the same latents and captions in the same order; another seed gives others."""
    sprites = modelkit.sprite_set()
    images, codec = torch.from_numpy(sprites.images), modelkit.codec()

    def some(seed: str, processes: int) -> list[tuple[torch.Tensor, list[str]]]:
        with FedScenes(drawer(sprites), images, codec, seed=seed, processes=processes) as source:
            return [source.batch(4, random.Random(0), torch.Generator().manual_seed(n)) for n in range(3)]

    alone, helped, other = some("a", 0), some("a", 2), some("b", 0)
    for (clean, texts), (again, said) in zip(alone, helped, strict=True):
        assert torch.equal(clean, again)
        assert texts == said
        assert clean.shape[:2] == (4, 4)
    assert [texts for _, texts in alone] != [texts for _, texts in other]


# The pack.


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[SpriteSet, Path]:
    """Vectors, a heavy clip art and a tile, at 64 px, and their pack."""
    folder = tmp_path_factory.mktemp("pack")
    arts: dict[tuple[str, str], str | Path] = {}
    rows, drawn = [], []
    for number in range(12):
        label = ("red apple", "pizza")[number % 2]
        body = SHAPES[label].format(24 + number)
        arts["noto", f"{label}{number}"] = svg(body)
        rows.append(row("noto", "emoji", f"{label}{number}", label))
    heavy = "".join(f'<rect x="{n % 64}" y="{n // 64}" width="1.{n}" height="1" fill="#{n:06x}"/>' for n in range(4000))
    arts["openclipart", "heavy.svg"] = svg(heavy)
    rows.append(row("openclipart", "clipart", "heavy.svg", "carpet"))
    tile = folder / "orc.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 4), np.uint8), "RGBA").save(tile)
    arts["crawl", "orc.png"] = tile
    rows.append(row("crawl", "tile", "orc.png", "orc"))
    for number, each in enumerate(rows):
        pixels = rasterise(arts[each["source"], each["name"]], 64, unpack._how(each["source"], 64, picture=False))
        assert pixels is not None
        drawn.append(pixels)
        each["i"] = number
    sprites = SpriteSet(np.stack(drawn), rows)
    pack = folder / "pack"
    pack.mkdir()
    packing.pack_drawings(sprites, arts, pack, lambda _: None)
    built = {"format": 2, "size": 64, "packages": [], "sources": ["noto"]}
    (pack / "pack.json").write_text(json.dumps({"wanted": {"built": built}, "sha256": {}}))
    return sprites, pack


def svg(body: str) -> str:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64"><!-- by us -->'
        f"<title>drawing</title><metadata>who, when</metadata>{body}</svg>"
    )


def row(source: str, kind: str, name: str, label: str) -> dict[str, Any]:
    return {
        "source": source, "kind": kind, "style": source, "licence": "MIT", "tier": "A", "name": name, "code": name,
        "group": 4, "category": "", "caption_en": label, "keywords_en": [], "caption_zh": "苹果", "keywords_zh": [],
    }  # fmt: skip


def test_a_pack_gives_the_same_set_again(packed: tuple[SpriteSet, Path], tmp_path: Path) -> None:
    """The same rows in the same order; vectors and tiles to the pixel, pictures nearly; drawn once."""
    sprites, pack = packed
    unpacked = unpack.sprites(pack, tmp_path / "64", 64, processes=0, report=lambda _: None)
    assert list(unpacked.rows) == list(sprites.rows)
    for each in sprites.rows:
        old, new = (s.images[each["i"]].astype(int) for s in (sprites, unpacked))
        if each["source"] == "openclipart":
            assert np.abs(old - new)[..., 3].mean() < 6
            assert np.abs(old[..., :3] - new[..., :3])[old[..., 3] > 200].mean() < 12
        else:
            assert np.array_equal(old, new), each["name"]
    before = (tmp_path / "64" / "sprites.npy").stat().st_mtime_ns
    unpack.sprites(pack, tmp_path / "64", 64, processes=0, report=lambda _: None)
    assert (tmp_path / "64" / "sprites.npy").stat().st_mtime_ns == before
    large = unpack.sprites(pack, tmp_path / "128", 128, processes=0, report=lambda _: None)
    assert large.images.shape == (14, 128, 128, 4)


def test_a_packed_drawing_loses_what_is_never_drawn(packed: tuple[SpriteSet, Path], tmp_path: Path) -> None:
    """Comments and descriptions stay behind; a drawing that is larger than its picture travels as the picture."""
    _, pack = packed
    arts = list(unpack.packed_arts(pack, tmp_path))
    texts = [art for art in arts if isinstance(art, str)]
    assert len(texts) == 12
    assert not any(word in text for text in texts for word in ("by us", "title", "metadata"))
    assert sorted(art.suffix for art in arts if isinstance(art, Path)) == [".webp", ".webp"]


def test_crisp_sprites_are_packed_emoji_only(packed: tuple[SpriteSet, Path], tmp_path: Path) -> None:
    """The upscaler learns from vectors, in the order that it has without a pack."""
    crisp = unpack.crisp(packed[1], tmp_path / "crisp", 5, 64, processes=0, report=lambda _: None)
    assert crisp.images.shape == (5, 64, 64, 4)
    assert {each["source"] for each in crisp.rows} == {"noto"}


def test_what_is_missing_or_too_large_is_refused(packed: tuple[SpriteSet, Path], tmp_path: Path) -> None:
    """Each message names the command that helps."""
    with pytest.raises(DataMissing, match="gpu-pack"):
        unpack.sprites(tmp_path / "nothing", tmp_path / "64", 64, processes=0)
    cut = tmp_path / "cut"
    cut.mkdir()
    for file in packed[1].iterdir():
        (cut / file.name).write_bytes(file.read_bytes()[: -40 if file.name.startswith("rows") else None])
    with pytest.raises(DataMissing, match=r"rows\.jsonl\.xz cannot be read"):
        unpack.sprites(cut, tmp_path / "64", 64, processes=0)
    assert not (tmp_path / "64" / "build.json").exists()
    with pytest.raises(DataError, match=r"20\.0 are allowed"):
        packing.check_size({"a": 21_000_000}, 20_000_000)
    packing.check_size({"a": 12_000_000, "b": 13_000_000})
    with pytest.raises(DataError, match=r"27\.0 MB, 26\.0 are allowed"):
        packing.check_size({"a": 13_000_000, "b": 14_000_000})


def test_packed_packages_can_be_imported(tmp_path: Path) -> None:
    """Where there is a pack and the Python that it is for: every package comes from its folder."""
    archive = ROOT / "gpu-pack" / "site.tar.xz"
    if not archive.is_file():
        pytest.skip("no gpu-pack here: scripts/gpu-pack")
    if sys.version_info[:2] != (3, 12):
        pytest.skip("the packed packages are for Python 3.12")
    import tarfile

    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    names = [name.replace("-", "_") for name in packages.NAMES]
    code = f"import sys\nfor n in {names!r}: assert __import__(n).__file__.startswith({str(tmp_path)!r}), n"
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(tmp_path)}, check=True)


def test_packed_vectors_keep_what_the_encoder_learns() -> None:
    """Vectors of as many directions as the encoder has numbers come back nearly as they were."""
    generator = torch.Generator().manual_seed(0)
    # Like the teacher's: 160 directions and a little of all the others.
    mixed = torch.randn(1200, 160, generator=generator) @ torch.randn(160, 512, generator=generator)
    mixed = mixed + 0.5 * torch.randn(1200, 512, generator=generator)
    vectors, concepts = torch.nn.functional.normalize(mixed, dim=1).split([1000, 200])
    tensors = words.shorten(vectors, concepts)
    assert tensors["words"].dtype == torch.int8
    back, kept = words.lengthen(tensors)
    assert torch.nn.functional.cosine_similarity(back, vectors, dim=1).min() > 0.98
    assert torch.nn.functional.cosine_similarity(kept, concepts, dim=1).min() > 0.98
    wanted, found = (a @ b.T for a, b in ((vectors, concepts), (back, kept)))
    assert (wanted.argmax(1) == found.argmax(1)).float().mean() > 0.9


def test_a_wheel_that_needs_an_installer_is_refused(tmp_path: Path) -> None:
    import zipfile

    wheel = tmp_path / "odd-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as out:
        out.writestr("odd-1.0.data/scripts/odd", "x")
    with pytest.raises(DataError, match="has to be installed"):
        packages.unpack(wheel, tmp_path / "site")


# A stage from end to end.

RECIPE = """
kind = "pipeline"
name = "toy"
compose = true
[latents]
size = 32
aspects = [1.0, 1.5]
[codec]
channels = [16, 32, 32]
size = 32
crop = 16
batch = 4
adversary_share = 0.3
warmup = 2
[denoiser]
channels = [16, 16, 32]
batch = 4
warmup = 2
rate = 2e-3
ema = 0.9
[student]
batch = 2
inner = 2
rank = 2
"""


@pytest.fixture(scope="module")
def begun(packed: tuple[SpriteSet, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained pipeline folder."""
    folder = tmp_path_factory.mktemp("begun") / "weights"
    tokens = modelkit.tokenizer()
    recipe = dataclasses.replace(modelkit.DENOISER)
    model: TextToLatent = build(recipe, modelkit.text_encoder(tokens))
    export(model, modelkit.codec(), tokens, folder, names_of(packed[0].rows, modelkit.CONCEPTS), {})
    return folder


def run(stage: str, minutes: float, pack: Path, begun: Path, folder: Path, *more: str) -> dict[str, Any]:
    recipe = folder / "toy.toml"
    recipe.write_text(RECIPE)
    said = [stage, "--minutes", str(minutes), "--pack", str(pack), "--work", str(folder / "work"), "--processes", "0"]
    assert main([*said, "--out", str(folder / "out"), "--start", str(begun), "--recipe", str(recipe), *more]) == 0
    files = [file for file in (folder / "out").rglob("*") if file.is_file()]
    assert len(files) <= 8
    assert max(file.stat().st_size for file in files) <= 16 * 2**20
    return json.loads((folder / "out" / "figures.json").read_text())


def test_a_denoiser_trains_within_its_time_and_goes_on(
    packed: tuple[SpriteSet, Path], begun: Path, tmp_path: Path
) -> None:
    """Results are a pipeline folder that opens; a second call goes on from the first one's steps."""
    from diffusers import StableDiffusionPipeline

    first = run("denoiser", 0.35, packed[1], begun, tmp_path)
    assert first["seconds_left"] > -8
    assert first["steps"] >= 1
    assert (tmp_path / "out" / "samples.png").is_file()
    collect(tmp_path / "out", tmp_path / "weights")
    opened = StableDiffusionPipeline.from_pretrained(tmp_path / "weights", local_files_only=True, use_safetensors=True)
    assert opened.unet.config.block_out_channels == [16, 16, 32]
    second = run("denoiser", 0.25, packed[1], begun, tmp_path)
    assert second["steps"] > first["steps"]
    log = (tmp_path / "out" / "log.txt").read_text()
    assert f"{first['steps']} done before" in log
    assert f"resumed at step {first['steps']}" in log


def test_too_little_time_is_told(packed: tuple[SpriteSet, Path], begun: Path, tmp_path: Path, capsys: Any) -> None:
    """A stage that cannot do a step says so and does not run on."""
    recipe = tmp_path / "toy.toml"
    recipe.write_text(RECIPE)
    said = ["denoiser", "--minutes", "0.001", "--pack", str(packed[1]), "--work", str(tmp_path / "work")]
    said += ["--processes", "0", "--out", str(tmp_path / "out"), "--start", str(begun), "--recipe", str(recipe)]
    assert main(said) == 1
    assert "Give more --minutes" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "gives"), [("codec", "config.json"), ("distil", "student/config.json")])
def test_other_stages_deliver_their_part(
    stage: str, gives: str, packed: tuple[SpriteSet, Path], begun: Path, tmp_path: Path
) -> None:
    """A codec with its figures; a student's adapter."""
    figures = run(stage, 0.6, packed[1], begun, tmp_path)
    assert figures["steps"] >= 1
    collect(tmp_path / "out", tmp_path / "made")
    assert (tmp_path / "made" / gives).is_file()
    if stage == "codec":
        assert np.isfinite(figures["psnr_db"])
