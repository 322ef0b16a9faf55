"""Pictures traced into SVG."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import pytest
from PIL import Image, ImageDraw

from daguerre.models.provenance.metadata import encode_png
from daguerre.queue.pictures import traced

SVG = "{http://www.w3.org/2000/svg}"


def a_picture(*, clear: bool = False, prompt: str = "") -> bytes:
    """A red disc with a blue square on it, softly drawn, on white or on nothing; 128 px."""
    large = Image.new("RGBA", (512, 512), (255, 255, 255, 0 if clear else 255))
    pen = ImageDraw.Draw(large)
    pen.ellipse((80, 80, 432, 432), fill=(200, 20, 30, 255))
    pen.rectangle((200, 200, 312, 312), fill=(20, 40, 200, 255))
    return encode_png(large.resize((128, 128), Image.Resampling.LANCZOS), {"Description": prompt})


def colours(svg: bytes) -> list[tuple[int, int, int]]:
    found = re.findall(r'fill="#([0-9A-F]{6})"', svg.decode())
    return [(int(each[:2], 16), int(each[2:4], 16), int(each[4:], 16)) for each in found]


def near(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) < 24


@pytest.mark.parametrize("clear", [False, True])
def test_flat_shapes_become_few_paths(clear: bool) -> None:
    """Its own colours and hardly anything else; nothing is drawn where the picture shows nothing."""
    svg = traced(a_picture(clear=clear))
    root = ElementTree.fromstring(svg)
    assert (root.tag, root.get("width"), root.get("viewBox")) == (f"{SVG}svg", "128", "0 0 512 512")
    shown = colours(svg)
    for meant in ((200, 20, 30), (20, 40, 200)):
        assert any(near(each, meant) for each in shown), meant
    assert any(near(each, (255, 255, 255)) for each in shown) is not clear
    assert len(shown) <= 12
    assert len(svg) < 20_000


def test_an_svg_says_what_its_picture_says() -> None:
    """Prompt as its title, whatever a member typed, and the record that a trained model made it."""
    prompt = 'a </title><script>alert("1")</script> & \x07 cat'
    root = ElementTree.fromstring(traced(a_picture(prompt=prompt)))
    assert root.findtext(f"{SVG}title") == prompt.replace("\x07", " ")
    assert not list(root.iter(f"{SVG}script"))
    assert b"trainedAlgorithmicMedia" in ElementTree.tostring(root)


@pytest.mark.parametrize("size", [(16, 16), (64, 256), (2048, 1024)])
def test_any_shape_can_be_traced(size: tuple[int, int]) -> None:
    """Small ones, long ones, large ones."""
    buffer = io.BytesIO()
    Image.effect_noise(size, 80).convert("RGB").save(buffer, "PNG")
    root = ElementTree.fromstring(traced(buffer.getvalue()))
    assert (root.get("width"), root.get("height")) == (str(size[0]), str(size[1]))
