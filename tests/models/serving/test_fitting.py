"""Pictures and masks of another shape than the canvas: nothing is squashed, no line gets lost."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from daguerre.models.serving.fitting import drawn_again, laid_marks, lay, pooled, thin
from daguerre.models.serving.requests import Fit, Source
from daguerre.models.serving.sources import blend, canvas_of


def with_circle(size: tuple[int, int], radius: int = 25) -> Image.Image:
    """A black circle in the middle of white."""
    picture = Image.new("RGB", size, "white")
    middle, level = size[0] // 2, size[1] // 2
    box = (middle - radius, level - radius, middle + radius, level + radius)
    ImageDraw.Draw(picture).ellipse(box, fill="black")
    return picture


def sides_of_black(picture: Image.Image) -> tuple[int, int]:
    rows, columns = np.nonzero(np.asarray(picture.convert("L")) < 128)
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("size", [(200, 100), (100, 200), (400, 80), (101, 99)])
@pytest.mark.parametrize("canvas", [(128, 128), (192, 64), (64, 192)])
def test_a_circle_stays_a_circle(fit: Fit, size: tuple[int, int], canvas: tuple[int, int]) -> None:
    """Whatever shape it comes in and whatever shape is drawn: as wide as it is high, within what rounding does."""
    made = canvas_of(Source(with_circle(size), fit=fit), *canvas).picture
    assert made.size == canvas
    wide, high = sides_of_black(made)
    scale = max(canvas[0] / size[0], canvas[1] / size[1])
    # Larger than the canvas, it is cut by it.
    if fit == "pad" or 51 * scale < min(canvas):
        assert abs(wide - high) <= 2


def test_the_same_shape_is_used_whole() -> None:
    """Nothing is cut off and nothing is added where nothing has to be."""
    assert lay((300, 200), (192, 128), "crop") == ((0, 0, 300, 200), (0, 0, 192, 128))
    assert lay((300, 200), (192, 128), "pad") == ((0, 0, 300, 200), (0, 0, 192, 128))


def test_crop_takes_the_middle_and_pad_keeps_all() -> None:
    """A wide picture with a red left and a blue right end."""
    picture = Image.new("RGB", (400, 100), "white")
    picture.paste((255, 0, 0), (0, 0, 40, 100))
    picture.paste((0, 0, 255), (360, 0, 400, 100))
    cropped = np.asarray(canvas_of(Source(picture), 64, 64).picture)
    assert (cropped > 250).all()
    padded = np.asarray(canvas_of(Source(picture, fit="pad"), 64, 64).picture)
    assert padded[32, 2].tolist() == [255, 0, 0]
    assert padded[32, 61].tolist() == [0, 0, 255]
    # Beside it its edges go on.
    assert (padded[2] == padded[30]).all()


def test_a_panorama_and_a_point() -> None:
    """The odd ends of what can come: no side becomes nothing."""
    for size in ((16_383, 12), (12, 16_383), (4, 4)):
        for fit in ("crop", "pad"):
            made = canvas_of(Source(Image.new("RGB", size, "red"), fit=fit), 256, 64)
            assert made.picture.size == (256, 64)
            assert made.picture.getpixel((128, 32)) == (255, 0, 0)


def test_a_mask_goes_with_its_picture() -> None:
    """Stretched over the picture, then laid as it is; beside a padded picture everything is drawn."""
    marks = np.zeros((50, 100), bool)
    marks[:, 50:] = True
    cropped = laid_marks(marks, (200, 100), (64, 64), "crop")
    assert not cropped[:, :32].any()
    assert cropped[:, 32:].all()
    padded = laid_marks(marks, (200, 100), (64, 64), "pad")
    assert padded[:16].all()
    assert padded[48:].all()
    assert not padded[16:48, :32].any()
    assert padded[16:48, 32:].all()


def test_a_mask_by_erasing_is_read_the_right_way_round() -> None:
    """What is transparent is drawn again, also where the colour below it is black or white."""
    for below in (0, 255):
        mask = Image.new("RGBA", (64, 64), (255, 255, 255, 255))
        mask.paste((below, below, below, 0), (0, 0, 32, 64))
        canvas = canvas_of(Source(Image.new("RGB", (64, 64)), "inpaint", mask), 64, 64)
        assert canvas.mask is not None
        values = np.asarray(canvas.mask)
        assert (values[:, :32] == 255).all()
        assert (values[:, 32:] == 0).all()
    opaque = Image.new("RGBA", (8, 8), "black")
    opaque.paste((255, 255, 255, 255), (0, 0, 4, 8))
    assert drawn_again(opaque)[:, :4].all()
    assert not drawn_again(opaque)[:, 4:].any()


def test_thin_lines_of_a_mask_are_drawn() -> None:
    """From the mask at 1000 × 1000 to what is put into the picture at 64 × 64."""
    mask = Image.new("L", (1000, 1000))
    ImageDraw.Draw(mask).line((300, 0, 300, 999), fill=255)
    old, new = Image.new("RGB", (64, 64), "white"), Image.new("RGB", (64, 64), "red")
    canvas = canvas_of(Source(old, "inpaint", mask), 64, 64)
    assert canvas.mask is not None
    made = np.asarray(blend(old, new, canvas.mask))
    assert (made[:, 300 * 64 // 1000] == (255, 0, 0)).all()
    assert (made[:, :19] == 255).all()
    assert (made[:, 20:] == 255).all()


def test_thick_parts_keep_their_soft_edge() -> None:
    """A square fades in over some pixels, and reaches the new picture inside; a line beside it is new at once."""
    mask = Image.new("L", (256, 256))
    mask.paste(255, (32, 32, 160, 160))
    mask.paste(255, (200, 0, 203, 256))
    old, new = Image.new("RGB", (256, 256), "black"), Image.new("RGB", (256, 256), "white")
    made = np.asarray(blend(old, new, mask))[100, :, 0].astype(int)
    assert made[31] == 0
    assert 0 < made[33] < made[36] < made[44] == 255
    assert made[199:204].tolist() == [0, 255, 255, 255, 0]


def test_pooling_loses_nothing() -> None:
    """Each true one is in the place where it falls, and nothing else is."""
    marks = np.zeros((97, 61), bool)
    marks[96, 60] = marks[0, 0] = marks[50, 20] = True
    small = pooled(marks, (16, 8))
    assert np.argwhere(small).tolist() == [[0, 0], [50 * 8 // 97, 20 * 16 // 61], [7, 15]]
    assert (pooled(np.eye(4, dtype=bool), (8, 8)) == np.kron(np.eye(4), np.ones((2, 2))).astype(bool)).all()


def test_what_is_thin() -> None:
    """What no square of the size fits into; the border of the picture makes nothing thin."""
    marks = np.zeros((40, 40), bool)
    marks[:, :10] = True
    marks[20, :] = True
    found = thin(marks, 3)
    assert not found[:, :10].any()
    assert found[20, 10:].all()
    assert found.sum() == 30
