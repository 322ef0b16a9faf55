"""Captions of the real drawings never say what is not shown, and no drawing shows a held-out colour by itself."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daguerre.models.data.colours import COLOURS, WORDS, Looks, looks
from daguerre.models.data.describe import UNFIT, describe, names_of
from daguerre.models.data.firstlight import CONCEPTS
from daguerre.models.data.heldout import choose, heldout, is_heldout
from daguerre.models.data.sampler import SceneSampler
from daguerre.models.data.scene import Scene, Thing
from daguerre.models.data.wording import NUMBERS_ZH

BUILT = Path(__file__).parents[3] / "runs" / "data" / "sprites64"
NAMES: Mapping[str, Mapping[str, list[str]]] = {
    "alien": {"en": ["alien"], "zh": ["外星人"]},
    "car": {"en": ["car", "red car"], "zh": ["汽车", "小汽车"]},
    "dog face": {"en": ["dog face", "puppy"], "zh": ["狗脸", "小狗"]},
    "locked": {"en": ["padlock"], "zh": ["锁"]},
}
SEEDS = st.integers(0, 10**9)


def captions(scene: Scene, language: str, count: int = 300) -> set[str]:
    """Many of the captions that the scene can get."""
    draw = random.Random(1)
    return {describe(scene, NAMES, draw, language) for _ in range(count)}


def test_several_things_share_a_colour_only_if_all_have_it() -> None:
    """Of a blue alien and a green one, no colour is said; of two green ones it may be."""
    mixed = Scene("count", (Thing(0, "alien", natural="blue"), Thing(1, "alien", natural="green")))
    alike = Scene("count", (Thing(0, "alien", natural="green"), Thing(1, "alien", natural="green")))
    for language, words in (("en", WORDS), ("zh", [colour.chinese[0] for colour in COLOURS.values()])):
        told = [text.replace("white background", "").replace("白色", "") for text in captions(mixed, language)]
        assert not any(word in text for text in told for word in words)
    assert any("green" in text for text in captions(alike, "en"))


def test_a_name_never_contradicts_the_colour() -> None:
    """A car that was painted blue, or is blue by itself, is no `red car`."""
    for thing in (Thing(0, "car", colour="blue"), Thing(0, "car", natural="blue")):
        assert not any("red car" in text for text in captions(Scene("colour", (thing,)), "en"))
    assert any("red car" in text for text in captions(Scene("single", (Thing(0, "car", natural="red"),)), "en"))


def test_sizes_are_said_by_size_scenes_alone() -> None:
    """A large thing is not called little for charm, nor a 小狗 a big small dog."""
    large = Scene("single", (Thing(0, "dog face"),))
    assert not any("little" in text for text in captions(large, "en"))
    assert not any("小小" in text for text in captions(large, "zh"))
    assert not any("大小" in text for text in captions(Scene("size", (Thing(0, "car", scale=0.98),)), "zh"))


def test_chinese_says_things_as_people_do() -> None:
    """Heads are counted by 个, dogs by 只; a style stands before a noun, never before a sentence."""
    assert not any("只狗脸" in text for text in captions(Scene("single", (Thing(0, "dog face"),)), "zh"))
    assert any("一只小狗" in text for text in captions(Scene("single", (Thing(0, "dog face"),)), "zh"))
    told = captions(Scene("two", (Thing(0, "alien"), Thing(1, "car")), style="noto"), "zh")
    assert any("noto" in text for text in told)
    assert not any("风格的画" in text or "风格的一张" in text for text in told)


def test_a_drawing_that_has_the_colour_by_itself_shows_the_held_out_combination() -> None:
    """Whether it was painted or not is nothing that a viewer can tell; such pairs are never held out."""
    colour, concept = next(iter(sorted(heldout().colours)))
    assert is_heldout(Scene("single", (Thing(0, concept, natural=colour),)))
    held = choose(sorted(CONCEPTS), natural={(colour, concept)})["colours"]
    assert [colour, concept] not in held
    assert len(held) > 100


class Real:
    """Rows of the built set that show one of the concepts, and scenes of them.

    No dataclass: hypothesis would print all of it.
    """

    def __init__(self, rows: list[dict[str, Any]], seen: dict[int, Looks]) -> None:
        self.rows = rows
        self.sampler = SceneSampler(rows, CONCEPTS, looks=seen)


@pytest.fixture(scope="module")
def real() -> Real:
    if not (BUILT / "build.json").is_file():
        pytest.skip("the data set is not built")
    rows = [json.loads(line) for line in (BUILT / "sprites.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["caption_en"] in CONCEPTS]
    images = np.load(BUILT / "sprites.npy", mmap_mode="r", allow_pickle=False)
    small = torch.from_numpy(images[[row["i"] for row in rows]][:, ::2, ::2].copy())
    found = [look for begin in range(0, len(small), 128) for look in looks(small[begin : begin + 128])]
    return Real(rows, {row["i"]: look for row, look in zip(rows, found, strict=True)})


def test_real_scenes_show_nothing_held_out(real: Real) -> None:
    """Not by recolouring and not by nature; every concept, and every colour with most concepts, stays."""
    draw = random.Random(5)
    things = [thing for _ in range(20_000) for thing in real.sampler.draw(draw).things]
    assert not {(t.colour or t.natural, t.concept) for t in things} & heldout().colours
    assert {thing.concept for thing in things} == set(CONCEPTS)
    assert {thing.colour for thing in things} == {None, *WORDS}


@settings(max_examples=200)
@given(seed=SEEDS)
def test_real_captions_name_no_other_colour(real: Real, seed: int) -> None:
    """Every Chinese colour word and every number is of the scene; names that say a colour themselves are taken out."""
    draw = random.Random(seed)
    scene = real.sampler.draw(draw)
    names = names_of(real.rows, CONCEPTS)
    text = describe(scene, names, draw, "zh")
    bare = text.replace("粉红色", "粉色")
    for name in sorted((n for t in scene.things for n in names[t.concept]["zh"]), key=len, reverse=True):
        bare = bare.replace(name, "")
    shown = {scene.background, scene.gradient, *(t.colour or t.natural for t in scene.things)}
    said = {word for word, colour in COLOURS.items() if any(each in bare for each in colour.chinese)}
    assert said <= shown
    if scene.kind == "count":
        assert NUMBERS_ZH[len(scene.things)] in bare
    assert not {name for named in names.values() for each in named.values() for name in each} & UNFIT
