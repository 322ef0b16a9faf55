"""Every kind of picture and mask that phones and editors write, as members bring them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from daguerre.queue.errors import InvalidPicture
from daguerre.queue.pictures.uploads import LONGEST, clean, mask, size_of


def file(one: Image.Image, kind: str = "PNG", **settings: Any) -> bytes:
    written = io.BytesIO()
    one.save(written, kind, **settings)
    return written.getvalue()


def kept(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(clean(data)))
    assert picture.format == "WEBP"
    assert not picture.getexif()
    assert getattr(picture, "n_frames", 1) == 1
    assert size_of(clean(data)) == picture.size
    picture.load()
    return picture


def refused(data: bytes) -> str:
    with pytest.raises(InvalidPicture) as refusal:
        clean(data)
    return refusal.value.kind


def ramp(width: int = 256, height: int = 16) -> np.ndarray[Any, Any]:
    """From black to white, 16 bits."""
    return np.tile(np.linspace(0, 65_535, width).astype(np.uint16), (height, 1))


def test_greyscale_of_16_bits_keeps_its_greys() -> None:
    """Not white from a 256th on: each value at its place, within one step."""
    shown = np.asarray(kept(file(Image.fromarray(ramp()))).convert("L")).astype(int)
    assert np.abs(shown[0] - np.linspace(0, 255, 256)).max() <= 1


def test_greyscale_of_16_bits_with_a_colour_key() -> None:
    """The one value that stands for nothing is transparent, its neighbours are not."""
    pixels = np.full((16, 16), 1_000, np.uint16)
    pixels[4:8] = 1_001
    shown = kept(file(Image.fromarray(pixels), transparency=1_001))
    assert np.asarray(shown.convert("RGBA"))[:, 0, 3].tolist() == [255] * 4 + [0] * 4 + [255] * 8


def test_an_eight_pixel_picture() -> None:
    """Pixel art is a picture: its colours are kept as they are."""
    pixels = np.random.default_rng(1).integers(0, 255, (8, 8, 3), np.uint8)
    assert np.array_equal(np.asarray(kept(file(Image.fromarray(pixels)))), pixels)


@pytest.mark.parametrize(("size", "shorter"), [((20_000, 16), 12), ((16, 20_000), 12), ((9_000, 600), 64)])
def test_a_panorama_keeps_its_shorter_side(size: tuple[int, int], shorter: int) -> None:
    """It is not made into a line: stripes along it are still there."""
    picture = Image.new("RGB", size, "red")
    ImageDraw.Draw(picture).rectangle((0, 0, size[0] // (1 if size[0] > size[1] else 2) - 1,
                                       size[1] // (2 if size[0] > size[1] else 1) - 1), fill="blue")  # fmt: skip
    shown = kept(file(picture)).convert("RGB")
    assert min(shown.size) >= shorter
    assert max(shown.size) >= LONGEST
    assert shown.getpixel((1, 1)) == (0, 0, 255)
    assert shown.getpixel((shown.width - 2, shown.height - 2)) == (255, 0, 0)


@pytest.mark.parametrize("size", [(8_064, 6_048), (12_000, 9_000)])
def test_a_phones_picture_is_decoded_at_the_size_that_is_needed(size: tuple[int, int]) -> None:
    """48 and 108 megapixels, upright by EXIF, without the memory of all of them."""
    picture = Image.new("L", size, 40)
    ImageDraw.Draw(picture).rectangle((0, 0, size[0] // 2, size[1]), fill=220)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = file(picture, "JPEG", quality=60, exif=exif)
    assert len(data) < 2 * 2**20
    shown = kept(data)
    assert shown.size == (768, 1024)
    grey = shown.convert("L")
    assert abs(grey.getpixel((400, 200)) - 220) < 4
    assert abs(grey.getpixel((400, 900)) - 40) < 4


def test_too_many_pixels_are_told_apart_from_too_many_bytes() -> None:
    """Of a JPEG that is too large even so, and of a progressive one, which costs all of its memory."""
    head = bytearray(file(Image.new("L", (8, 8)), "JPEG"))
    at = head.index(b"\xff\xc0")
    head[at + 5 : at + 9] = (20_000).to_bytes(2, "big") * 2
    assert refused(bytes(head)) == "pixels"
    head = bytearray(file(Image.new("L", (8, 8)), "JPEG", progressive=True))
    at = head.index(b"\xff\xc2")
    head[at + 5 : at + 9] = (8_000).to_bytes(2, "big") * 2
    assert refused(bytes(head)) == "pixels"


def test_cmyk() -> None:
    """Print colours become those of the screen."""
    red, _, blue = kept(file(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "JPEG", quality=95)).getpixel((9, 9))[:3]
    assert (red > 230, blue < 40) == (True, True)


def test_palettes_with_several_alphas() -> None:
    """A palette where each colour has its own transparency."""
    picture = Image.new("P", (16, 16), 0)
    picture.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200] + [0] * 759)
    picture.paste(1, (0, 4, 16, 8))
    picture.paste(2, (0, 8, 16, 16))
    shown = kept(file(picture, transparency=bytes([0, 128, 255]))).convert("RGBA")
    assert [shown.getpixel((3, y))[3] for y in (1, 5, 12)] == [0, 128, 255]
    assert shown.getpixel((3, 12)) == (0, 0, 200, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA"])
def test_every_mode_of_png(mode: str) -> None:
    """Whatever an editor writes, white stays white."""
    white = Image.new("RGBA", (16, 16), "white").convert("P" if mode == "PA" else mode)
    assert kept(file(white.convert("RGBA") if mode == "PA" else white)).convert("RGB").getpixel((3, 3)) == (255,) * 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_way_to_hold_a_phone(orientation: int) -> None:
    """All eight orientations of EXIF end with the same corner at the top left, in every format that has them."""
    upright = Image.new("RGB", (48, 32), "black")
    upright.paste("white", (0, 0, 24, 16))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind, settings in (("PNG", {}), ("JPEG", {"quality": 95}), ("WEBP", {"lossless": True}), ("AVIF", {})):
        shown = kept(file(stored, kind, exif=exif, **settings)).convert("L")
        assert shown.size == (48, 32), kind
        corners = [shown.getpixel(at) > 128 for at in ((4, 4), (43, 4), (4, 27), (43, 27))]
        assert corners == [True, False, False, False], kind


def test_avif() -> None:
    """Read like the others, with its transparency."""
    shown = kept(file(Image.new("RGBA", (64, 48), (200, 30, 30, 0)), "AVIF"))
    assert shown.size == (64, 48)
    assert shown.convert("RGBA").getpixel((9, 9))[3] == 0


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"hevc"])
def test_heic_is_refused_by_name(brand: bytes) -> None:
    """A phone's own format: the refusal says what it is, so that the member can send another."""
    assert refused(b"\x00\x00\x00\x18ftyp" + brand + b"\x00\x00\x00\x00mif1" + b"heic" + bytes(200)) == "heic"


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_of_every_animation_the_first_picture_counts(kind: str) -> None:
    """Whatever it is animated with."""
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("blue", "red", "lime")]
    data = file(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
    red, green, blue = kept(data).convert("RGB").getpixel((9, 9))
    assert (red < 30, green < 30, blue > 220) == (True, True, True)


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "PPM", "ICO"])
def test_other_formats_are_named_as_such(kind: str) -> None:
    """They are not called damaged or too large."""
    assert refused(file(Image.new("RGB", (32, 32)), kind)) == "no_picture"


