"""What is left out, how drawings become squares, and the words that file names and titles become."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daguerre.models.data import clipart, icons, tiles
from daguerre.models.data.aliases import alias
from daguerre.models.data.clean import NearDuplicates, reason_against, reason_against_emoji, unsafe
from daguerre.models.data.credits import END, updated, write_credits
from daguerre.models.data.emoji import spoken
from daguerre.models.data.firstlight import CONCEPTS
from daguerre.models.data.raster import BATCH, How, draw_all, drawing_pool, fit, rasterise
from daguerre.models.errors import DataError


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("flag-for-france", "flag"),
        ("letter-a", "letters"),
        ("keycap-7", "letters"),
        ("uv-index-10", "letters"),
        ("cook-medium-skin-tone", "skin tone"),
        ("google-logo", "brand"),
        ("steam", "brand"),
        ("steam-locomotive", None),
        ("apple", None),
        ("windows", None),
        ("flagstone", None),
    ],
)
def test_names_of_what_is_left_out(name: str, reason: str | None) -> None:
    """Whole words, so that apples and windows stay."""
    assert reason_against(name) == reason


def test_no_concept_of_the_shipped_model_is_left_out() -> None:
    """Cleaning must not take away what weights were trained on."""
    assert not [label for label in CONCEPTS if reason_against_emoji(label) or unsafe(label)]


def test_unsafe_words_count_as_whole_words() -> None:
    """`essex` and `cocktail` are no reason."""
    assert unsafe("a Sexy lady", "tag")
    assert unsafe("leaf", "cannabis")
    assert not unsafe("Essex map", "cocktail", "grape", "therapist")


def square(colour: tuple[int, int, int, int], left: int = 8) -> np.ndarray:
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[8:24, left : left + 16] = colour
    return pixels


def test_near_duplicates_are_those_nobody_could_tell_apart() -> None:
    """A slightly other red repeats; another colour, another place, and invisible colours do not count as equal."""
    seen = NearDuplicates()
    assert not seen.repeats(square((255, 0, 0, 255)))
    assert seen.repeats(square((250, 4, 0, 255)))
    assert not seen.repeats(square((0, 0, 255, 255)))
    assert not seen.repeats(square((255, 0, 0, 255), left=0))
    # White on clear differs from nothing at all only in alpha.
    assert not seen.repeats(square((255, 255, 255, 255)))
    hidden = square((255, 0, 0, 255))
    hidden[:4, :4, :3] = 77
    assert seen.repeats(hidden)
    for shade in range(300):
        seen.repeats(np.full((32, 32, 4), (shade % 256, shade // 2, 9, 255), np.uint8))
    assert seen.repeats(square((0, 0, 255, 255)))


def test_pixel_art_is_enlarged_without_smoothing(tmp_path: Path) -> None:
    """Each pixel becomes a block of its own colour."""
    tile = np.random.default_rng(1).integers(0, 256, (32, 32, 4), np.uint8)
    tile[..., 3] = 255
    Image.fromarray(tile).save(tmp_path / "tile.png")
    drawn = rasterise(tmp_path / "tile.png", 64, How(64, pixel_art=True))
    assert drawn is not None
    assert np.array_equal(drawn, tile.repeat(2, 0).repeat(2, 1))


def test_clip_art_is_cut_to_what_is_visible() -> None:
    """A small thing on a large sheet fills the picture, and is drawn anew for it, not enlarged."""
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 60" width="100mm" height="60mm">'
        '<rect x="70" y="40" width="20" height="10" fill="#00ff00"/></svg>'
    )
    loose, tight = rasterise(svg, 32), rasterise(svg, 32, How(32, trim=True))
    assert loose is not None
    assert tight is not None
    assert (loose[..., 3] > 127).mean() < 0.05
    rows, columns = np.nonzero(tight[..., 3] > 127)
    assert columns.max() - columns.min() >= 28
    assert 13 <= rows.max() - rows.min() + 1 <= 16
    assert abs(rows.mean() - 15.5) < 1
    assert abs(columns.mean() - 15.5) < 1


def test_padding_and_cropping() -> None:
    """Padding keeps everything, cropping fills the square with the middle."""
    wide = Image.new("RGBA", (40, 20), (255, 0, 0, 255))
    padded, cropped = np.asarray(fit(wide, 20)), np.asarray(fit(wide, 20, crop=True))
    assert (padded[0, :, 3] == 0).all()
    assert (padded[10, :, 3] == 255).all()
    assert (cropped[..., 3] == 255).all()


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (icons.caption_of("gift-reciept-2-duo"), "gift receipt"),
        (icons.caption_of("left-up2"), "left up"),
        (tiles.caption_of("orc_warrior2", ""), "orc warrior"),
        (tiles.caption_of("gem_bronze", "wand"), "bronze wand"),
        (tiles.caption_of("scroll-grey", ""), "grey scroll"),
        (tiles.caption_of("statue_of_liberty", ""), "statue of liberty"),
        (tiles.caption_of("07", "gold coins"), "gold coins"),
        (clipart.caption_of("Pin green", "x"), "green pin"),
        (clipart.caption_of("AfricanDrum3", "x"), "african drum"),
        (clipart.caption_of("Clipart by Nicu Buculei - antenna", "printer"), "printer"),
        (clipart.caption_of("Various Cliparts", "igloo"), "igloo"),
        (alias("clock11oclock", "firefox"), "eleven o’clock"),
        (alias("bunny", "firefox"), "rabbit face"),
        (alias("bunny", "noto"), None),
        (spoken("blackskull-crossbones-2", frozenset({"black", "skull", "cross", "bones", "crossbones"})),
         "black skull crossbones"),
        (spoken("blackskullx", frozenset({"black", "skull"})), None),
    ],
)  # fmt: skip
def test_names_become_words(made: str | None, expected: str | None) -> None:
    """Numbers, spelling, the names of artists and of collections are no part of a caption."""
    assert made == expected


def test_credits_are_those_of_the_sources(tmp_path: Path) -> None:
    """The committed file is what `daguerre data credits` writes; every released source is in it."""
    committed = (Path(__file__).parents[3] / "CREDITS.md").read_text(encoding="utf-8")
    assert updated(committed) == committed
    file = tmp_path / "CREDITS.md"
    file.write_text(committed.replace("| Google | Apache-2.0 |", "| Google | MIT |"), encoding="utf-8")
    assert write_credits(file)
    assert file.read_text(encoding="utf-8") == committed
    assert not write_credits(file)
    file.write_text(committed.replace(END, ""), encoding="utf-8")
    with pytest.raises(DataError, match="Put the lines"):
        write_credits(file)


def test_a_drawing_that_ends_its_process_is_told() -> None:
    """A crash of the rasteriser, as the system's killer of memory hogs would cause it, is no traceback of a pool."""
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="8" height="8"/></svg>'
    with drawing_pool(1) as pool:
        drawn = draw_all([svg] * (BATCH + 1), How(8), pool)
        assert next(drawn) is not None
        for child in multiprocessing.active_children():
            child.kill()
        with pytest.raises(DataError, match="ended the process"):
            list(drawn)
