"""What is refused before anything is queued, and what the refusal says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import discord
import pytest

from daguerre.bot.errors import Refused
from daguerre.bot.imagine.checks import check_words, refusal_of
from daguerre.bot.imagine.wishes import Malformed, orders, wishes
from daguerre.bot.interaction.places import channel_list, check_place
from daguerre.bot.message.address import TOKEN_SECONDS, Address
from daguerre.bot.moderation.settings import changed
from daguerre.queue.errors import InvalidRequest
from daguerre.queue.prompt.vocabulary import Vocabulary
from daguerre.queue.records.requests import MAX_PROMPT, ImageRequest, image_request
from daguerre.queue.store.members import Preferences
from daguerre.queue.store.server_settings import ServerSettings

WORDS = Vocabulary(["apple", "pizza", "rocket"], ["apple", "apples", "pizza", "rocket"], ["a", "red", "on"])


def refusal(caught: pytest.ExceptionInfo[Refused]) -> str:
    return caught.value.words("en")


def build_request(prompt: str, count: int, seed: int, settings: ServerSettings) -> ImageRequest:
    return orders(wishes(prompt, {"count": count, "seed": seed}, Preferences()), settings)[0].request


def test_a_request_takes_the_servers_defaults() -> None:
    """Steps, guidance and size come from /settings."""
    request = build_request("  a red apple ", 2, 7, ServerSettings(steps=9, guidance=2.5, size=512))
    assert (request.prompt, request.count, request.seed) == ("a red apple", 2, 7)
    assert (request.steps, request.guidance, request.width, request.height) == (9, 2.5, 512, 512)


@pytest.mark.parametrize(
    ("prompt", "count", "seed", "says"),
    [
        ("", 1, 0, "prompt is empty"),
        (" \n\t ", 1, 0, "prompt is empty"),
        ("\u200b\u202e", 1, 0, "prompt is empty"),
        ("x" * (MAX_PROMPT + 1), 1, 0, "has 1001 characters; at most 1000"),
        ("x", 0, 0, "from 1 to 4"),
        ("x", 99, 0, "from 1 to 4"),
        ("x", 1, -1, "from 0 to 4294967295"),
        ("x", 1, 2**32, "from 0 to 4294967295"),
        ("\ud800", 1, 0, "prompt is empty"),
        ("x\ud800", 1, 0, "“prompt” is out of range"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_its_limit(prompt: str, count: int, seed: int, says: str) -> None:
    """Discord's own limits stop most of this; whoever goes around them is stopped here."""
    with pytest.raises(Refused) as caught:
        build_request(prompt, count, seed, ServerSettings())
    assert says in refusal(caught)


def asked_in(channel: int, thread_of: int | None = None) -> Any:
    """As much of an interaction as says where it was."""
    place: Any = SimpleNamespace()
    if thread_of is not None:
        place = discord.Thread.__new__(discord.Thread)
        place.parent_id, parent = thread_of, SimpleNamespace(category_id=None)
        place.guild = SimpleNamespace(get_channel=lambda _: parent)
    return SimpleNamespace(channel=place, channel_id=channel, guild_id=1)


def test_a_channel_off_the_list_is_refused_with_the_list() -> None:
    """The member learns where it works. A thread goes by its channel."""
    settings = ServerSettings(channels=frozenset({"20", "3"}))
    check_place(settings, asked_in(20))
    check_place(settings, asked_in(999, thread_of=3))
    check_place(ServerSettings(), asked_in(1))
    with pytest.raises(Refused) as caught:
        check_place(settings, asked_in(1, thread_of=2))
    assert "<#3>, <#20>" in refusal(caught)


def test_a_long_list_of_channels_is_cut() -> None:
    """A refusal stays readable, and within Discord's limit."""
    named = channel_list(ServerSettings(channels=frozenset(str(k) for k in range(50))))
    assert named.count("<#") == 10
    assert named.endswith("…")


def test_a_prompt_with_some_unknown_words_is_drawn() -> None:
    """The report goes on the card."""
    report = check_words("a red appel on apple", WORDS)
    assert report is not None
    assert [found.word for found in report.unknown] == ["appel"]


def test_a_prompt_of_unknown_words_only_is_refused_with_help() -> None:
    """Naming a few things it knows, and the nearest words."""
    with pytest.raises(Refused) as caught:
        check_words("appel", WORDS)
    assert "Do you mean “apple”" in refusal(caught)
    with pytest.raises(Refused) as caught:
        check_words("zzzzqqqq", WORDS)
    assert "“apple”, “pizza”, “rocket”" in refusal(caught)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"negative": "x" * 1001}, "behind --no has more than 1000 characters"),
        ({"guidance": 99.0}, "--s goes from 0 to 1000"),
        ({"steps": 0}, "--steps goes from 1 to 100"),
        ({"width": 2064}, "“--ar” is out of range"),
        ({"chaos": 101}, "--chaos goes from 0 to 100"),
        ({"style": "x" * 201}, "behind --style has more than 200 characters"),
    ],
)
def test_a_field_is_named_as_it_is_typed(change: dict[str, Any], says: str) -> None:
    """Never by its inner name, such as “negative”."""
    with pytest.raises(InvalidRequest) as caught:
        image_request(**{"prompt": "x", "seed": 0, **change})
    told = refusal_of(caught.value, "x").words("en").replace("--c ", "--chaos ")
    assert says in told
    assert next(iter(change)) not in told.replace("--" + next(iter(change)), "")


