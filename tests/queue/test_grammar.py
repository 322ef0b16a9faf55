"""The grammar of prompts: what each flag means, where errors point, and that what is written reads the same."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daguerre.queue.prompt.flags import known_fields
from daguerre.queue.prompt.grammar import (
    MOST_GUIDANCE,
    MalformedPrompt,
    Wish,
    expand,
    fields,
    fill_in,
    parse,
    plan,
    pointer,
    say,
    sides,
    source,
    wish_of,
)
from daguerre.queue.records import FLAGS
from daguerre.queue.records.requests import MAX_SEED, ImageRequest, Part, image_request

SERVER = {"size": 256, "steps": 16, "guidance": 3.0}


def asked(typed: str) -> ImageRequest:
    return image_request(seed=0, **fields(parse(typed), **SERVER))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("a red apple", {"prompt": "a red apple"}),
        ("a  red\tapple ", {"prompt": "a red apple"}),
        ("apple --seed 7", {"seed": 7}),
        ("apple --ar 3:2", {"ratio": (3, 2)}),
        ("apple --aspect 16x9", {"ratio": (16, 9)}),
        ("apple --no red worm --no leaf", {"negative": "red worm, leaf"}),
        ("apple --s 250", {"stylize": 250.0}),
        ("apple --stylize 0.5", {"stylize": 0.5}),
        ("apple --c 30", {"chaos": 30}),
        ("apple --quality .5", {"quality": 0.5}),
        ("apple --q 0.5", {"quality": 0.5}),
        ("apple --quality 0.5.5", None),
        ("apple --steps 20", {"steps": 20}),
        ("apple --stop 80", {"stop": 80}),
        (
            "apple --tile --draft --transparent --svg --raw --relax",
            {"tile": True, "draft": True, "transparent": True, "svg": True, "raw": True},
        ),
        ("apple --iw 2", {"image_weight": 2.0}),
        ("apple --r 3", {"repeat": 3}),
        ("apple --style noto --model first-light", {"style": "noto", "model": "first-light"}),
        ("apple --lora stamps --lora ink", {"adapters": ("stamps", "ink")}),
        ("apple --n 4", {"count": 4}),
        ("https://x.example/a.png apple", {"link": "https://x.example/a.png", "prompt": "apple"}),
        ("apple —ar 3:2", {"ratio": (3, 2)}),
        ("apple — a study", {"prompt": "apple — a study"}),
        ("a -- b", {"prompt": "a -- b"}),
        (r"a \--ar b", {"prompt": "a --ar b"}),
        ("APPLE --AR 3:2", {"prompt": "APPLE", "ratio": (3, 2)}),
    ],
)
def test_each_flag_means_one_thing(typed: str, expected: dict[str, object] | None) -> None:
    """And what is not said stays open."""
    if expected is None:
        with pytest.raises(MalformedPrompt):
            parse(typed)
        return
    wish = parse(typed)
    for name, value in expected.items():
        assert getattr(wish, name) == value
    said = set(expected) | {"prompt", "relaxed"}
    assert all(getattr(wish, flag.field) in (None, "", False, ()) for flag in FLAGS if flag.field not in said)


@pytest.mark.parametrize(
    ("typed", "code", "at"),
    [
        ("", "empty", 0),
        ("--ar 3:2", "empty", 0),
        ("apple --sed 7", "flag.unknown", 6),
        ("apple --seed 7 --seed 8", "flag.twice", 15),
        ("apple --seed", "flag.value", 6),
        ("apple --seed x", "flag.form", 13),
        ("apple --seed 1.5", "flag.form", 13),
        ("apple --seed 4294967296", "flag.range", 13),
        ("apple --ar 9:1", "flag.range", 11),
        ("apple --ar 0:1", "flag.range", 11),
        ("apple --ar wide", "flag.form", 11),
        ("apple --tile yes", "flag.alone", 13),
        ("apple --seed 7 and a pear", "flag.text", 15),
        ("apple --steps 4 --q 2", "flag.twice", 6),
        ("apple --lora a --lora b --lora c --lora d --lora e", "flag.many", 42),
        ("a {red, green apple", "brace.open", 2),
        ("a red} apple", "brace.close", 5),
        ("{" * 10 + "a" + "}" * 10, "brace.deep", 9),
        ("::2 apple", "part.empty", 0),
        ("apple::99", "part.weight", 5),
        ("apple::1 pear::-1", "part.sum", 0),
        ("http://a.b/c http://a.b/d apple", "link.many", 13),
        ("{a,b,c,d,e,f,g} {1,2,3,4,5,6,7}", "too_many", 0),
        ("apple --repeat 40 --seed {1,2}", "too_many", 6),
        (r"\{ apple --sed 7", "flag.unknown", 9),
        ("a {x, y} pear --sed 7", "flag.unknown", 14),
    ],
)
def test_errors_point_at_the_character(typed: str, code: str, at: int) -> None:
    """At its place in what was typed, whatever braces and escapes came before."""
    with pytest.raises(MalformedPrompt) as caught:
        plan(typed)
    assert (caught.value.code, caught.value.at) == (code, at)
    assert str(caught.value)


@pytest.mark.parametrize(
    ("flag", "nearest"), [("sed", "seed"), ("chaso", "chaos"), ("stylise", "stylize"), ("aspct", "aspect")]
)
def test_an_unknown_flag_names_the_nearest(flag: str, nearest: str) -> None:
    """Nobody should have to look it up."""
    with pytest.raises(MalformedPrompt) as caught:
        parse(f"apple --{flag} 1")
    assert caught.value.values["nearest"] == f"--{nearest}"
    assert f"--{nearest}" in str(caught.value)


def test_the_pointer_stands_below_its_character() -> None:
    """Wide characters take two cells; long texts are cut around it."""
    assert pointer("apple --sed 7", 6) == "apple --sed 7\n      ^"
    assert pointer("苹果 --sed", 3).splitlines()[1] == "     ^"
    long = "x" * 300 + "!" + "y" * 300
    text, mark = pointer(long, 300).splitlines()
    assert len(text) == 60
    assert text[mark.index("^")] == "!"


def test_braces_are_every_combination() -> None:
    """Also inside one another, inside flags, and empty."""
    assert expand("a {red, green} {apple, pear}") == (
        "a red apple", "a red pear", "a green apple", "a green pear",
    )  # fmt: skip
    assert [wish.ratio for wish in plan("apple --ar {1:1, 3:2}")] == [(1, 1), (3, 2)]
    assert [wish.prompt for wish in plan("{a {big, small} cat, dog}")] == ["a big cat", "a small cat", "dog"]
    assert [wish.prompt for wish in plan("apple {, pie}")] == ["apple", "apple pie"]
    assert [wish.prompt for wish in plan(r"{a\, b, c}")] == ["a, b", "c"]
    assert len(plan("apple --repeat 3")) == 3
    assert len(plan("{a, b} --r 2")) == 4
    assert {wish.repeat for wish in plan("{a, b} --r 2")} == {None}


def test_many_braces_are_counted_without_being_made() -> None:
    """A text of 40 pairs of braces stands for a million million requests, and is refused at once."""
    with pytest.raises(MalformedPrompt) as caught:
        plan("{a, b}" * 40)
    assert caught.value.values["count"] == 2**40


def test_weights_make_parts() -> None:
    """As Midjourney reads them: the number belongs to what stands before it, and 1 goes without saying."""
    wish = parse("hot::2 dog")
    assert wish.parts == (Part(text="hot", weight=2), Part(text="dog", weight=1))
    assert wish.prompt == "hot dog"
    assert [part.weight for part in parse("hot::dog::-0.5").parts] == [1.0, -0.5]
    assert parse(r"a \:: b").parts == ()
    assert parse("ratio 3:2").prompt == "ratio 3:2"


def test_flags_become_the_fields_of_a_request() -> None:
    """Beside a server's defaults."""
    request = asked("cat --ar 3:2 --s 250 --q 2 --chaos 9 --stop 50 --tile --draft --style noto --n 4 --no dog")
    assert (request.width, request.height) == sides((3, 2), 256)
    assert (request.guidance, request.steps, request.chaos, request.stop, request.count) == (6.0, 32, 9, 50, 4)
    assert (request.tile, request.draft, request.style, request.negative) == (True, True, "noto", "dog")
    plain = asked("cat")
    assert (plain.width, plain.height, plain.steps, plain.guidance, plain.count) == (256, 256, 16, 3.0, 1)
    assert asked("cat --s 1000").guidance == MOST_GUIDANCE
    assert asked("cat --s 100").guidance == 3.0


