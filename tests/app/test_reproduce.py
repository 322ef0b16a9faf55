"""`daguerre reproduce` on files that the handler wrote."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from toyweights import write_toy_weights

from daguerre.app.config import load
from daguerre.app.errors import Refused
from daguerre.app.finishing import Finisher
from daguerre.app.making import MAKING, Making
from daguerre.app.render import ask_of, files_of
from daguerre.app.reproduce import compare, read_picture, reproduce
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.previews import drawing
from daguerre.queue.records.requests import image_request

JOB = "00ff00ff00ff00ff0000000000000000"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    made = Engine(write_toy_weights(tmp_path_factory.mktemp("weights") / "toy"), device="cpu")
    made.load()
    return made


def stored(engine: Engine, folder: Path, number: int = 0, *, watermark: bool = False, **fields: object) -> Path:
    asked = {"prompt": "a red apple", "seed": 5, "count": 2, "steps": 3, "width": 256, "height": 256} | fields
    request = image_request(**asked)
    files = {"it": source()}
    drawn = engine.draw(ask_of(request, files))
    made, _ = files_of(drawn, request, Finisher(watermark=watermark), JOB)
    file = folder / "picture.png"
    file.write_bytes(made[number])
    return file


def source() -> bytes:
    file = io.BytesIO()
    drawing(64, 1).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"number": 1, "chaos": 40, "watermark": True, "label": True},
        {"transparent": True, "tile": True, "stop": 50},
        {"source": {"picture": "it", "strength": 0.5}, "number": 1},
    ],
)
def test_a_picture_is_made_again_to_the_last_pixel(engine: Engine, tmp_path: Path, fields: dict[str, object]) -> None:
    """From its file alone, by another engine; label and watermark included."""
    old, making = read_picture(stored(engine, tmp_path, **fields))  # pyright: ignore[reportArgumentType]
    other = Engine(engine.weights, device="cpu")
    other.load()
    verdict = compare(other, old, making, {"it": source()})
    assert verdict.identical, verdict
    assert verdict.lines() == ("identical: every pixel is the same",)


def test_a_changed_picture_is_told_apart_and_what_is_another_is_named(engine: Engine, tmp_path: Path) -> None:
    """One pixel is enough; digests and versions that differ are the reasons."""
    old, making = read_picture(stored(engine, tmp_path))
    red, *rest = old.getpixel((7, 9))  # pyright: ignore
    old.putpixel((7, 9), (red + 3 if red < 128 else red - 3, *rest))
    verdict = compare(engine, old, making, {})
    assert (verdict.identical, verdict.largest) == (False, 3)
    assert verdict.lines()[1] == "because the file was changed after it was made"
    elsewhere = replace(making, engine={**making.engine, "model_digest": "0" * 64, "torch": "1.0"})
    lines = compare(engine, old, elsewhere, {}).lines()
    assert lines[1].startswith("because the model is another: 000000000000… then")
    assert "because the version of torch is another: 1.0 then" in lines[2]


def test_the_engine_computes_as_it_did_then(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same numbers, compiled or not, whatever the settings say now; where it cannot, that is the reason."""
    asked: list[dict[str, object]] = []

    def loaded(*_: object, **wanted: object) -> Engine:
        asked.append(wanted)
        return engine

    monkeypatch.setattr("daguerre.app.reproduce.load_engine", loaded)
    configuration = load(None)
    file = stored(engine, tmp_path)
    assert reproduce(configuration, file).identical
    picture, making = read_picture(file)
    notes = PngInfo()
    notes.add_text(MAKING, replace(making, engine={**making.engine, "compiled": True}).text())
    picture.save(file, pnginfo=notes)
    assert reproduce(configuration, file).lines()[1:] == (
        "although whether the network was compiled is another: True then, none now",
    )
    named = {"model": "first-light", "precision": "float32"}
    assert asked == [{**named, "compiled": False}, {**named, "compiled": True}]


def test_files_that_say_nothing_are_refused_with_what_to_do(engine: Engine, tmp_path: Path) -> None:
    """No notes, no PNG, notes that contradict themselves; a source that is gone."""
    plain = tmp_path / "plain.png"
    Image.new("RGB", (8, 8)).save(plain)
    with pytest.raises(Refused, match="as it was stored"):
        read_picture(plain)
    plain.write_bytes(b"GIF89a")
    with pytest.raises(Refused, match="cannot be used"):
        read_picture(plain)
    lost = Making(image_request(prompt="a", seed=1, source={"picture": "gone"}), 0, {})
    with pytest.raises(Refused, match="source"):
        compare(engine, Image.new("RGB", (256, 256)), lost, {})
