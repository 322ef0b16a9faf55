"""Any folder of pictures becomes a sprite set; whatever is wrong with it is said in one error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from daguerre.models.data.build import load
from daguerre.models.data.importer import caption_of, import_folder
from daguerre.models.errors import DataError

RED, GREEN = (200, 30, 30), (30, 200, 30)


def picture(file: Path, size: tuple[int, int] = (40, 20), colour: tuple[int, ...] = RED, mode: str = "RGB") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(file)


def described(folder: Path, lines: list[Any]) -> None:
    text = "\n".join(each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in lines)
    (folder / "metadata.jsonl").write_text(text + "\n", encoding="utf-8")


def brought(folder: Path, out: Path, **options: Any) -> Any:
    return import_folder(folder, out, size=16, report=print, processes=0, **options)


def test_captions_come_from_the_metadata(tmp_path: Path) -> None:
    """Any format, mode and size; other languages and folders are kept; the set opens like a built one."""
    own = tmp_path / "own"
    picture(own / "a.png")
    picture(own / "cats" / "b.jpg", (300, 500), GREEN)
    picture(own / "c.gif", mode="P")
    picture(own / "d.tiff", mode="CMYK")
    described(
        own,
        [
            {"file_name": "a.png", "text": "a  red\nthing", "text_zh": "红的"},
            {"file_name": "cats/b.jpg", "text": "a green cat"},
            "",
            {"file_name": "c.gif", "text": "palette"},
            {"file_name": "d.tiff", "text": "print"},
        ],
    )
    brought(own, tmp_path / "out", licence="CC0-1.0", tier="A")
    sprites = load(tmp_path / "out")
    assert sprites.images.shape == (4, 16, 16, 4)
    assert [row["caption_en"] for row in sprites.rows] == ["a red thing", "a green cat", "palette", "print"]
    assert sprites.rows[0]["caption_zh"] == "红的"
    assert sprites.rows[1]["category"] == "cats"
    assert {(row["source"], row["kind"], row["licence"], row["tier"]) for row in sprites.rows} == {
        ("own", "picture", "CC0-1.0", "A")
    }
    # Padded: clear above, red in the middle.
    assert tuple(sprites.images[0, 0, 8]) == (0, 0, 0, 0)
    assert tuple(sprites.images[0, 8, 8]) == (*RED, 255)


def test_captions_come_from_file_names_otherwise(tmp_path: Path) -> None:
    """Numbers that only tell files apart are no words."""
    own = tmp_path / "own"
    for name in ("red_apple-02.png", "red apple (1).png", "blue-car.webp"):
        picture(own / name)
    (own / "notes.txt").write_text("not a picture")
    assert [row["caption_en"] for row in brought(own, tmp_path / "out").rows] == ["blue car", "red apple", "red apple"]
    assert caption_of("小猫_3") == "小猫"
    picture(own / "0001.png")
    with pytest.raises(DataError, match=r"0001\.png: the file name has no words"):
        brought(own, tmp_path / "out")


def test_cropping_fills_the_square(tmp_path: Path) -> None:
    """The middle is kept."""
    picture(tmp_path / "own" / "wide.png")
    assert (brought(tmp_path / "own", tmp_path / "out", crop=True).images[..., 3] == 255).all()


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Two good pictures among everything that goes wrong."""
    own = tmp_path / "own"
    for name in ("good.png", "also.png", "no text.png", "empty.png", "number.png"):
        picture(own / name)
    (own / "torn.png").write_bytes((own / "good.png").read_bytes()[:40])
    (own / "fake.jpg").write_text("no picture")
    picture(tmp_path / "outside.png")
    described(
        own,
        [
            {"file_name": "good.png", "text": "good"},
            {"file_name": "missing.png", "text": "missing"},
            {"file_name": "no text.png"},
            {"file_name": "empty.png", "text": "  "},
            '{"file_name": "good.png", "text": ',
            {"file_name": "good.png", "text": "again"},
            {"file_name": "number.png", "text": 5},
            {"file_name": "../outside.png", "text": "outside"},
            '["good.png", "good"]',
            {"text": "nameless"},
            {"file_name": "also.png", "text": "also good"},
            *({"file_name": f"gone{n}.png", "text": "gone"} for n in range(5)),
        ],
    )
    return own