def test_notes_do_not_pass() -> None:
    """Texts, profiles and EXIF stay behind."""
    notes = PngInfo()
    notes.add_text("Author", "Ada")
    shown = kept(file(Image.new("RGB", (32, 32)), pnginfo=notes, icc_profile=b"x" * 200))
    assert set(shown.info) <= {"loop", "background", "timestamp", "duration"}


# --- masks


def where(data: bytes, size: tuple[int, int] = (64, 64), **more: Any) -> np.ndarray[Any, Any]:
    """Where that mask has the picture drawn again."""
    shown = Image.open(io.BytesIO(mask(data, size, **more)))
    assert shown.size == size
    values = np.asarray(shown.convert("L"))
    assert set(np.unique(values)) <= {0, 255}
    return values == 255


def test_what_was_erased_is_drawn_again() -> None:
    """As every editor makes a mask: the picture with a hole in it, whatever colour lies below the hole."""
    for below in ((255, 255, 255, 0), (0, 0, 0, 0), (9, 90, 9, 40)):
        picture = Image.new("RGBA", (64, 64), (240, 240, 240, 255))
        picture.paste(below, (0, 0, 32, 64))
        again = where(file(picture))
        assert again[:, :32].all()
        assert not again[:, 32:].any()
    palette = Image.new("P", (64, 64), 1)
    palette.putpalette([255, 255, 255, 0, 0, 0] + [0] * 762)
    palette.paste(0, (0, 0, 32, 64))
    assert where(file(palette, transparency=0))[:, :32].all()


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "P", "I;16"])
def test_without_transparency_white_is_drawn_again(mode: str) -> None:
    """An alpha that is opaque everywhere says nothing; every way to write black and white is read."""
    picture = Image.new("L", (64, 64), 0)
    picture.paste(255, (0, 0, 32, 64))
    if mode == "I;16":
        data = file(Image.fromarray(np.asarray(picture).astype(np.uint16) * 257))
    else:
        data = file(picture.convert(mode))
    assert where(data)[:, :32].all()
    assert not where(data)[:, 32:].any()


