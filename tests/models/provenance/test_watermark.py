"""The watermark is read again after re-encoding and resizing, cannot be seen, and is found in nothing else.

Pictures are drawn by a program: flat grounds with sharp shapes, as the model's are, and noise. The figures over 500
rendered pictures and scenes stand in docs/safety.md.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from shapekit import drawn

from daguerre.models.provenance import watermark

JOB = 0x19F0_1234_5678_9ABC


def encoded(picture: Image.Image, kind: str, **how: Any) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, kind, **how)
    return Image.open(io.BytesIO(file.getvalue()))


def half(picture: Image.Image) -> Image.Image:
    return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BICUBIC)


ATTACKS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda picture: picture,
    "JPEG": lambda picture: encoded(picture, "JPEG", quality=85),
    "WebP": lambda picture: encoded(picture, "WEBP", quality=85),
    "half": half,
    "half, then JPEG": lambda picture: encoded(half(picture), "JPEG", quality=85),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_mark_survives(attack: str) -> None:
    """Eight pictures of 512 pixels each."""
    read = [watermark.read(ATTACKS[attack](watermark.embed(drawn(number), JOB + number))) for number in range(8)]
    assert read == [JOB + number for number in range(8)]


def test_a_mark_cannot_be_seen() -> None:
    """Peak signal-to-noise ratio of 40 dB and more, and no pixel moved by more than a tenth of the range."""
    for number in range(8):
        picture = drawn(number)
        change = np.asarray(watermark.embed(picture, JOB), dtype=float) - np.asarray(picture, dtype=float)
        assert 10 * np.log10(255**2 / (change**2).mean()) > 40
        assert np.abs(change).max() <= watermark.LOUDEST


@pytest.mark.parametrize("side", [128, 256, 1024])
def test_other_sizes_and_shapes_carry_marks(side: int) -> None:
    """From 128 pixels up, wide ones too, after the JPEG that Discord's fallback makes."""
    for size in ((side, side), (side, side // 2)):
        marked = watermark.embed(drawn(3, side).resize(size), JOB)
        assert watermark.read(encoded(marked, "JPEG", quality=85)) == JOB


def test_marks_are_found_in_the_parts_of_a_grid() -> None:
    """Four marked pictures side by side are one file."""
    grid = Image.new("RGB", (1024, 1024))
    for place in range(4):
        grid.paste(watermark.embed(drawn(place), JOB + place), (512 * (place % 2), 512 * (place // 2)))
    assert watermark.read(encoded(grid, "JPEG", quality=85)) == JOB


def test_transparent_pictures_keep_their_transparency() -> None:
    picture = drawn(5, mode="RGBA")
    alpha = Image.new("L", picture.size, 255)
    ImageDraw.Draw(alpha).rectangle((0, 0, 100, 511), fill=0)
    picture.putalpha(alpha)
    marked = watermark.embed(picture, JOB)
    assert marked.getchannel("A").tobytes() == alpha.tobytes()
    assert watermark.read(encoded(marked, "PNG")) == JOB


def test_nothing_is_found_where_there_is_no_mark() -> None:
    """Drawings, noise, flat pictures and other keys: none of 200."""
    dice = np.random.default_rng(1)
    pictures = [drawn(number, 128) for number in range(80)]
    pictures += [Image.fromarray(dice.integers(0, 256, (128, 128, 3), dtype=np.uint8)) for _ in range(40)]
    pictures += [Image.new("RGB", (128, 128), (shade, shade, shade)) for shade in range(0, 250, 5)]
    pictures += [watermark.embed(drawn(number, 128), JOB, key=b"another") for number in range(30)]
    assert len(pictures) == 200
    assert [watermark.read(picture) for picture in pictures] == [None] * 200


def test_a_picture_without_room_stays_as_it_is() -> None:
    picture = drawn(1, 48)
    assert watermark.embed(picture, JOB).tobytes() == picture.tobytes()


@pytest.mark.parametrize("number", [0, 1, 2**64 - 1])
def test_any_number_of_64_bits_is_carried(number: int) -> None:
    assert watermark.read(watermark.embed(drawn(2, 256), number)) == number
