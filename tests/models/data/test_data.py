"""Sprites, scenes and captions: what is drawn, and whether the words are true of it."""

from __future__ import annotations

import base64
import hashlib
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from daguerre.models.data.build import load, rasterise
from daguerre.models.data.captions import caption, with_article
from daguerre.models.data.emoji import plain_code, squash
from daguerre.models.data.firstlight import CONCEPTS
from daguerre.models.data.packages import check
from daguerre.models.data.scenes import BACKGROUNDS, Placement, colours, compose
from daguerre.models.data.sources import SOURCES, Package
from daguerre.models.errors import DataMissing, PackageChanged

#: The emoji sets of released weights: their names are style words of prompts.
EMOJI_SETS = [each for each in SOURCES if each.kind == "emoji" and each.tier == "A"]

RED_SQUARE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8" width="8" height="8">'
    '<rect x="2" y="2" width="4" height="4" fill="#ff0000"/></svg>'
)


def test_a_drawing_is_rasterised_with_straight_alpha() -> None:
    """Inside it is opaque red, outside it is clear."""
    pixels = rasterise(RED_SQUARE, 32)
    assert pixels is not None
    assert pixels.shape == (32, 32, 4)
    assert tuple(pixels[16, 16]) == (255, 0, 0, 255)
    assert pixels[1, 1, 3] == 0


@pytest.mark.parametrize("broken", ["", "<svg", '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"/>'])
def test_a_corrupt_or_blank_drawing_is_left_out(broken: str) -> None:
    """One bad file does not stop a build of thousands."""
    assert rasterise(broken, 32) is None


def test_a_package_with_another_digest_is_refused(tmp_path: Path) -> None:
    """A pin is by content, not by name."""
    archive = tmp_path / "thing.tgz"
    archive.write_bytes(b"what was published")
    good = "sha512-" + base64.b64encode(hashlib.sha512(b"what was published").digest()).decode()
    check(Package("thing", "1.0.0", good), archive)
    archive.write_bytes(b"something else")
    with pytest.raises(PackageChanged, match=r"thing@1\.0\.0"):
        check(Package("thing", "1.0.0", good), archive)


def test_an_unbuilt_set_says_how_to_build_it(tmp_path: Path) -> None:
    """The error names the command."""
    with pytest.raises(DataMissing, match="scripts/start data build"):
        load(tmp_path)


def test_names_of_all_sets_meet() -> None:
    """Sets write one emoji as `Red-Apple`, `redapple` or `0001f34e-fe0f`."""
    assert squash("Red-Apple") == squash("red apple") == "redapple"
    assert plain_code("0001f34e-fe0f") == "1F34E"
    assert plain_code("1f468-200d-1f373") == "1F468-200D-1F373"


def sprite(left: tuple[int, int, int], right: tuple[int, int, int]) -> torch.Tensor:
    """(1, 4, 8, 8): opaque, two halves."""
    pixels = torch.zeros(1, 4, 8, 8, dtype=torch.uint8)
    pixels[0, 3] = 255
    pixels[0, :3, :, :4] = torch.tensor(left, dtype=torch.uint8)[:, None, None]
    pixels[0, :3, :, 4:] = torch.tensor(right, dtype=torch.uint8)[:, None, None]
    return pixels


def place(
    scale: float = 1.0, x: float = 0.0, y: float = 0.0, *, mirrored: bool = False, on: str = "white"
) -> Placement:
    return Placement(
        torch.tensor([scale]), torch.tensor([x]), torch.tensor([y]), torch.tensor([mirrored]), colours([on])
    )


def test_a_sprite_lands_where_it_is_put() -> None:
    """Half size at the left: the right half shows only the background."""
    picture = compose(sprite((255, 0, 0), (255, 0, 0)), place(0.5, x=-0.5, on="blue"), 16)[0]
    assert picture.shape == (3, 16, 16)
    assert torch.allclose(picture[:, 8, 4], torch.tensor([1.0, -1.0, -1.0]))
    assert torch.allclose(picture[:, :, 9:], colours(["blue"])[0][:, None, None].expand(3, 16, 7), atol=1e-5)


def test_mirroring_swaps_left_and_right() -> None:
    """And nothing else."""
    plain = compose(sprite((255, 0, 0), (0, 0, 255)), place(), 16)
    mirrored = compose(sprite((255, 0, 0), (0, 0, 255)), place(mirrored=True), 16)
    assert torch.allclose(plain.flip(-1), mirrored, atol=1e-5)


def test_edges_do_not_take_the_colour_of_invisible_pixels() -> None:
    """A white sprite whose clear pixels are black stays white on white."""
    pixels = torch.zeros(1, 4, 8, 8, dtype=torch.uint8)
    pixels[0, :, 2:6, 2:6] = 255
    assert torch.allclose(compose(pixels, place(0.77), 16), torch.ones(1, 3, 16, 16), atol=1e-5)


@given(st.integers(), st.sampled_from(sorted(BACKGROUNDS)), st.sampled_from([each.name for each in EMOJI_SETS]))
def test_a_caption_says_nothing_that_is_not_shown(seed: int, background: str, style: str) -> None:
    """Other colours and other styles are never named; a background that is not white always is."""
    text = caption(("pizza",), ("披萨",), style, background, random.Random(seed))
    said = {name for name, (chinese, _) in BACKGROUNDS.items() if name in text or chinese in text}
    assert said <= {background}
    assert background == "white" or said == {background}
    assert all(other.name not in text or other.name == style for other in EMOJI_SETS if other.name != "3d")
    assert "pizza" in text or "披萨" in text


def test_articles() -> None:
    """`a` or `an` by sound, none for plurals."""
    assert [with_article(n) for n in ("apple", "unicorn", "rocket", "grapes")] == [
        "an apple",
        "a unicorn",
        "a rocket",
        "grapes",
    ]


def test_released_weights_use_permissive_and_attribution_licences_only() -> None:
    """Tier A, and each set states its licence."""
    assert all(each.tier == "A" and each.licence in {"Apache-2.0", "MIT", "CC-BY-4.0"} for each in EMOJI_SETS)
    assert 100 <= len(CONCEPTS) <= 200
    assert np.unique(list(CONCEPTS)).size == len(CONCEPTS)