def test_holes_in_the_captions_are_listed_with_their_lines(tmp_path: Path, broken: Path) -> None:
    """The first ten, and how many more; nothing is written."""
    with pytest.raises(DataError) as caught:
        brought(broken, tmp_path / "out")
    text = str(caught.value)
    assert text.startswith("14 problems")
    assert "--skip-broken" in text
    for line in (
        'line 2: there is no file "missing.png"',
        'line 3: no "text"',
        'line 4: "text" is empty',
        "line 5: not JSON",
        'line 6: "good.png" is named in line 1 already',
        'line 7: "text" is no text',
        'line 8: "../outside.png" lies outside the folder',
        "line 9: not a JSON object",
        'line 10: no "file_name"',
        "line 12:",
    ):
        assert line in text
    assert "line 13:" not in text
    assert "and 4 more" in text
    assert not (tmp_path / "out").exists()


def test_broken_ones_can_be_skipped(tmp_path: Path, broken: Path) -> None:
    """The good ones come in, and the report counts the others."""
    said: list[str] = []
    sprites = import_folder(broken, tmp_path / "out", size=16, skip_broken=True, report=said.append, processes=0)
    assert [row["caption_en"] for row in sprites.rows] == ["good", "also good"]
    assert "2 pictures imported, 14 skipped" in said[0]
    assert "pictures without a caption left out" in said[0]


def test_damaged_pictures_are_told_like_holes(tmp_path: Path) -> None:
    """Torn files, files that are no pictures, and pictures of nothing; a bad import leaves no set behind."""
    own = tmp_path / "own"
    picture(own / "good.png", (400, 400))
    (own / "torn.png").write_bytes((own / "good.png").read_bytes()[:60])
    (own / "fake.jpg").write_text("no picture")
    Image.new("RGBA", (9, 9)).save(own / "clear.png")
    with pytest.raises(DataError) as caught:
        brought(own, tmp_path / "out")
    assert str(caught.value).startswith("3 problems")
    assert all(name in str(caught.value) for name in ("torn.png", "fake.jpg", "clear.png"))
    with pytest.raises(DataError, match="No data set"):
        load(tmp_path / "out")
    assert len(brought(own, tmp_path / "out", skip_broken=True).rows) == 1


def test_importing_again_does_nothing_until_something_changes(tmp_path: Path) -> None:
    """A caption that changed, or a picture that was added, is a change."""
    own = tmp_path / "own"
    picture(own / "a.png")
    said: list[str] = []
    for expected in (1, 1):
        import_folder(own, tmp_path / "out", size=16, report=said.append, processes=0)
        assert len(said) == expected
    described(own, [{"file_name": "a.png", "text": "another"}])
    assert (
        import_folder(own, tmp_path / "out", size=16, report=said.append, processes=0).rows[0]["caption_en"]
        == "another"
    )
    assert len(said) == 2


@pytest.mark.parametrize("missing", ["nothing", "empty"])
def test_a_folder_without_pictures_is_refused(tmp_path: Path, missing: str) -> None:
    """Whether it is not there or has none."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no folder|No pictures"):
        brought(tmp_path / missing, tmp_path / "out")


def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    """EXIF orientation 6: a quarter turn to the right."""
    own = tmp_path / "own"
    own.mkdir()
    photograph = Image.new("RGB", (40, 40), RED)
    photograph.paste(GREEN, (0, 0, 20, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph.save(own / "turned.png", exif=exif)
    image = brought(own, tmp_path / "out").images[0]
    assert np.array_equal(image[3, 8, :3], GREEN)
    assert np.array_equal(image[12, 8, :3], RED)
