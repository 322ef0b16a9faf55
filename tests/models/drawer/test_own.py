"""One's own drawings: added from a folder, listed, removed; what shows no thing is refused and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from drawerkit import SIDE, picture
from PIL import Image
from typer.testing import CliRunner

from daguerre.app.cli import app
from daguerre.models.drawer import bank, own
from daguerre.models.drawer.search import Search
from daguerre.models.errors import BankRefused


def folder_of(place: Path, **pictures: Image.Image) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    for name, each in pictures.items():
        each.save(place / f"{name}.png")
    return place


def test_a_folder_of_pictures_becomes_things(tmp_path: Path) -> None:
    """Named after their files, fitted into a square; an even background is cut away; more of a name join it."""
    on_white = Image.new("RGB", (40, 20), "white")
    on_white.paste((200, 0, 0), (4, 4, 36, 16))
    pictures = folder_of(
        tmp_path / "in", our_mascot=picture("blue", 1, 50), our_mascot_2=picture("navy", 2, 50), flag=on_white
    )
    made = own.add(tmp_path / "own", SIDE, own.pictures_of(pictures))
    assert [(thing.caption, len(thing.drawings)) for thing in made.things] == [("flag", 1), ("our mascot", 2)]
    flag = made.pixels(made.things[0].drawings[0])
    assert flag.shape == (SIDE, SIDE, 4)
    assert flag[0, 0, 3] == 0
    assert flag[SIDE // 2, SIDE // 2].tolist() == pytest.approx([200, 0, 0, 255], abs=6)
    found = Search([made]).find("our mascots")
    assert found.thing is not None
    assert found.thing.caption == "our mascot"
    assert found.sure


def test_captions_in_other_languages_find_it(tmp_path: Path) -> None:
    """As metadata.jsonl gives them; the same file again takes its own place."""
    pictures = folder_of(tmp_path / "in", a=picture("blue", 1, 50))
    (pictures / "metadata.jsonl").write_text(
        json.dumps({"file_name": "a.png", "text": "Blobby", "text_de": "Klecks", "text_zh": "团子"}) + "\n\n"
    )
    for _ in range(2):
        made = own.add(tmp_path / "own", SIDE, own.pictures_of(pictures))
    assert len(made.things[0].drawings) == 1
    search = Search([made])
    assert all(search.find(said).sure for said in ("a blobby", "ein Klecks", "画一个团子"))


def test_what_shows_no_thing_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    """Without alpha and without an even background, empty, not a picture, no words, no folder, another's file."""
    place = tmp_path / "own"
    own.add(place, SIDE, own.pictures_of(folder_of(tmp_path / "good", mascot=picture("blue", 1, 50))))
    before = (place / bank.FILE).read_bytes()
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 40, 3), np.uint8))
    for name, each, said in (
        ("noise", noise, "no alpha and no even background"),
        ("empty", Image.new("RGBA", (40, 40)), "shows nothing"),
    ):
        with pytest.raises(BankRefused, match=said):
            own.add(place, SIDE, own.pictures_of(folder_of(tmp_path / name, **{name: each})))
    (tmp_path / "bad").mkdir()
    with pytest.raises(BankRefused, match="no pictures"):
        own.pictures_of(tmp_path / "bad")
    with pytest.raises(BankRefused, match="no folder"):
        own.pictures_of(tmp_path / "nowhere")
    (tmp_path / "bad" / "cat.png").write_bytes(b"no picture")
    with pytest.raises(BankRefused, match=r"cat\.png is no picture"):
        own.pictures_of(tmp_path / "bad")
    (tmp_path / "bad" / "cat.png").rename(tmp_path / "bad" / "12.png")
    with pytest.raises(BankRefused, match="no words"):
        own.pictures_of(tmp_path / "bad")
    (tmp_path / "bad" / "metadata.jsonl").write_text(json.dumps({"file_name": "../good/mascot.png", "text": "x"}))
    with pytest.raises(BankRefused, match="line 1"):
        own.pictures_of(tmp_path / "bad")
    assert (place / bank.FILE).read_bytes() == before
    # A bank for another model is not written over either.
    with pytest.raises(BankRefused, match="another model"):
        own.add(place, 2 * SIDE, own.pictures_of(tmp_path / "good"))
    assert (place / bank.FILE).read_bytes() == before


def test_a_thing_keeps_its_newest_drawings(tmp_path: Path) -> None:
    """More than a picture can be drawn from are of no use."""
    for number in range(own.MOST_DRAWINGS + 2):
        pictures = folder_of(tmp_path / f"{number}", **{f"mascot_{number}": picture("blue", number, 50)})
        made = own.add(tmp_path / "own", SIDE, own.pictures_of(pictures))
    assert [each.id for each in made.things[0].drawings] == [
        f"own/mascot/mascot_{number}" for number in range(2, own.MOST_DRAWINGS + 2)
    ]


def test_the_command_adds_lists_and_removes(tmp_path: Path) -> None:
    """In the data folder of the configuration, for the configured weights; other weights have no use for it."""
    weights = tmp_path / "weights"
    for part, told in (("unet", {"sample_size": SIDE // 4}), ("vae", {"block_out_channels": [8, 8, 8]})):
        (weights / part).mkdir(parents=True)
        (weights / part / "config.json").write_text(json.dumps(told))
    (weights / "model_index.json").write_text('{"_class_name": "DrawerPipeline"}')
    config = tmp_path / "config.toml"
    config.write_text(f'[storage]\ndata_dir = "{tmp_path / "data"}"\n[render]\nweights = "{weights}"\n')
    pictures = folder_of(tmp_path / "in", mascot=picture("blue", 1, 50))
    run = CliRunner()

    def called(*words: str) -> tuple[int, str]:
        found = run.invoke(app, ["bank", *words, "--config", str(config)])
        return found.exit_code, found.output

    assert called("add", str(pictures)) == (0, "1 drawings added, to be asked for as: mascot\n")
    assert called("list") == (0, "mascot (1)\n")
    assert own.listed(tmp_path / "data" / "bank")[0].caption == "mascot"
    assert called("remove", "Mascot")[0] == 0
    assert called("remove", "mascot")[0] == 1
    assert called("list") == (0, "")
    (weights / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    assert called("add", str(pictures))[0] != 0
