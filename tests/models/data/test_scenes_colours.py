"""Colour words: what a colour is called, which colour a drawing has, and whether recolouring makes the word true."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from modelkit import name_colour
from PIL import ImageColor

from daguerre.models.data.colours import (
    BACKGROUNDS,
    COLOURS,
    WORDS,
    dominant,
    looks,
    recolour,
    to_oklab,
    to_srgb,
)
from daguerre.models.data.firstlight import CONCEPTS
from daguerre.models.data.raster import rasterise

BUILT = Path(__file__).parents[3] / "runs" / "data" / "sprites64"
#: CSS names whose words most people would not agree with.
DISPUTED = {"aliceblue", "brown", "darkslateblue", "lightyellow", "mediumvioletred",
            "navajowhite", "palevioletred", "rosybrown", "sandybrown", "blueviolet"}  # fmt: skip


def drawn(body: str) -> torch.Tensor:
    """(1, 32, 32, 4) of an SVG body on a 64 × 64 canvas."""
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64">{body}</svg>'
    pixels = rasterise(svg, 32)
    assert pixels is not None
    return torch.from_numpy(np.array(pixels))[None]


def painted(images: torch.Tensor, word: str) -> torch.Tensor:
    """The same drawings in the colour of the word, (B, S, S, 4) uint8."""
    pixels = images.permute(0, 3, 1, 2).float() / 255
    tinted = recolour(pixels[:, :3], pixels[:, 3:], [word] * len(images))
    return (torch.cat([tinted, pixels[:, 3:]], 1) * 255).round().byte().permute(0, 2, 3, 1)


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_oklab_and_back(srgb: tuple[int, int, int]) -> None:
    """Every colour of a screen comes back to within half a step of 255."""
    values = torch.tensor(srgb, dtype=torch.float32)[None, :, None] / 255
    assert torch.allclose(to_srgb(to_oklab(values)), values, atol=0.5 / 255)


def test_the_names_agree_with_the_css_colours() -> None:
    """`darkorange` is an orange, `lightpink` a pink; the names with two of our words, or with none, are left out."""
    wrong = {}
    for name in ImageColor.colormap:
        words = [word for word in WORDS if word in name.replace("gray", "grey")]
        if len(words) == 1 and name not in DISPUTED:
            called = name_colour(ImageColor.getrgb(name)[:3])
            wrong |= {name: called} if called != words[0] else {}
    assert not wrong


def test_anchors_and_backgrounds_are_called_by_their_words() -> None:
    """What a caption says about a background or a recoloured thing is what the eye would call it."""
    assert {word: name_colour(colour.srgb) for word, colour in COLOURS.items()} == {word: word for word in WORDS}
    assert {word: name_colour(srgb) for word, (_, srgb) in BACKGROUNDS.items()} == {word: word for word in BACKGROUNDS}


APPLE = (
    '<circle cx="32" cy="36" r="24" fill="#e03030"/><circle cx="24" cy="28" r="6" fill="#ff8080"/>'
    '<circle cx="32" cy="36" r="24" fill="none" stroke="#202020" stroke-width="6"/>'
    '<ellipse cx="44" cy="10" rx="8" ry="5" fill="#40a040"/>'
)


@pytest.mark.parametrize("word", WORDS)
def test_the_body_takes_the_colour_and_the_rest_keeps_its_own(word: str) -> None:
    """Outline stays dark, leaf stays green, the lit part stays lighter than the body, clear pixels stay clear."""
    before = drawn(APPLE)
    after = painted(before, word)
    assert dominant(after) == [word]
    assert name_colour(after[0, 5, 22, :3].tolist()) == "green"
    assert int(after[0, 18, 4, :3].max()) < 90
    assert int(after[0, 14, 12, :3].sum()) > int(after[0, 22, 16, :3].sum())
    assert torch.equal(after[..., 3], before[..., 3])


def test_what_has_no_colour_of_its_own_is_left_alone() -> None:
    """Four quarters of four colours: no word is true of it; one disc: its word is."""
    quarters = "".join(
        f'<rect x="{x}" y="{y}" width="32" height="32" fill="{fill}"/>'
        for x, y, fill in ((0, 0, "#e03030"), (32, 0, "#3060e0"), (0, 32, "#f0d030"), (32, 32, "#30a040"))
    )
    (mixed,), (plain,) = looks(drawn(quarters)), looks(drawn('<circle cx="32" cy="32" r="28" fill="#3060e0"/>'))
    assert (mixed.natural, mixed.plain) == (None, False)
    assert (plain.natural, plain.plain) == ("blue", True)


def test_a_black_drawing_is_black_and_not_all_outline() -> None:
    """Dark pixels are outlines only beside something else."""
    (found,) = looks(drawn('<circle cx="32" cy="32" r="26" fill="#1c1c20"/>'))
    assert found.natural == "black"
    outlined = '<circle cx="32" cy="32" r="26" fill="#f4f4f4" stroke="#101010" stroke-width="3"/>'
    assert looks(drawn(outlined))[0].natural == "white"


@pytest.mark.skipif(not (BUILT / "build.json").is_file(), reason="the data set is not built")
def test_recoloured_drawings_are_called_by_their_word(capsys: pytest.CaptureFixture[str]) -> None:
    """At least 95 of 100 of the real drawings that may be recoloured, in every one of the eleven colours."""
    rows = [json.loads(line) for line in (BUILT / "sprites.jsonl").read_text(encoding="utf-8").splitlines()]
    chosen = [row["i"] for row in rows if row["caption_en"] in CONCEPTS][::6]
    images = torch.from_numpy(np.load(BUILT / "sprites.npy", mmap_mode="r", allow_pickle=False)[chosen])[:, ::2, ::2]
    images = images[[look.plain for look in looks(images)]]
    right = {word: np.mean([found == word for found in dominant(painted(images, word))]) for word in WORDS}
    with capsys.disabled():
        print(f"\n{len(images)} drawings:", ", ".join(f"{word} {share:.3f}" for word, share in right.items()))
    assert len(images) > 100
    assert min(right.values()) > 0.9
    assert np.mean(list(right.values())) >= 0.95