def test_a_pipeline_without_a_vocabulary_is_not_checked() -> None:
    """Somebody else's checkpoint may know anything."""
    assert check_words("zzzzqqqq", None) is None


def test_settings_change_only_what_was_given() -> None:
    """None means: leave it."""
    old = ServerSettings(steps=9, guidance=2.5, size=512, channels=frozenset({"1"}))
    new = changed(old, {"steps": None, "guidance": 4, "size": None}, allow=2, remove=None, everywhere=False)
    assert new == ServerSettings(steps=9, guidance=4.0, size=512, channels=frozenset({"1", "2"}))
    nothing: dict[str, Any] = {}
    assert changed(old, nothing, allow=None, remove=1, everywhere=False).channels == frozenset()
    assert changed(old, nothing, allow=None, remove=None, everywhere=True).channels == frozenset()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "Nothing to change"),
        ({"steps": 0}, "steps go from 1 to 50"),
        ({"steps": 51}, "steps go from 1 to 50"),
        ({"guidance": 0.5}, "guidance goes from 1 to 12"),
        ({"guidance": float("nan")}, "guidance goes from 1 to 12"),
        ({"size": 300}, "sizes are 128, 256, 512, 768 and 1024"),
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, Any], says: str) -> None:
    """The record checks again what Discord's own limits let through."""
    with pytest.raises(Refused) as caught:
        changed(ServerSettings(), values, allow=None, remove=None, everywhere=False)
    assert says in refusal(caught)


def an_address(**fields: Any) -> Address:
    given = {
        "application": 1,
        "interaction": 2,
        "token": "t",
        "received": 100.0,
        "user": 3,
        "channel": 4,
        "guild": None,
    }
    return Address(**{**given, **fields})


def test_an_address_survives_the_job_table() -> None:
    """What is written into the job is read back, message id and all."""
    address = an_address(message=9, locale="de", file_limit=5)
    assert Address.of(address.reply()) == address


@pytest.mark.parametrize("reply", [{}, {"kind": "http"}, {"kind": "discord"}, {"kind": "discord", "application": "x"}])
def test_replies_of_others_are_left_alone(reply: dict[str, Any]) -> None:
    """The HTTP API keeps its own replies in the same table."""
    assert Address.of(reply) is None


def test_a_token_is_given_up_before_discord_does() -> None:
    """14 of its 15 minutes."""
    address = an_address()
    assert address.token_open(100.0 + TOKEN_SECONDS - 1)
    assert not address.token_open(100.0 + TOKEN_SECONDS)


@pytest.mark.parametrize(
    ("flag", "option"),
    [
        ("--ar 3:2", {"aspect": "3:2"}),
        ("--no worm", {"no": "worm"}),
        ("--style noto", {"style": "noto"}),
        ("--seed 7", {"seed": 7}),
        ("--iw 2", {"image_weight": 2.0}),
        ("--s 250", {"stylize": 250.0}),
        ("--c 30", {"chaos": 30}),
        ("--q 2", {"quality": 2.0}),
        ("--steps 9", {"steps": 9}),
        ("--stop 80", {"stop": 80}),
        ("--tile", {"tile": True}),
        ("--draft", {"draft": True}),
        ("--transparent", {"transparent": True}),
        ("--svg", {"svg": True}),
        ("--model m", {"model": "m"}),
        ("--lora m", {"lora": "m"}),
        ("--n 4", {"count": 4}),
        ("--relax", {"relaxed": True}),
        ("--repeat 3", {"repeat": 3}),
    ],
)
def test_options_are_the_same_as_flags(flag: str, option: dict[str, Any]) -> None:
    """Whoever would rather choose than type gets the same request."""
    typed = wishes(f"apple {flag}", {}, Preferences())
    assert wishes("apple", option, Preferences()) == typed
    assert typed != wishes("apple", {}, Preferences())


def test_every_flag_is_an_option() -> None:
    """The command offers all that the grammar knows."""
    from daguerre.bot.imagine.command import FLAG_OPTIONS, ORDER
    from daguerre.queue.records import FLAGS

    assert {flag.field for flag in FLAG_OPTIONS} == {flag.field for flag in FLAGS}
    assert set(ORDER) <= {flag.option for flag in FLAG_OPTIONS}


def test_an_error_of_the_grammar_shows_its_place() -> None:
    """In a block of fixed width that nothing typed can end."""
    with pytest.raises(Malformed) as caught:
        wishes("a ``` apple --sed 7", {}, Preferences())
    said = caught.value.words("zh-CN")
    assert "--seed" in said
    assert said.count("```") == 2
    line, mark = said.split("```")[1].strip("\n").splitlines()
    assert line[mark.index("^") :] == "--sed 7"


def test_preferences_are_behind_what_is_said() -> None:
    """A suffix that cannot be read any more says nothing."""
    (wish,) = wishes("apple", {}, Preferences(suffix="at night --ar 3:2", style="noto", count=4))
    assert (wish.prompt, wish.ratio, wish.style, wish.count) == ("apple at night", (3, 2), "noto", 4)
    (plain,) = wishes("apple", {"count": 1}, Preferences(suffix="--gone 3", count=4))
    assert (plain.prompt, plain.count) == ("apple", 1)
