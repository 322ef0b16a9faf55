"""Prompts that list things: read in English and Chinese, set out, drawn one by one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import inflect
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from toyweights import write_toy_weights

from daguerre.models.common.english import PLURALS, with_article
from daguerre.models.errors import WeightsRefused
from daguerre.models.evaluation.laid_out import laid_out
from daguerre.models.evaluation.painter import Order
from daguerre.models.layout.collage import collage, taken_apart
from daguerre.models.layout.places import Place, drawings, places, seed_of
from daguerre.models.layout.reading import names_of_weights, read
from daguerre.models.layout.words import Group, Layout, Names
from daguerre.models.serving import loop
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.requests import RenderRequest, Source

#: Words that go before a name and change its article.
LOOKS = ("", "red ", "orange ", "old ", "ugly ", "unusual ", "huge ", "one-eyed ", "8th ", "honest ", "European ")
SHIPPED = Path(__file__).parents[3] / "models" / "weights" / "first-light"
NAMES = names_of_weights(SHIPPED)


def said(prompt: str) -> tuple[str, list[tuple[int, str]]] | None:
    found = read(prompt, NAMES)
    assert found is None or not found.ground
    return found and (found.way, [(group.count, group.text) for group in found.groups])


@pytest.mark.parametrize(
    ("prompt", "way", "groups"),
    [
        ("a cat and a dog", "any", [(1, "a cat"), (1, "a dog")]),
        ("Please draw me two red apples, for us", "any", [(2, "a red apple")]),
        ("three apples on a white background", "any", [(3, "an apple on a white background")]),
        ("two apples with no background", "any", [(2, "an apple with no background")]),
        ("a pizza and 2 bananas, noto style", "any", [(1, "a pizza, noto style"), (2, "a banana, noto style")]),
        (
            "a cat and a dog in the style of noto",
            "any",
            [(1, "a cat in the style of noto"), (1, "a dog in the style of noto")],
        ),
        ("a red car to the left of a blue rocket", "across", [(1, "a red car"), (1, "a blue rocket")]),
        ("a picture of a cat on the right of a dog", "across", [(1, "a dog"), (1, "a cat")]),
        ("a fox below an umbrella", "down", [(1, "an umbrella"), (1, "a fox")]),
        ("cats and dogs", "any", [(2, "a cat"), (2, "a dog")]),
        ("cat, dog, bird", "any", [(1, "a cat"), (1, "a dog"), (1, "a bird")]),
        ("a toadstool and lightning", "any", [(1, "a toadstool"), (1, "lightning")]),
        ("一只猫和两只狗", "any", [(1, "一只猫"), (2, "一只狗")]),
        ("请帮我画三只可爱的猫，没有背景", "any", [(3, "一只可爱的猫，没有背景")]),
        ("出租车在狐狸的上方", "down", [(1, "出租车"), (1, "狐狸")]),
        ("画出租车在狐狸的右边", "across", [(1, "狐狸"), (1, "出租车")]),
        ("狐狸的左边是一辆出租车", "across", [(1, "一辆出租车"), (1, "狐狸")]),
    ],
)
def test_lists_of_things_are_read(prompt: str, way: str, groups: list[tuple[int, str]]) -> None:
    """Requests, numbers, relations turned to reading order; how all of it looks is told to each thing."""
    assert said(prompt) == (way, groups)


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("please paint a baby chick for me, no background", "a baby chick, no background"),
        ("a red apple", "a red apple"),
        ("a smiling face with sunglasses", "a smiling face with sunglasses"),
        ("请帮我画出一只狐狸", "一只狐狸"),
    ],
)
def test_one_thing_is_drawn_as_it_was_asked_for(prompt: str, text: str) -> None:
    """Only what is no part of the picture goes."""
    assert said(prompt) == ("any", [(1, text)])


@pytest.mark.parametrize(
    "prompt",
    [
        "a black and white cat", "an orange and white cat", "a cat with a hat", "three cats in a car",
        "a man and a woman", "the eiffel tower", "a cat on a table", "ten cats", "a cat or a dog", "twelve apples",
        "two cats playing chess", "a cat and a dog, playing chess", "two cats two dogs", "a cat and", "",
        "，", "and and and", "一只猫在桌子上", "一只戴帽子的猫", "五星酒店", "nine cats and nine dogs",
        "a cat, a dog, a fox, a bird and a frog",
    ],
)  # fmt: skip
def test_what_says_more_is_drawn_as_it_stands(prompt: str) -> None:
    """Doubt leaves the prompt alone."""
    assert read(prompt, NAMES) is None


@pytest.mark.parametrize(
    ("prompt", "ground", "texts"),
    [
        ("a pumpkin on a blue background", ("blue",), ["a pumpkin"]),
        ("two apples, grey background", ("grey",), ["an apple", "an apple"]),
        ("a cat and a dog on pink", ("pink",), ["a cat", "a dog"]),
        ("a pizza in noto style on a red to blue gradient background", ("red", "blue"), ["a pizza in noto style"]),
        ("a pizza, noto style, background going from black to orange", ("black", "orange"), ["a pizza, noto style"]),
        ("一只猫，蓝色的背景", ("blue",), ["一只猫"]),
        ("两只猫，从红到蓝的渐变背景", ("red", "blue"), ["一只猫", "一只猫"]),
    ],
)
def test_backgrounds_are_laid_under_the_things(prompt: str, ground: tuple[str, ...], texts: list[str]) -> None:
    """One thing, too, is laid on the colour asked for, instead of taking it on."""
    found = read(prompt, NAMES)
    assert found is not None
    assert not found.single
    assert (found.ground, list(drawings(found))) == (ground, texts)


def test_sizes_become_sides() -> None:
    """A tiny thing is drawn large and laid small."""
    assert read("a tiny mouse face and a huge elephant", NAMES) == Layout(
        (Group("a mouse face", size=0.45), Group("an elephant"))
    )


@given(st.text(max_size=60))
def test_any_text_is_read_or_left_alone(prompt: str) -> None:
    """Nothing a member may type is an error."""
    found = read(prompt, NAMES)
    assert found is None or 1 <= found.things <= 9


def test_weights_that_tell_no_words_lay_nothing_out(tmp_path: Path) -> None:
    """Somebody else's checkpoint draws scenes by itself; a damaged list of words is refused."""
    assert not names_of_weights(tmp_path)
    assert read("a cat and a dog", names_of_weights(tmp_path)) is None
    for damaged in ('{"words": []}', "{", "[]"):
        (tmp_path / "vocabulary.json").write_text(damaged)
        with pytest.raises(WeightsRefused, match="export the weights again"):
            names_of_weights(tmp_path)


