"""The upscaler at toy size: training, alpha, files, and its place in the engine. Real networks, real files."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DiffusionPipeline, StableDiffusionPipeline
from modelkit import interrupted_after
from PIL import Image
from torch import Tensor
from torch.nn import functional
from toyweights import write_toy_weights

from daguerre.models.common import upscaler
from daguerre.models.common.folder import digest
from daguerre.models.common.upscaler import Upscaler, upscale, upscale_image
from daguerre.models.data.drawing import Drawing
from daguerre.models.data.sources import SOURCES
from daguerre.models.data.store import SpriteSet
from daguerre.models.errors import TrainingError, WeightsRefused
from daguerre.models.serving.engine import Engine
from daguerre.models.training.losses import psnr
from daguerre.models.training.upscaler import UpscalerRecipe, pairs, train_upscaler, training_images
from daguerre.models.training.upscaler_pairs import large_pictures, shrink, through_codec, windows
from daguerre.models.training.upscaler_sprites import crisp, draw, held_out

RECIPE = UpscalerRecipe(
    width=16, blocks=2, size=64, window=12, pictures=4, steps=6, rate=3e-3, warmup=2, ema=0.9, codec_share=0.5
)
ASK = {"steps": 2, "width": 256, "height": 256}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def shapes(seed: int, count: int) -> SpriteSet:
    """Discs and polygons in any colours, drawn from SVG by the sprite builder's own function."""
    choose = random.Random(seed)
    images, rows = [], []
    while len(rows) < count:
        colours = [f"#{choose.randrange(1 << 24):06x}" for _ in range(2)]
        corners = " ".join(f"{choose.randrange(4, 60)},{choose.randrange(4, 60)}" for _ in range(4))
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64">'
            f'<circle cx="32" cy="32" r="{choose.randrange(16, 30)}" fill="{colours[0]}"/>'
            f'<polygon points="{corners}" fill="{colours[1]}"/></svg>'
        )
        pixels = crisp(svg, 64, f"{choose.randrange(16**8):08x}")
        row = {"i": len(rows), "code": f"{seed}-{choose.randrange(10**6)}", "name": "", "tier": "A"}
        if pixels is not None and not held_out(row):
            images.append(pixels)
            rows.append(row)
    return SpriteSet(np.stack(images), rows)


@pytest.fixture(scope="module")
def sprites() -> SpriteSet:
    return shapes(1, 12)


@pytest.fixture(scope="module")
def codec() -> AutoencoderKL:
    torch.manual_seed(5)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 8), layers_per_block=1, latent_channels=4, norm_num_groups=4,
        mid_block_add_attention=False,
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def trained(sprites: SpriteSet, tmp_path_factory: pytest.TempPathFactory) -> Upscaler:
    """Four hundred small steps on twelve shapes, without a codec."""
    recipe = dataclasses.replace(RECIPE, steps=400, warmup=10, ema=0.95, codec_share=0.0, clean=0.8, rate=6e-3)
    return train_upscaler(recipe, sprites, tmp_path_factory.mktemp("upscaler"), report=str)


def lanczos(small: Tensor, mode: str = "RGB") -> Tensor:
    """Pillow's, ×4, of (B, C, H, W) in [-1, 1]."""
    made = []
    for picture in small:
        pixels = ((picture + 1) * 127.5).round().byte().permute(1, 2, 0).contiguous().numpy()
        image = Image.fromarray(pixels, mode)
        large = image.resize((4 * image.width, 4 * image.height), Image.Resampling.LANCZOS)
        made.append(torch.from_numpy(np.array(large, np.float32)).permute(2, 0, 1) / 127.5 - 1)
    return torch.stack(made)


def test_it_learns_to_beat_lanczos(trained: Upscaler) -> None:
    """On shapes it never saw, by at least a decibel."""
    torch.manual_seed(7)
    large = large_pictures(torch.from_numpy(shapes(2, 8).images), 24)
    small = shrink(large, 4)
    ours = psnr((upscale(trained, small) - large).square().mean())
    theirs = psnr((lanczos(small) - large).square().mean())
    assert ours > theirs + 1


