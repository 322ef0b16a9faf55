"""What a request can ask for, on real networks of toy size: each changes the picture in the way that it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image, ImageDraw
from studentkit import write_student
from toyweights import write_toy_weights

from daguerre.models.common.cutout import cut_out
from daguerre.models.errors import Unfit
from daguerre.models.serving import drawing
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.network import Words
from daguerre.models.serving.previews import drawing as sample
from daguerre.models.serving.profile import Paces, measure
from daguerre.models.serving.requests import RenderRequest, Source
from daguerre.models.serving.schedule import BUCKETS
from daguerre.models.serving.sources import canvas_of

ASK = RenderRequest("a red apple", (1,), 4, 2.0, 16, 16)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """With a student, and the same matrices once more as an adapter for members."""
    root = tmp_path_factory.mktemp("features")
    weights = write_toy_weights(root / "toy")
    write_student(weights, root / "toy" / "student")
    write_student(weights, root / "adapters" / "bold")
    (root / "adapters" / "bold" / "config.json").unlink()
    made = Engine(weights, device="cpu", adapters=root / "adapters", profile=root / "paces.json")
    made.load()
    return made


def array(engine: Engine, ask: RenderRequest, number: int = 0) -> np.ndarray[Any, Any]:
    return np.asarray(engine.draw(ask).pictures[number], int)


def apart(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    return float(np.abs(one - other).mean())


def test_shares_of_rows_sum_to_one_and_stand_for_guidance() -> None:
    """u + g (c − u) with one text; weights over the positive sum; no row for what has no share."""
    a, b, none = (Words(torch.zeros(1)) for _ in range(3))
    assert drawing.rows_and_shares([(a, 1.0)], none, 3.0) == ((a, none), (3.0, -2.0))
    assert drawing.rows_and_shares([(a, 1.0)], none, 1.0) == ((a,), (1.0,))
    assert drawing.rows_and_shares([(a, 2.0), (b, 2.0)], none, 1.0) == ((a, b), (0.5, 0.5))
    words, shares = drawing.rows_and_shares([(a, 2.0), (b, -1.0)], none, 4.0)
    assert words == (a, b, none)
    assert shares == (4.0, -2.0, -1.0)


def test_weighted_parts_pull_and_push(engine: Engine) -> None:
    """One part of weight 1 is the prompt; equal weights are the same however large; a negative one is not ignored."""
    plain = array(engine, ASK)
    one = replace(ASK, parts=(("a red apple", 5.0),))
    assert (array(engine, one) == plain).all()
    pairs = [replace(ASK, parts=(("apple", w), ("pizza", w))) for w in (1.0, 2.0)]
    assert (array(engine, pairs[0]) == array(engine, pairs[1])).all()
    assert apart(array(engine, replace(ASK, parts=(("apple", 1.0), ("pizza", -0.5)))), array(engine, pairs[0])) > 0


def test_negative_prompt_and_style_reach_the_network(engine: Engine) -> None:
    """As the captions of training say them."""
    assert apart(array(engine, replace(ASK, negative="blue")), array(engine, ASK)) > 0
    styled = replace(ASK, style="blue")
    assert (array(engine, styled) == array(engine, replace(ASK, prompt="a red apple, blue style"))).all()
    assert apart(array(engine, styled), array(engine, ASK)) > 0


def test_chaos_spreads_the_pictures_of_one_grid() -> None:
    """Their noises differ more the more of it there is, and stay noise; 0 leaves each its own seed."""

    def spread(chaos: int) -> float:
        first, second = drawing.noises((1, 2), (4, 32, 32), chaos)
        assert 0.9 < float(second.std()) < 1.1
        return float((first - second).square().mean())

    far = [spread(chaos) for chaos in (5, 30, 60, 100)]
    assert far == sorted(far)
    assert far[0] < 0.05
    assert torch.equal(drawing.noises((1, 2), (4, 8, 8), 0)[1], drawing.noises((2,), (4, 8, 8), 0)[0])
    assert far[-1] == pytest.approx(spread(0), rel=0.01)


@pytest.mark.parametrize(("stop", "last"), [(100, 16), (50, 8), (10, 2), (1, 1)])
def test_stop_ends_early(engine: Engine, stop: int, last: int) -> None:
    """After that share of the steps; the estimate is what is shown."""
    steps: list[tuple[int, int]] = []
    engine.draw(replace(ASK, steps=16, stop=stop), lambda p: steps.append((p.step, p.steps)))
    assert steps[-1] == (last, last)


def test_tiles_fit_together(engine: Engine) -> None:
    """The network itself goes round: shifted noise gives the picture shifted as much."""
    network: Any = engine.loop._context.network  # pyright: ignore
    noise = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    words = [network.encode_prompt(network.plain, "apple")] * 2

    def said(sample: torch.Tensor, tile: bool) -> torch.Tensor:
        with torch.inference_mode():
            return network.forward(network.plain, sample, torch.full((2,), 500.0), words, tile=tile)

    for tile in (True, False):
        moved = said(noise.roll((2, 4), (2, 3)), tile)
        assert torch.allclose(moved, said(noise, tile).roll((2, 4), (2, 3)), atol=1e-4) == tile
    with torch.inference_mode():
        shown = network.decode(noise[:1], tile=True).roll(16, 3)
        assert torch.allclose(shown, network.decode(noise[:1].roll(4, 3), tile=True), atol=1e-4)


def test_variations_keep_as_much_as_is_asked(engine: Engine) -> None:
    """Strength 0 gives the codec's own picture back; more noise takes it farther away."""
    source = sample(16, 3)
    kept = array(engine, replace(ASK, steps=10, source=Source(source, strength=0.0)))
    steps: list[int] = []
    engine.draw(replace(ASK, steps=10, source=Source(source, strength=0.5)), lambda p: steps.append(p.steps))
    assert steps == [5] * 5
    far = [apart(array(engine, replace(ASK, steps=10, source=Source(source, strength=s))), kept) for s in (0.3, 1.0)]
    assert far == sorted(far)
    assert far[0] < far[1]