LAYOUTS = st.builds(
    lambda counts, way, sizes: Layout(
        tuple(Group(f"thing {k}", count, size) for k, (count, size) in enumerate(zip(counts, sizes, strict=False))), way
    ),
    st.lists(st.integers(1, 9), min_size=1, max_size=4).filter(lambda counts: sum(counts) <= 9),
    st.sampled_from(["across", "down", "any"]),
    st.lists(st.sampled_from([0.45, 0.65, 1.0]), min_size=4, max_size=4),
)


@given(LAYOUTS, st.sampled_from([0.25, 9 / 16, 2 / 3, 1.0, 1.5, 16 / 9, 4.0]), st.integers(0, 2**32 - 1))
def test_things_lie_in_the_picture_apart_and_as_said(layout: Layout, aspect: float, seed: int) -> None:
    """All of them, none over another, each group on its side; the same for the same seed."""
    laid = places(layout, aspect, seed)
    assert laid == places(layout, aspect, seed)
    assert len(laid) == layout.things
    assert {place.drawing for place in laid} == set(range(len(drawings(layout))))
    wide, high = max(aspect, 1.0), max(1 / aspect, 1.0)
    for place in laid:
        half = place.side / 2
        assert -1e-9 <= place.x - half <= place.x + half <= wide + 1e-9
        assert -1e-9 <= place.y - half <= place.y + half <= high + 1e-9
    for one, two in itertools.combinations(laid, 2):
        assert max(abs(one.x - two.x), abs(one.y - two.y)) >= (one.side + two.side) / 2 - 1e-9
    owners = [k for k, group in enumerate(layout.groups) for _ in range(group.count)]
    for (one, place), (two, other) in itertools.combinations(zip(owners, laid, strict=True), 2):
        if one != two and layout.way != "any":
            assert (place.x < other.x) if layout.way == "across" else (place.y < other.y)


def thing(colour: str, ground: str = "white") -> Image.Image:
    """A disc off the middle."""
    picture = Image.new("RGB", (64, 64), ground)
    ImageDraw.Draw(picture).ellipse((8, 4, 40, 36), fill=colour)
    return picture


def test_things_are_cut_out_and_laid_on_their_own_ground() -> None:
    """The ground is that of the drawings; with transparency there is none."""
    laid = (Place(0, 0.25, 0.5, 0.4), Place(1, 0.75, 0.5, 0.4))
    drawn = [thing("red", "blue"), thing("lime", "blue")]
    picture = collage(drawn, laid, (100, 100))
    assert picture.mode == "RGB"
    at = {place: picture.getpixel(place) for place in ((25, 50), (75, 50), (50, 50), (2, 2))}
    assert at == {(25, 50): (255, 0, 0), (75, 50): (0, 255, 0), (50, 50): (0, 0, 255), (2, 2): (0, 0, 255)}
    # As wide as its place, from edge to edge, though it did not fill its own picture.
    assert [picture.getpixel((x, 50)) == (255, 0, 0) for x in (3, 8, 42, 48)] == [False, True, True, False]
    clear = collage(drawn, laid, (100, 100), transparent=True)
    assert (clear.getpixel((50, 50)), clear.getpixel((25, 50))) == ((0, 0, 255, 0), (255, 0, 0, 255))