def test_an_edge_is_steeper_and_nearer_to_the_truth_than_lanczos(trained: Upscaler) -> None:
    """A square on a ground: less error in all, and a larger share of the step between two neighbouring pixels."""
    small = torch.full((1, 3, 24, 24), -1.0)
    small[..., 8:16, 8:16] = 1.0
    square = small.repeat_interleave(4, -1).repeat_interleave(4, -2)
    ours, theirs = upscale(trained, small), lanczos(small)
    assert (ours - square).square().mean() < (theirs - square).square().mean()
    steepest = [made[0, :, 48].diff(dim=-1).abs().max() for made in (ours, theirs)]
    assert steepest[0] > steepest[1]


def test_a_fresh_network_shows_no_checkerboard() -> None:
    """What it adds to the bicubic picture is alike in all pixels that come from the same small one (ICNR)."""
    torch.manual_seed(1)
    model = Upscaler(width=16, blocks=2)
    small = torch.rand(1, 3, 10, 10) * 2 - 1
    with torch.no_grad():
        smooth = functional.interpolate(small, scale_factor=4, mode="bicubic", antialias=True)
        added = model(small) - smooth
    blocks = functional.pixel_unshuffle(added, 4).unflatten(1, (3, 16))
    assert added.abs().max() > 1e-3
    assert torch.allclose(blocks, blocks[:, :, :1].expand_as(blocks), atol=1e-5)


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    sprites: SpriteSet, codec: AutoencoderKL, tmp_path: Path
) -> None:
    """Weights, average, moments and random state all come back, with batches through the codec among them."""
    whole = train_upscaler(RECIPE, sprites, tmp_path / "whole", codec, report=str)
    train_upscaler(RECIPE, sprites, tmp_path / "parts", codec, report=str, stop=interrupted_after(3))
    parts = train_upscaler(RECIPE, sprites, tmp_path / "parts", codec, report=str)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))


def test_a_broken_loss_stops_the_run_and_leaves_the_checkpoint(sprites: SpriteSet, tmp_path: Path) -> None:
    """The error says what to change; the last good state is as it was."""
    recipe = dataclasses.replace(RECIPE, codec_share=0.0)
    train_upscaler(recipe, sprites, tmp_path, report=str, stop=interrupted_after(2))
    before = (tmp_path / "upscaler.safetensors").read_bytes()
    with pytest.raises(TrainingError, match="rate"):
        train_upscaler(dataclasses.replace(recipe, rate=1e38, steps=50), sprites, tmp_path, report=str)
    assert (tmp_path / "upscaler.safetensors").read_bytes() == before


def test_a_warm_start_needs_the_same_shape(sprites: SpriteSet, trained: Upscaler, tmp_path: Path) -> None:
    """And then begins where the other ended."""
    upscaler.save(trained, tmp_path / "upscaler")
    same = train_upscaler(
        dataclasses.replace(RECIPE, steps=0), sprites, tmp_path / "a", report=str, start=tmp_path / "upscaler"
    )
    assert torch.allclose(same.head.weight, trained.head.weight, atol=1e-3)
    with pytest.raises(TrainingError, match="another shape"):
        train_upscaler(
            dataclasses.replace(RECIPE, blocks=3), sprites, tmp_path / "b", report=str, start=tmp_path / "upscaler"
        )


def test_held_out_drawings_are_never_learnt_from(sprites: SpriteSet) -> None:
    """About a sixteenth of all emoji, the same ones everywhere, and never one of another licence."""
    rows = [{**sprites.rows[0], "i": index, "code": f"{index:X}"} for index in range(800)]
    kept = [row for row in rows if not held_out(row)]
    assert 30 < len(rows) - len(kept) < 70
    two = SpriteSet(sprites.images, [rows[0], next(row for row in rows if held_out(row)) | {"i": 1}])
    two.rows[0]["tier"] = "B"
    with pytest.raises(TrainingError, match="No tier A sprite"):
        training_images(RECIPE, two)