def test_inpainting_draws_where_the_mask_is_white_and_nowhere_else(engine: Engine) -> None:
    """Every pixel under black stays to the bit; two seeds differ under white."""
    source, mask = sample(64, 5), Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 48, 48))
    ask = replace(ASK, width=64, height=64, steps=6, source=Source(source, "inpaint", mask, 1.0))
    one, other = array(engine, ask), array(engine, replace(ask, seeds=(2,)))
    outside = np.asarray(mask) == 0
    assert (one[outside] == np.asarray(source)[outside]).all()
    assert np.abs(one - other)[24:40, 24:40].mean() > 1
    for wrong in (None, Image.new("L", (64, 64))):
        with pytest.raises(Unfit, match="mask"):
            engine.draw(replace(ask, source=Source(source, "inpaint", wrong)))


def test_outpainting_goes_on_beyond_the_edges(engine: Engine) -> None:
    """The old picture stands where it belongs, to the bit; the rest is new."""
    source = sample(32, 5)
    ask = replace(ASK, width=64, height=32, source=Source(source, "outpaint", expand=(50, 0, 50, 0)))
    made = array(engine, ask)
    assert made.shape == (32, 64, 3)
    assert (made[:, 16:48] == np.asarray(source)).all()
    assert apart(made, array(engine, replace(ask, seeds=(9,)))) > 0
    with pytest.raises(Unfit, match="expand"):
        engine.draw(replace(ask, source=Source(source, "outpaint")))


def test_a_plain_ground_goes_on_beyond_the_edges() -> None:
    """Drawn from noise alone, the thing would come once more around its own picture, as in a frame.

    What touches an edge is not drawn out into a stripe; beyond a ground of many colours more is made up.
    """
    ground = (250, 248, 240)
    plain = Image.new("RGB", (64, 64), ground)
    ImageDraw.Draw(plain).rectangle((20, 30, 63, 40), fill=(200, 0, 0))
    canvas = canvas_of(Source(plain, "outpaint", expand=(0, 0, 50, 0)), 96, 64)
    beyond = np.asarray(canvas.picture)[:, 64:]
    assert (beyond == ground).all()
    assert canvas.strength < 0.5
    kept = np.asarray(canvas.picture)[:, :64]
    assert (kept[30:41, 24:60] == (200, 0, 0)).all()
    # A ground that is not quite even has no visible end either: it passes over within a twelfth of the side.
    uneven = Image.new("RGB", (64, 64), (240, 240, 232))
    uneven.paste(ground, (0, 0, 64, 34))
    seam = np.asarray(canvas_of(Source(uneven, "outpaint", expand=(0, 0, 50, 0)), 96, 64).picture, int)[50]
    assert np.abs(np.diff(seam, axis=0)).max() <= 4
    around = canvas_of(Source(plain, "outpaint", expand=(50, 50, 50, 50)), 64, 64)
    assert around.strength == canvas.strength
    many = Image.effect_noise((64, 64), 120).convert("RGB")
    assert canvas_of(Source(many, "outpaint", expand=(0, 0, 50, 0)), 96, 64).strength > 0.5