def test_grounds_of_words_lie_under_everything() -> None:
    """The colours that training showed; gradients run from the top."""
    drawn = [thing("red")]
    laid = (Place(0, 0.5, 0.5, 0.4),)
    blue = collage(drawn, laid, (100, 100), ground=("blue",))
    assert (blue.getpixel((0, 0)), blue.getpixel((50, 50))) == ((90, 155, 230), (255, 0, 0))
    fading = collage(drawn, laid, (100, 100), ground=("white", "black"))
    column = [fading.getpixel((0, y)) for y in (0, 50, 99)]
    assert column == sorted(column, reverse=True)
    assert (min(column[0]), max(column[2])) >= (250, 24)
    assert max(column[2]) < 32


def test_an_empty_drawing_leaves_its_place_empty() -> None:
    """A picture without anything in it is no error."""
    picture = collage([Image.new("RGB", (64, 64), "white")], (Place(0, 0.5, 0.5, 0.9),), (50, 80))
    assert picture.getextrema() == ((255, 255),) * 3


# ---- the engine

ASK = RenderRequest("an apple and two pizzas", (7, 8), 3, 2.0, 96, 64)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = write_toy_weights(tmp_path_factory.mktemp("weights") / "toy")
    words = {"concepts": ["apple", "pizza"], "names": ["apple", "pizza"], "words": ["a", "and"]}
    (folder / "vocabulary.json").write_text(json.dumps(words))
    made = Engine(folder, device="cpu")
    made.load()
    return made


def test_the_engine_draws_each_thing_and_sets_it_out(engine: Engine) -> None:
    """Pictures of the size asked for, out of drawings that could be asked for by themselves."""
    drawn = engine.draw(ASK)
    assert drawn.about["layout"] == ["any", 1, 2]
    assert [picture.size for picture in drawn.pictures] == [(96, 64)] * 2
    layout = read(ASK.prompt, Names({"apple", "pizza"}))
    assert layout is not None
    assert drawings(layout) == ("an apple", "a pizza", "a pizza")
    parts = [
        engine.draw(replace(ASK, prompt=text, seeds=(seed_of(8, k),), width=16, height=16)).pictures[0]
        for k, text in enumerate(drawings(layout))
    ]
    again = collage(parts, places(layout, 1.5, 8), (96, 64))
    assert again.tobytes() == drawn.pictures[1].tobytes()


def test_each_picture_is_the_same_alone_and_among_others(engine: Engine) -> None:
    """Bits, as of any other request."""
    alone = engine.draw(replace(ASK, seeds=(8,)))
    jobs = [engine.submit(ask) for ask in (ASK, replace(ASK, prompt="a pizza"), replace(ASK, seeds=(3, 4, 8)))]
    while not all(job.result.done() for job in jobs):
        engine.loop.tick()
    assert jobs[0].result.result().pictures[1].tobytes() == alone.pictures[0].tobytes()
    assert jobs[2].result.result().pictures[2].tobytes() == alone.pictures[0].tobytes()


def test_things_are_varied_where_they_lie(engine: Engine) -> None:
    """Each begins from itself in the old picture, whatever the new seeds are; without noise the picture stays."""
    (old,) = engine.draw(replace(ASK, seeds=(7,))).pictures
    source = Source(old, strength=0.5, seed=7)
    drawn = engine.draw(replace(ASK, seeds=(100, 101), source=source))
    assert drawn.about["layout"] == ["any", 1, 2]
    laid = places(Layout((Group("an apple"), Group("a pizza", 2))), 1.5, 7)
    corners = [round(64 * value) for place in laid for value in (place.x - place.side / 2, place.y - place.side / 2)]
    for picture in drawn.pictures:
        for left, top, place in zip(corners[::2], corners[1::2], laid, strict=True):
            side = round(64 * place.side)
            inside = picture.crop((left, top, left + side, top + side))
            assert inside.getextrema() != ((255, 255),) * 3
    assert "layout" not in engine.draw(replace(ASK, source=replace(source, seed=None))).about
    assert "layout" not in engine.draw(replace(ASK, source=replace(source, use="outpaint", expand=(10, 0, 0, 0)))).about


