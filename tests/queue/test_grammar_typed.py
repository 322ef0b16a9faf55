"""Prompts as people type them: on telephones, on Chinese keyboards, and with the habits of other picture bots."""

from __future__ import annotations

from typing import Any

import pytest

from daguerre.queue.prompt.flags import BY_NAME, flag_of_field, value_of
from daguerre.queue.prompt.foreign import FOREIGN, FOREIGN_ENGLISH
from daguerre.queue.prompt.grammar import MalformedPrompt, fields, parse, plan, say, sides, wish_of
from daguerre.queue.prompt.shape import USUAL
from daguerre.queue.records import FLAGS
from daguerre.queue.records.requests import ImageRequest, image_request

SERVER = {"size": 256, "steps": 16, "guidance": 3.0}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        # Dashes that telephones, word processors and Chinese keyboards make of two.
        *(
            (f"apple {dashes}ar 16:9", {"prompt": "apple", "ratio": (16, 9)})
            for dashes in ("—", "–", "——", "––", "―", "－－", "‐‐", "‑‑", "−−", "﹣﹣", "-–", "—-", "---", "⸺")
        ),
        ("apple －－ａｒ １６：９", {"prompt": "apple", "ratio": (16, 9)}),
        # Without blanks, before the flag or behind it.
        ("红苹果--n 2", {"prompt": "红苹果", "count": 2}),
        ("红苹果——n 2", {"prompt": "红苹果", "count": 2}),
        ("红苹果—ar 3：2", {"prompt": "红苹果", "ratio": (3, 2)}),
        ("红苹果--n2--ar16:9", {"prompt": "红苹果", "count": 2, "ratio": (16, 9)}),
        ("apple--ar 3:2", {"prompt": "apple", "ratio": (3, 2)}),
        ("apple --seed7", {"prompt": "apple", "seed": 7}),
        ("apple --seed=7 --ar=3:2", {"prompt": "apple", "seed": 7, "ratio": (3, 2)}),
        ("红苹果 --no云朵", {"prompt": "红苹果", "negative": "云朵"}),
        ("红苹果 --ar：3：2", {"prompt": "红苹果", "ratio": (3, 2)}),
        # Signs of Chinese keyboards.
        ("红苹果 --n ２", {"prompt": "红苹果", "count": 2}),
        ("红苹果 --n 2。", {"prompt": "红苹果", "count": 2}),
        ("红苹果 --ar 16：9！", {"prompt": "红苹果", "ratio": (16, 9)}),
        ("红苹果--n 2，蓝色背景", {"prompt": "红苹果，蓝色背景", "count": 2}),
        ("apple --tile, blue background", {"prompt": "apple, blue background", "tile": True}),
        ("猫：：２ 狗", {"prompt": "猫 狗"}),
        ("apple --ar 16 : 9", {"ratio": (16, 9)}),
        ("apple --ar 16X9", {"ratio": (16, 9)}),
        ("apple --ar 16*9", {"ratio": (16, 9)}),
        # Flags first.
        ("--ar 16:9 a red apple", {"prompt": "a red apple", "ratio": (16, 9)}),
        ("--tile --seed 7 a red apple --n 2", {"prompt": "a red apple", "tile": True, "seed": 7, "count": 2}),
        ("--ar 16:9 a red --n 2 apple", {"prompt": "a red apple", "count": 2}),
        ("--style noto a red apple --no worm", {"prompt": "a red apple", "style": "noto", "negative": "worm"}),
        ("--iw 2 https://x.example/a.png apple", {"prompt": "apple", "link": "https://x.example/a.png"}),
        ("—ar 16:9 红苹果", {"prompt": "红苹果", "ratio": (16, 9)}),
        # Numbers.
        ("apple --q .5", {"quality": 0.5}),
        ("apple --q 0,5", {"quality": 0.5}),
        ("apple --iw ．5", {"image_weight": 0.5}),
    ],
)
def test_it_is_read_as_meant(typed: str, expected: dict[str, Any]) -> None:
    """And what was understood can be said again."""
    wish = parse(typed)
    assert {name: getattr(wish, name) for name in expected} == expected
    assert parse(say(wish)) == wish