def test_pairs_show_the_same_place(sprites: SpriteSet) -> None:
    """Where nothing is made worse, the small window is the large one under a box filter."""
    recipe = dataclasses.replace(RECIPE, clean=1.0, codec_share=0.0)
    torch.manual_seed(3)
    small, large = pairs(recipe, torch.from_numpy(sprites.images), None)
    assert small.shape == (8, 3, 12, 12)
    assert large.shape == (8, 3, 48, 48)
    assert torch.allclose(functional.avg_pool2d(large, 4), small, atol=1e-5)


def test_windows_look_for_edges() -> None:
    """A picture with one small dot is nearly always cut where the dot is."""
    large = torch.ones(1, 3, 256, 256)
    large[..., 100:110, 180:190] = -1
    torch.manual_seed(0)
    small, _ = windows(shrink(large, 4), large, 12, 40)
    assert (small.amin((1, 2, 3)) < 0).float().mean() > 0.4


def test_the_codec_makes_pictures_worse_by_its_noise(codec: AutoencoderKL, sprites: SpriteSet) -> None:
    """More noise on the latents, other pictures; never beyond [-1, 1]."""
    torch.manual_seed(0)
    small = shrink(large_pictures(torch.from_numpy(sprites.images), 2), 4)
    calm, noisy = through_codec(codec, small, 0.0), through_codec(codec, small, 3.0)
    assert calm.shape == small.shape
    assert torch.equal(calm, through_codec(codec, small, 0.0))
    assert not torch.allclose(calm, noisy)
    assert noisy.abs().max() <= 1


@pytest.mark.parametrize(("height", "width"), [(16, 16), (24, 16), (7, 33)])
def test_any_size_and_aspect(trained: Upscaler, height: int, width: int) -> None:
    """Four times each side; far from the border a part gives what the whole gives there."""
    torch.manual_seed(2)
    picture = torch.rand(1, 3, height, width) * 2 - 1
    assert upscale(trained, picture).shape == (1, 3, 4 * height, 4 * width)
    around = torch.rand(1, 3, height + 40, width + 40) * 2 - 1
    part = upscale(trained, around[..., 8:-8, 8:-8])
    assert torch.allclose(part[..., 32:-32, 32:-32], upscale(trained, around)[..., 64:-64, 64:-64], atol=1e-4)


def test_no_pixel_depends_on_the_neighbours_in_a_batch(trained: Upscaler) -> None:
    """To the last bit."""
    torch.manual_seed(4)
    pictures = torch.rand(3, 3, 16, 16) * 2 - 1
    alone = torch.cat([upscale(trained, picture[None]) for picture in pictures])
    assert torch.equal(upscale(trained, pictures), alone)


def transparent(size: int) -> tuple[Tensor, Tensor]:
    """A red disc on nothing, large (1, 4, 4·size, 4·size) and small, straight alpha."""
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64">'
        '<circle cx="32" cy="32" r="27" fill="#d02020"/></svg>'
    )
    large = crisp(svg, 4 * size, "ffffffff")
    assert large is not None
    small = Image.fromarray(large, "RGBA").convert("RGBa").resize((size, size), Image.Resampling.BOX).convert("RGBA")
    return tuple(torch.from_numpy(np.array(p)).permute(2, 0, 1)[None] / 127.5 - 1 for p in (large, small))  # type: ignore[return-value]


def over(picture: Tensor, colour: float) -> Tensor:
    alpha = (picture[:, 3:] + 1) / 2
    return picture[:, :3] * alpha + colour * (1 - alpha)