def test_every_field_of_a_request_can_be_said() -> None:
    """A new field needs a flag, or a reason."""
    assert set(ImageRequest.model_fields) - known_fields() == {"version"}


@pytest.mark.parametrize("ratio", [(1, 1), (3, 2), (2, 3), (16, 9), (4, 1), (1, 4)])
@pytest.mark.parametrize("size", [128, 256, 512])
def test_shapes_are_near_what_was_wished(ratio: tuple[int, int], size: int) -> None:
    """In steps of 16 pixels, as many pixels as the square has, give or take."""
    width, height = sides(ratio, size)
    assert width % 16 == height % 16 == 0
    assert 0.5 < width * height / size**2 < 2.01
    assert 0.6 < (width / height) / (ratio[0] / ratio[1]) < 1.7


def test_a_heavier_picture_is_changed_less() -> None:
    """--iw 0 forgets it, 3 keeps most."""
    strengths = [source(Wish("x").saying(image_weight=weight), "a").strength for weight in (0.0, 0.5, 1.0, 2.0, 3.0)]
    assert strengths[0] == 1.0
    assert strengths == sorted(strengths, reverse=True)
    assert source(Wish("x"), "a").strength == 0.6


def test_preferences_fill_in_what_was_not_said() -> None:
    """What was said wins; words of the suffix come behind."""
    preferred = parse("in the evening --ar 3:2 --style noto --q 2", needs_prompt=False)
    wish = fill_in(parse("cat --style ink --steps 8"), preferred)
    assert (wish.prompt, wish.ratio, wish.style, wish.steps, wish.quality) == (
        "cat in the evening", (3, 2), "ink", 8, None,
    )  # fmt: skip
    assert fill_in(parse("cat::2 dog"), preferred).parts[-1].text == "in the evening"