@pytest.mark.parametrize(
    "typed",
    [
        "apple — a study", "苹果——很好吃", "an apple—no worm in it", "apple——a study", "well-known cat", "rock-n-roll",
        "a cat -s", "a-r 3:2", "x -- y", "a --3d cat", "red—green", "cat–dog", "mother–in–law", "8--9",
        "a cat--like fox",
    ],
)  # fmt: skip
def test_dashes_of_ordinary_writing_are_no_flags(typed: str) -> None:
    """Only what is the name of a flag is one where a long dash, or no blank, stands before it."""
    assert parse(typed).prompt == typed


def test_wide_braces_and_commas_are_permutations() -> None:
    """`｛红，绿｝` and `{红、绿}` as well as mixed ones; a backslash keeps them."""
    for typed in ("｛红，绿｝苹果", "{红，绿}苹果", "｛红, 绿}苹果", "{红、绿｝苹果"):
        assert [wish.prompt for wish in plan(typed)] == ["红苹果", "绿苹果"], typed
    assert [wish.ratio for wish in plan("苹果 --ar ｛1：1，3：2｝")] == [(1, 1), (3, 2)]
    assert plan(r"\｛红，绿\｝苹果")[0].prompt == "｛红，绿｝苹果"
    assert parse(say(plan(r"\｛红，绿\｝苹果")[0])).prompt == "｛红，绿｝苹果"
    with pytest.raises(MalformedPrompt) as caught:
        plan("｛红，绿")
    assert (caught.value.code, caught.value.at) == ("brace.open", 0)


@pytest.mark.parametrize(
    ("typed", "weights"), [("猫：：２ 狗", [2, 1]), ("a::.5 b", [0.5, 1]), ("a：：－0.5 b", [-0.5, 1])]
)
def test_weights_are_read_in_any_width(typed: str, weights: list[float]) -> None:
    """Also without a figure before the point."""
    assert [part.weight for part in parse(typed).parts] == weights


def test_a_comma_says_itself() -> None:
    """What is shown for typing again has a backslash only where one is needed."""
    assert say(parse("红苹果，蓝色背景, 两只猫")) == "红苹果，蓝色背景, 两只猫"


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        *((f"apple --{flag}", code) for flag, code in (
            ("v 6", "model"), ("v6.1", "model"), ("version 6", "model"), ("niji", "model"), ("niji 6", "model"),
            ("test", "model"), ("weird 250", "chaos"), ("exp 20", "chaos"), ("fast", "fast"), ("turbo", "fast"),
            ("style raw", "raw"), ("style RAW", "raw"), ("sref https://x.example/a.png", "picture"),
            ("cref https://x.example/a.png", "picture"), ("cw 50", "picture"), ("sw 50", "picture"),
            ("oref https://x.example/a.png", "picture"), ("ow 90", "picture"), ("hd", "larger"), ("upbeta", "larger"),
            ("p", "prefer"), ("p abc123", "prefer"), ("profile abc", "prefer"), ("w 1024", "shape"),
            ("size 512", "shape"), ("bs 2", "count"), ("neg clouds", "no"), ("cfg 7", "guidance"),
            ("sameseed 9", "seed"), ("video", "video"), ("stealth", "private"),
        )),
        ("apple —v 6", "model"),
        ("苹果－－niji 6", "model"),
        ("苹果--v6", "model"),
        ("--v 6 a red apple", "model"),
    ],
)  # fmt: skip
def test_flags_of_midjourney_are_answered_by_name(typed: str, code: str) -> None:
    """With what does the same here, never with a flag that is merely spelt alike."""
    with pytest.raises(MalformedPrompt) as caught:
        parse(typed)
    assert caught.value.code == f"foreign.{code}"
    assert "do you mean" not in str(caught.value)
    assert str(caught.value).startswith("--")


