"""The reference bank: written and read alike, and what is damaged, foreign or without alpha is refused in words."""

from __future__ import annotations

import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawerkit import SIDE, STYLES, picture, write_toy_bank
from PIL import Image
from safetensors.numpy import load, save

from daguerre.models.data.bank import choose, worthy
from daguerre.models.data.drawer import drawer
from daguerre.models.data.wordnet import WordNet, related_words
from daguerre.models.drawer import bank
from daguerre.models.errors import BankRefused


def test_a_bank_gives_back_what_was_written(tmp_path: Path) -> None:
    """Words, styles and, where nothing may be lost, every visible pixel; the same content gives the same bytes."""
    made = write_toy_bank(tmp_path / "one")
    again = write_toy_bank(tmp_path / "two")
    assert made.digest == again.digest
    dog = next(thing for thing in made.things if thing.caption == "dog")
    assert dog.names["ja"] == "イヌ"
    assert dog.styles == STYLES
    assert dog.related == {"hound": 0.9}
    assert np.array_equal(made.pixels(dog.drawings[1]), np.asarray(picture("brown", 1)))
    assert set(made.of_style) == set(STYLES)
    assert made.by_id["pixel-art/zombie-bee"].style == "pixel art"


@pytest.mark.parametrize("cut", [0, 10, 400, -40])
def test_a_damaged_bank_is_refused(tmp_path: Path, cut: int) -> None:
    """Cut off anywhere, it is told of with what to do, never read in part."""
    write_toy_bank(tmp_path)
    file = tmp_path / bank.FILE
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(BankRefused, match=r"damaged.*again"):
        bank.read(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda index, tensors: index.update(format=99),
        lambda index, tensors: index["things"].pop(),
        lambda index, tensors: index.update(vector_names=[[0, "dog"]]),
        lambda index, tensors: index.update(side=100_000),
        lambda index, tensors: index["things"][0].update(keywords=[]),
        lambda index, tensors: tensors.update(ends=tensors["ends"][::-1].copy()),
    ],
)
def test_an_index_that_does_not_fit_is_refused(tmp_path: Path, change: Any) -> None:
    """Whatever in it contradicts the rest."""
    write_toy_bank(tmp_path)
    file = tmp_path / bank.FILE
    tensors = load(file.read_bytes())
    index = json.loads(zlib.decompress(tensors["index"].tobytes()))
    change(index, tensors)
    tensors["index"] = np.frombuffer(zlib.compress(json.dumps(index).encode()), np.uint8)
    file.write_bytes(save(tensors))
    with pytest.raises(BankRefused, match="damaged"):
        bank.read(tmp_path)


def test_an_index_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    """A few kilobytes do not become all of the memory."""
    write_toy_bank(tmp_path)
    file = tmp_path / bank.FILE
    tensors = load(file.read_bytes())
    tensors["index"] = np.frombuffer(zlib.compress(b" " * (bank.MOST_INDEX + 1)), np.uint8)
    file.write_bytes(save(tensors))
    with pytest.raises(BankRefused):
        bank.read(tmp_path)


def test_a_bank_of_another_model_is_refused(tmp_path: Path) -> None:
    """Its drawings have another size; the message names the command."""
    write_toy_bank(tmp_path, side=32)
    with pytest.raises(BankRefused, match=r"another model.*--size 16"):
        bank.read(tmp_path, side=SIDE)
    with pytest.raises(BankRefused, match="daguerre data bank"):
        bank.read(tmp_path / "nowhere")


def test_a_drawing_without_alpha_is_refused() -> None:
    """What is thing and what is ground is not known; nor is what has another size, or is no picture."""
    file = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), "red").save(file, "PNG")
    with pytest.raises(BankRefused, match="no alpha"):
        bank.opened(file.getvalue(), SIDE, "own/mascot")
    with pytest.raises(BankRefused, match="not 8 pixels"):
        bank.opened(bank.packed(np.asarray(picture("red", 1)), 100), 8, "own/mascot")
    with pytest.raises(BankRefused, match="damaged"):
        bank.opened(b"RIFF", SIDE, "own/mascot")
    opaque = np.full((SIDE, SIDE, 4), 255, np.uint8)
    assert np.array_equal(bank.opened(bank.packed(opaque, 70), SIDE, "x"), opaque)


def _wordnet(folder: Path) -> Path:
    """A little of WordNet's own format: dog, hound, animal, and the constellation."""
    nouns = folder / "usr/share/wordnet"
    nouns.mkdir(parents=True)
    licence = "  1 This software and database is being provided to you\n"
    data = [
        "00000001 05 n 01 animal 0 001 ~ 00000002 n 0000 | a living organism  ",
        "00000002 05 n 02 dog 0 domestic_dog 0 002 @ 00000001 n 0000 ~ 00000003 n 0000 | a member of the genus Canis  ",
        "00000003 05 n 02 hound 0 hound_dog 0 001 @ 00000002 n 0000 | any of several breeds  ",
        "00000004 17 n 01 dog 0 000 | a constellation  ",
        "00000005 07 n 01 justice 0 000 | the quality of being just  ",
    ]
    index = [
        "animal n 1 1 ~ 1 0 00000001  ", "dog n 2 2 @ ~ 2 1 00000002 00000004  ", "domestic_dog n 1 1 @ 1 0 00000002  ",
        "hound n 1 1 @ 1 0 00000003  ", "hound_dog n 1 1 @ 1 0 00000003  ", "justice n 1 0 1 0 00000005  ",
    ]  # fmt: skip
    (nouns / "data.noun").write_text(licence + "\n".join(data) + "\n")
    (nouns / "index.noun").write_text(licence + "\n".join(index) + "\n")
    return folder


def test_words_of_wordnet_go_to_the_thing_they_mean(tmp_path: Path) -> None:
    """More special words are surer than more general ones; a name of another thing is nobody else's word."""
    net = WordNet(_wordnet(tmp_path))
    dog, animal = related_words(net, [("dog", 3), ("animal", 3)])
    assert dog["domestic dog"] > dog["hound"] > 0.8
    assert "animal" not in dog
    assert "dog" not in animal
    assert related_words(net, [("dog", 8)]) == [{}]
    assert net.drawable("big dog")
    assert not net.drawable("justice")


def test_the_bank_holds_every_style_and_no_thing_that_nobody_can_draw(tmp_path: Path) -> None:
    """Two common styles for each thing, then the rarest; `justice` drawn once stays out, and so does a second `dog`."""
    rows: list[dict[str, Any]] = []

    def add(caption: str, code: str, style: str) -> None:
        rows.append(
            {"i": len(rows), "code": code, "caption_en": caption, "kind": "emoji" if code else "icon", "style": style,
             "group": 3 if code else -1}
        )  # fmt: skip

    for style in ("noto", "twemoji", "fluent", "3d", "blob", "firefox", "poly"):
        add("dog", "1F415", style)
        if style != "poly":
            add("animal", "1F43E", style)
    add("justice", "", "poly")
    add("dog", "", "poly")
    add("hound", "", "poly")
    styles = {row["i"]: row["style"] for row in rows}
    kept = worthy(drawer(rows).things, WordNet(_wordnet(tmp_path)), styles)
    assert [thing.caption for thing in kept] == ["dog", "animal", "hound"]
    dog, animal, hound = ([styles[i] for i in each] for each in choose(kept, styles))
    assert len(set(dog)) == len(dog) == 5
    assert len(set(dog) & {"noto", "twemoji", "fluent", "3d"}) >= 2
    assert set(dog) | set(animal) == {"noto", "twemoji", "fluent", "3d", "blob", "firefox", "poly"}
    assert hound == ["poly"]