# ---- round trips

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=12)
NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,20}", fullmatch=True)
PROMPTS = st.lists(WORDS.filter(lambda word: not any(c.isspace() for c in word)), min_size=1, max_size=6).map(" ".join)
WEIGHTS = st.integers(-40, 40).map(lambda n: n / 4)
PARTS = (
    st.lists(st.builds(lambda text, weight: Part(text=text, weight=weight), PROMPTS, WEIGHTS), min_size=1, max_size=5)
    .map(tuple)
    .filter(lambda parts: sum(part.weight for part in parts) > 0)
)


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    parts = draw(st.just(()) | PARTS)
    prompt = " ".join(part.text for part in parts) if parts else draw(PROMPTS)
    maybe = st.none()
    return Wish(
        prompt=prompt,
        parts=parts,
        link=draw(st.just("") | st.from_regex(r"https://cdn\.example/[a-z{},\\:]{1,20}", fullmatch=True)),
    ).saying(
        negative=draw(st.just("") | PROMPTS),
        ratio=draw(maybe | st.sampled_from([(1, 1), (3, 2), (4, 1), (9, 16)])),
        seed=draw(maybe | st.integers(0, MAX_SEED)),
        stylize=draw(maybe | st.integers(0, 4000).map(lambda n: n / 4)),
        chaos=draw(maybe | st.integers(0, 100)),
        quality=draw(maybe | st.sampled_from([0.25, 0.5, 1.0, 4.0])),
        stop=draw(maybe | st.integers(10, 100)),
        tile=draw(st.booleans()),
        image_weight=draw(maybe | st.sampled_from([0.0, 0.5, 3.0])),
        repeat=draw(maybe | st.integers(1, 40)),
        style=draw(st.just("") | NAMES),
        draft=draw(st.booleans()),
        raw=draw(st.booleans()),
        transparent=draw(st.booleans()),
        model=draw(st.just("") | NAMES),
        adapters=draw(st.lists(NAMES, max_size=4).map(tuple)),
        count=draw(maybe | st.integers(1, 4)),
        relaxed=draw(st.booleans()),
    )


@settings(max_examples=150)
@given(wishes())
def test_what_is_said_reads_the_same(wish: Wish) -> None:
    """Whatever signs stand in the words."""
    assert parse(say(wish)) == wish
    assert expand(say(wish)) == (say(wish),)


@settings(max_examples=150)
@given(st.text(st.sampled_from(" {},\\:-—ab1.") | st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_is_read_or_pointed_into(typed: str) -> None:
    """Never another error; the character is there; what was understood can be said again."""
    caught: MalformedPrompt | None = None
    found: tuple[Wish, ...] = ()
    try:
        found = plan(typed)
    except MalformedPrompt as problem:
        caught = problem
    if caught is not None:
        assert 0 <= caught.at <= max(0, len(typed) - 1)
        assert pointer(typed, caught.at).count("\n") == 1
    else:
        assert found
    for wish in found:
        assert parse(say(wish)) == wish


@settings(max_examples=100)
@given(wishes())
def test_a_request_can_be_typed_again(wish: Wish) -> None:
    """`wish_of` finds words for any request that the grammar makes."""
    request = image_request(seed=5, **fields(replace(wish, link=""), **SERVER))
    again = parse(say(wish_of(request, **SERVER, seed=True)))
    assert again.seed == 5
    made = image_request(seed=5, **fields(again, **SERVER))
    assert made.model_copy(update={"width": 0, "height": 0}) == request.model_copy(update={"width": 0, "height": 0})
    assert abs(made.width / made.height - request.width / request.height) < 0.01


def test_no_message_lacks_its_values() -> None:
    """Each English text names what it was given."""
    for code, words in MalformedPrompt.ENGLISH.items():
        needed: set[str] = set(re.findall(r"\{(\w+)\}", words))
        problem = MalformedPrompt(code, 0, **dict.fromkeys(needed, "X"))
        assert str(problem).count("X") == len(re.findall(r"\{(\w+)\}", words))