def test_what_foreign_flags_are_told_to_use_exists() -> None:
    """Each flag that an answer names is one, none of them is a flag here, and every kind has names."""
    for words in FOREIGN_ENGLISH.values():
        named = [word.strip("-:;,") for word in words.split() if word.startswith("--")]
        assert all(name in BY_NAME for name in named), words
    assert not set(FOREIGN) & set(BY_NAME)
    assert set(FOREIGN.values()) | {"foreign.raw"} == set(FOREIGN_ENGLISH)


@pytest.mark.parametrize("flag", ["foobar", "ö", "xyzzy", "魔法", "lighting"])
def test_a_flag_that_is_like_none_gets_the_list(flag: str) -> None:
    """A guess that is not near would be nonsense: "did you mean --ar" of everything."""
    with pytest.raises(MalformedPrompt) as caught:
        parse(f"apple --{flag} 1")
    assert caught.value.code == "flag.none"
    assert all(each.dashed in str(caught.value) for each in FLAGS)


@pytest.mark.parametrize(
    ("typed", "code", "at"),
    [
        ("--no clouds a red apple", "flag.no_first", 0),
        ("--ar 16:9", "empty", 0),
        ("红苹果--n 9", "flag.range", 7),
        ("红苹果--ar 9：1", "flag.range", 8),
        ("apple —seed x", "flag.form", 12),
        ("apple --seed 1,5", "flag.form", 13),
        ("https://x.example/a.png --n 2 https://x.example/b.png cat", "link.many", 30),
        ("a {b，c", "brace.open", 2),
    ],
)
def test_errors_of_it_point_at_the_character(typed: str, code: str, at: int) -> None:
    """Whatever was glued to what."""
    with pytest.raises(MalformedPrompt) as caught:
        plan(typed)
    assert (caught.value.code, caught.value.at) == (code, at)


@pytest.mark.parametrize("size", [256, 320, 512, 1024])
def test_usual_shapes_differ(size: int) -> None:
    """At 256 pixels 3:2 and 16:9 were both 320 × 192. Each is within a twelfth of what was asked for."""
    shapes = {ratio: sides(ratio, size) for ratio in USUAL if ratio not in ((21, 9), (9, 21))}
    assert len(set(shapes.values())) == len(shapes)
    for (width, height), (w, h) in zip(shapes.values(), shapes, strict=True):
        assert abs(width / height / (w / h) - 1) < 1 / 12
        assert max(width, height) <= max(1024, 2 * size)


@pytest.mark.parametrize("ratio", [ratio for ratio in USUAL if ratio != (1, 1)])
def test_a_shape_is_said_again_as_it_was_typed(ratio: tuple[int, int]) -> None:
    """`--ar 16:9` comes back as such, not as 11:6."""
    request = image_request(seed=1, **fields(parse(f"apple --ar {ratio[0]}:{ratio[1]}"), **SERVER))
    assert wish_of(request, **SERVER).ratio == ratio


def test_fields_are_named_as_members_type_them() -> None:
    """For a field that is out of range: its flag, where it has one."""
    named = {name: flag.dashed for name in ImageRequest.model_fields if (flag := flag_of_field(name))}
    assert named["negative"] == "--no"
    assert (named["guidance"], named["width"], named["adapters"], named["count"]) == ("--s", "--ar", "--lora", "--n")
    assert set(ImageRequest.model_fields) - set(named) == {"version", "prompt", "parts", "label"}


def test_options_are_read_in_any_width_too() -> None:
    """Of /imagine: the same readers."""
    assert value_of(BY_NAME["ar"], "１６：９", 0) == (16, 9)
    assert value_of(BY_NAME["seed"], "７", 0) == 7