@pytest.mark.parametrize("erased", [True, False])
def test_thin_lines_survive(erased: bool) -> None:
    """Lines of one pixel in a mask of 3000 × 2000 are all there at 64 × 64, and a single point too."""
    marks = np.zeros((2000, 3000), bool)
    marks[:, 700] = marks[1500, :] = True
    marks[10, 2990] = True
    if erased:
        pixels = np.full((2000, 3000, 4), 255, np.uint8)
        pixels[..., 3] = np.where(marks, 0, 255)
    else:
        pixels = np.where(marks, 255, 0).astype(np.uint8)
    again = where(file(Image.fromarray(pixels)))
    assert again[:, 700 * 64 // 3000].all()
    assert again[1500 * 64 // 2000, :].all()
    assert again[0, 63]
    assert again.sum() <= 64 + 64 + 1


def test_a_mask_is_stretched_and_grown_without_shifting() -> None:
    """Of another size and shape: the same part of the picture, to the pixel where it divides evenly."""
    picture = Image.new("L", (16, 8), 0)
    picture.paste(255, (0, 0, 4, 8))
    again = where(file(picture), (64, 64))
    assert again[:, :16].all()
    assert not again[:, 16:].any()


def test_the_other_way_round() -> None:
    """A layer with strokes on nothing means the strokes: the member turns it round."""
    layer = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    layer.paste((255, 0, 0, 255), (0, 0, 16, 64))
    assert not where(file(layer))[:, :16].any()
    turned = where(file(layer), swapped=True)
    assert turned[:, :16].all()
    assert not turned[:, 16:].any()


@pytest.mark.parametrize("colour", [0, 100])
def test_a_mask_that_says_nothing_is_refused(colour: int) -> None:
    """Nothing erased and nothing white: told before anything is drawn."""
    with pytest.raises(InvalidPicture) as refusal:
        mask(file(Image.new("L", (64, 64), colour)), (64, 64))
    assert refusal.value.kind == "mask_empty"
    with pytest.raises(InvalidPicture):
        mask(b"no picture", (64, 64))