def test_transparent_pictures_keep_crisp_edges_without_a_fringe(trained: Upscaler) -> None:
    """Over white, grey and black nearer to the drawing than Lanczos; invisible colours never show."""
    large, small = transparent(16)
    made = upscale(trained, small)
    plain = lanczos(small, "RGBA")
    for colour in (1.0, 0.0, -1.0):
        ours, theirs = (psnr((over(p, colour) - over(large, colour)).square().mean()) for p in (made, plain))
        assert ours > theirs + 1
    hidden = small.clone()
    hidden[:, :3] = torch.where(small[:, 3:] <= -1, torch.tensor([0.0, 1.0, 0.0]).view(1, 3, 1, 1), small[:, :3])
    assert torch.equal(upscale(trained, hidden), made)


def test_an_opaque_picture_does_not_change_through_an_alpha_channel(trained: Upscaler) -> None:
    """Colours as of the RGB picture; alpha stays full."""
    torch.manual_seed(6)
    picture = torch.rand(1, 3, 12, 20) * 2 - 1
    made = upscale(trained, torch.cat([picture, torch.ones(1, 1, 12, 20)], 1))
    assert torch.equal(made[:, :3], upscale(trained, picture))
    assert made[:, 3].min() > 0.95


def test_pillow_pictures_keep_their_mode(trained: Upscaler) -> None:
    """RGB stays RGB, RGBA stays RGBA, both four times as large."""
    for mode in ("RGB", "RGBA"):
        assert upscale_image(trained, Image.new(mode, (10, 6), "red")).size == (40, 24)
        assert upscale_image(trained, Image.new(mode, (10, 6), "red")).mode == mode


def test_files_are_half_precision_and_come_back(trained: Upscaler, tmp_path: Path) -> None:
    """The network that was saved goes on in full precision."""
    upscaler.save(trained, tmp_path)
    assert trained.head.weight.dtype == torch.float32
    size = (tmp_path / upscaler.FILE).stat().st_size
    assert size < 2 * sum(p.numel() for p in trained.parameters()) + 4096
    picture = torch.rand(1, 3, 8, 8) * 2 - 1
    assert torch.allclose(upscale(upscaler.load(tmp_path), picture), upscale(trained, picture), atol=0.02)


def test_what_is_not_an_upscaler_is_refused(trained: Upscaler, tmp_path: Path) -> None:
    """Another class, missing or torn weights, a pickle in place of them: one clear error each."""

    def broken(name: str, change: Callable[[Path], object]) -> Path:
        upscaler.save(trained, tmp_path / name)
        change(tmp_path / name)
        return tmp_path / name

    def other_class(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text()) | {"_class_name": "UNet2DModel"}
        (folder / "config.json").write_text(json.dumps(config))

    def other_width(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text()) | {"width": 24}
        (folder / "config.json").write_text(json.dumps(config))

    cases = {
        "class": other_class,
        "width": other_width,
        "torn": lambda f: (f / upscaler.FILE).write_bytes((f / upscaler.FILE).read_bytes()[:500]),
        "config": lambda f: (f / "config.json").unlink(),
        "pickle": lambda f: (f / upscaler.FILE).rename(f / "diffusion_pytorch_model.bin"),
    }
    for name, change in cases.items():
        with pytest.raises(WeightsRefused, match="Export it again"):
            upscaler.load(broken(name, change))