def test_a_picture_is_taken_apart_as_it_was_set_out() -> None:
    """Each drawing comes back on white, with room around it."""
    drawn = [thing("red"), thing("lime")]
    laid = places(Layout((Group("a"), Group("b", 2)), ground=("blue",)), 1.0, 3)
    again = [Place(min(place.drawing, 1), place.x, place.y, place.side) for place in laid]
    picture = collage(drawn, again, (256, 256), ground=("blue",))
    parts = taken_apart(picture, again, 64)
    assert [part.size for part in parts] == [(64, 64)] * 2
    assert [part.getpixel((32, 32)) for part in parts] == [(255, 0, 0), (0, 255, 0)]
    assert {part.getpixel(at) for part in parts for at in ((0, 0), (63, 0), (0, 63), (63, 63))} == {(255, 255, 255)}


def test_what_is_raw_or_begins_from_something_is_drawn_whole(engine: Engine) -> None:
    """Also weighted parts and tiles; `--raw` is the member's way out."""
    plain = engine.draw(replace(ASK, raw=True))
    assert "layout" not in plain.about
    assert plain.pictures[0].tobytes() != engine.draw(ASK).pictures[0].tobytes()
    for ask in (replace(ASK, tile=True), replace(ASK, parts=(("an apple", 1.0), ("a pizza", 1.0)))):
        assert "layout" not in engine.draw(ask).about


def test_transparent_layouts_have_no_ground(engine: Engine) -> None:
    """RGBA, and clear where nothing lies."""
    (picture, _) = engine.draw(replace(ASK, transparent=True)).pictures
    assert picture.mode == "RGBA"
    assert picture.getchannel("A").getextrema()[0] == 0


def test_previews_show_the_things_where_they_will_lie(engine: Engine) -> None:
    """One for the whole grid, in the pictures' shape."""
    shown: list[bytes] = []
    engine.draw(replace(ASK, steps=6), lambda progress: shown.append(progress.preview) if progress.preview else None)
    assert shown
    assert all(preview[:2] == b"\xff\xd8" for preview in shown)


def test_what_cannot_be_set_out_fails_alone(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its request ends with the error; the engine and the requests beside it go on."""

    def broken(*_: object, **__: object) -> None:
        raise ValueError("no room")

    monkeypatch.setattr(loop, "set_out", broken)
    jobs = [engine.submit(ASK), engine.submit(replace(ASK, prompt="a pizza"))]
    while not all(job.result.done() for job in jobs):
        engine.loop.tick()
    assert isinstance(jobs[0].result.exception(), ValueError)
    assert len(jobs[1].result.result().pictures) == 2


def test_damaged_words_are_refused(tmp_path: Path) -> None:
    """With what to do."""
    folder = write_toy_weights(tmp_path / "toy")
    (folder / "vocabulary.json").write_text("{}")
    with pytest.raises(WeightsRefused, match="export the weights again"):
        Engine(folder, device="cpu").load()


def test_the_evaluation_asks_for_what_the_engine_draws() -> None:
    """The same drawings with the same seeds, in the same places."""
    asked: list[Order] = []

    def paint(orders: Sequence[Order]) -> list[torch.Tensor]:
        asked.extend(orders)
        return [torch.full((3, 64, 64), 1.0) for _ in asked]

    pictures = laid_out(paint, NAMES, 64)(
        [Order("a cat and two dogs", 5), Order("please draw a cat for me", 6), Order("a man", 7, 1.5)]
    )
    assert asked == [
        Order("a cat", 5), Order("a dog", seed_of(5, 1)), Order("a dog", seed_of(5, 2)), Order("a cat", 6),
        Order("a man", 7, 1.5),
    ]  # fmt: skip
    assert [tuple(picture.shape) for picture in pictures] == [(3, 64, 64)] * 3


def test_articles_and_singulars_are_the_grammars() -> None:
    """Prompts are written with the articles that captions were written with, whoever's grammar that was."""
    grammar = inflect.engine()
    words = json.loads((SHIPPED / "vocabulary.json").read_text(encoding="utf-8"))
    for name in (*words["names"], *words["words"]):
        for looks in LOOKS if name.isascii() and name.strip() else ():
            if with_article(looks + name) != looks + name:
                assert with_article(looks + name) == grammar.a(looks + name)
    for name in words["concepts"]:
        head, of, rest = name.partition(" of ")
        several = f"{grammar.plural_noun(head)}{of}{rest}"
        singular = grammar.singular_noun(name)
        if name in PLURALS or (singular and singular in NAMES):
            continue
        found = read(f"three {several}", NAMES)
        assert found is not None, several
        assert [(group.count, group.text) for group in found.groups] == [(3, with_article(name))], several