def test_cutting_out_keeps_what_is_inside_and_softens_edges() -> None:
    """The background goes, white inside the drawing stays, edges lose the background's colour."""
    whole = Image.new("RGB", (256, 256), (250, 252, 249))
    pen = ImageDraw.Draw(whole)
    pen.ellipse((48, 48, 208, 208), fill=(200, 0, 0))
    pen.ellipse((110, 110, 146, 146), fill="white")
    made = cut_out(whole.resize((64, 64), Image.Resampling.BOX))
    values = np.asarray(made, int)
    assert values[0, 0, 3] == values[5, 60, 3] == 0
    assert values[32, 20, 3] == values[32, 32, 3] == 255
    assert (values[32, 32, :3] > 240).all()
    soft = (values[..., 3] > 20) & (values[..., 3] < 235)
    assert soft.any()
    # On black, no bright fringe remains.
    black = np.asarray(Image.alpha_composite(Image.new("RGBA", made.size, "black"), made), int)
    assert black[..., 1][soft].max() < 90
    # Something that fills the picture has no background.
    noise = Image.effect_noise((64, 64), 120).convert("RGB")
    assert np.asarray(cut_out(noise))[..., 3].min() == 255
    # Nor has it where another ground is known.
    full = Image.new("RGB", (64, 64), (90, 50, 20))
    assert np.asarray(cut_out(full))[..., 3].max() == 0
    assert np.asarray(cut_out(full, (255, 255, 255)))[..., 3].min() == 255


def test_transparent_pictures_have_alpha(engine: Engine) -> None:
    """RGBA, at the size asked for."""
    made = engine.draw(replace(ASK, width=64, height=64, transparent=True)).pictures[0]
    assert (made.mode, made.size) == ("RGBA", (64, 64))


def told(engine: Engine, ask: RenderRequest) -> tuple[Sequence[int], Any]:
    steps: list[int] = []
    about = engine.draw(ask, lambda p: steps.append(p.step)).about
    return steps, about


def test_drafts_are_the_student_s_where_there_is_one(engine: Engine, tmp_path: Path) -> None:
    """Its steps, its guidance, its order; without one few steps of the whole model. The metadata says which."""
    steps, about = told(engine, replace(ASK, steps=30, draft=True))
    assert steps == [1, 2, 3, 4]
    assert (about["draft"], about["guidance"], about["sampler"]) == ("student", 1.0, "DPM-Solver++ 1 (DDIM)")
    assert about["adapters"].keys() == {"student"}
    plain = Engine(write_toy_weights(tmp_path / "plain"), device="cpu")
    plain.load()
    steps, about = told(plain, replace(ASK, steps=30, draft=True))
    assert steps == [1, 2, 3, 4, 5, 6]
    assert "no student" in about["draft"]


def test_adapters_by_name_agree_with_the_stock_pipeline(engine: Engine, tmp_path: Path) -> None:
    """Merged ones draw what loaded ones draw; unknown names are refused with those that there are."""
    stock: Any = StableDiffusionPipeline.from_pretrained(engine.weights, local_files_only=True)
    stock.load_lora_weights(engine.weights.parent / "adapters" / "bold", local_files_only=True)
    stock.set_progress_bar_config(disable=True)
    expected = stock(
        "a red apple", num_inference_steps=4, guidance_scale=2.0, generator=torch.Generator().manual_seed(1)
    ).images[0]
    made = engine.draw(replace(ASK, adapters=("bold",)))
    assert np.abs(np.asarray(made.pictures[0], int) - np.asarray(expected, int)).max() <= 1
    assert apart(np.asarray(made.pictures[0], int), array(engine, ASK)) > 0
    assert made.about["adapters"].keys() == {"bold"}
    for name in ("absent", "../toy/student", "student"):
        with pytest.raises(Unfit, match="it has: bold"):
            engine.draw(replace(ASK, adapters=(name,)))


@pytest.mark.parametrize("slow", [None, 4, 8, 16])
def test_one_slow_moment_does_not_decide_how_many_rows_are_useful(
    engine: Engine, slow: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each number of rows is measured in several turns; doubling ends where two doublings bring nothing."""
    network: Any = engine.loop._context.network  # pyright: ignore
    rows: list[int] = []
    calls = dict.fromkeys(BUCKETS, 0)

    def seconds_of(run: Callable[[], None], _: str) -> float:
        run()
        calls[rows[-1]] += 1
        usual = 0.02 + 0.01 * max(rows[-1], 8)
        return usual * (3 if rows[-1] == slow and calls[slow] == 1 else 1)

    def forward(_: object, samples: torch.Tensor, *__: object) -> None:
        rows.append(len(samples))

    monkeypatch.setattr(network, "forward", forward)
    monkeypatch.setattr("daguerre.models.serving.profile.seconds_of", seconds_of)
    pace = measure(network, network.plain, 4, 4)
    assert pace.knee == 32
    assert dict(pace.seconds)[8] == pytest.approx(0.1)
    assert set(calls.values()) == {3}


def test_measured_speeds_are_remembered(engine: Engine) -> None:
    """The next start reads them; another machine's are measured anew, and a damaged file is none."""
    file = engine.weights.parent / "paces.json"
    network: Any = engine.loop._context.network  # pyright: ignore
    known = Paces(engine._machine(), file)
    assert known.get(network, network.plain, 4, 4) == engine.loop._paces.get(network, network.plain, 4, 4)  # pyright: ignore
    file.write_text("torn")
    assert Paces(engine._machine(), file)._known == {}