def test_building_crisp_sprites_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A build in two goes gives the bytes of one in one go; what cannot be drawn is left out and counted."""
    sides = [f'<rect width="{20 + n % 40}" height="{10 + n % 50}" fill="#{n:02x}8040"/>' for n in range(150)]
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64">'
    todo = [(SOURCES[0], Drawing(f"d{n}", f"{head}{side}</svg>", "thing")) for n, side in enumerate(sides)]
    todo[3] = (SOURCES[0], Drawing("broken", "<svg", "thing"))
    wanted = {"format": 1, "size": 32, "count": 150}
    whole = draw(todo, tmp_path / "whole", wanted, str)
    assert draw(todo, tmp_path / "parts", wanted, str, stop=interrupted_after(1)) is None
    parts = draw(todo, tmp_path / "parts", wanted, str)
    assert whole is not None
    assert parts is not None
    assert len(whole.rows) == 149
    assert (tmp_path / "whole" / "sprites.npy").read_bytes() == (tmp_path / "parts" / "sprites.npy").read_bytes()
    assert json.loads((tmp_path / "parts" / "build.json").read_text())["failed"] == 1


# The engine.


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    made = Engine(write_toy_weights(tmp_path_factory.mktemp("plain") / "toy"), device="cpu")
    made.load()
    return made


@pytest.fixture(scope="module")
def sharp(plain: Engine, trained: Upscaler, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The same weights with an upscaler beside them."""
    folder = tmp_path_factory.mktemp("sharp") / "toy"
    shutil.copytree(plain.weights, folder)
    upscaler.save(trained, folder / upscaler.FOLDER)
    made = Engine(folder, device="cpu")
    made.load()
    return made


def test_the_engine_enlarges_through_the_upscaler_and_does_without(
    plain: Engine, sharp: Engine, trained: Upscaler
) -> None:
    """The decoded 16 px picture ×4, to the size asked for; without the folder Lanczos alone, as before."""
    seeds = {"seeds": [3], "guidance": 3.0, "steps": 2}
    drawn = plain.generate("a red apple", **seeds, width=16, height=16)[0]
    made = sharp.generate("a red apple", **seeds, width=64, height=64)[0]
    ours = np.asarray(upscale_image(upscaler.load(sharp.weights / "upscaler"), drawn), int)
    assert np.abs(np.asarray(made, int) - ours).max() <= 6  # `drawn` was rounded to bytes in between
    assert plain.generate("a red apple", **seeds, width=64, height=64)[0] == drawn.resize(
        (64, 64), Image.Resampling.LANCZOS
    )
    assert sharp.generate("a red apple", **seeds, width=100, height=300)[0].size == (100, 300)
    beyond = sharp.generate("a red apple", **seeds, width=256, height=256)[0]
    assert beyond == made.resize((256, 256), Image.Resampling.LANCZOS)


def test_metadata_says_which_upscaler(plain: Engine, sharp: Engine) -> None:
    """`none`, or the digest of its files; the model's digest covers it."""
    assert plain.describe()["upscaler"] == "none"
    assert sharp.describe()["upscaler"] == digest(sharp.weights / "upscaler")
    assert plain.describe()["model_digest"] != sharp.describe()["model_digest"]


@pytest.mark.parametrize("guidance", [3.0, 1.0])
def test_the_same_seed_gives_the_same_pixels_alone_and_among_others(sharp: Engine, guidance: float) -> None:
    """To the last bit, with and without guidance."""
    alone = sharp.generate("a red apple", seeds=[7], guidance=guidance, **ASK)[0]
    for seeds in ([7, 1], [1, 2, 7], [4, 7, 1, 2, 3, 9, 8]):
        among = sharp.generate("a red apple", seeds=seeds, guidance=guidance, **ASK)
        assert among[seeds.index(7)].tobytes() == alone.tobytes()
        assert among[0].tobytes() != among[1].tobytes()


def test_stock_programs_open_a_folder_with_an_upscaler(sharp: Engine) -> None:
    """model_index.json does not name it."""
    assert "upscaler" not in json.loads((sharp.weights / "model_index.json").read_text())
    opened = DiffusionPipeline.from_pretrained(sharp.weights, local_files_only=True, use_safetensors=True)
    assert isinstance(opened, StableDiffusionPipeline)


def test_a_damaged_upscaler_stops_loading(sharp: Engine, tmp_path: Path) -> None:
    """Silence would give other pictures than the folder promises."""
    shutil.copytree(sharp.weights, tmp_path / "toy")
    (tmp_path / "toy" / "upscaler" / upscaler.FILE).write_bytes(b"torn")
    with pytest.raises(WeightsRefused, match="upscaler"):
        Engine(tmp_path / "toy", device="cpu").load()
