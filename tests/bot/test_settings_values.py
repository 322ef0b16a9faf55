"""Whatever is typed for a setting is taken or refused with its range; what is said can be typed again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daguerre.bot.errors import Refused
from daguerre.bot.moderation.settings_values import (
    LONGEST_FILE,
    NAMES,
    allowed,
    changed,
    choices,
    from_toml,
    to_toml,
    value_text,
    with_typed,
)
from daguerre.bot.moderation.settings_view import messages
from daguerre.queue.store.server_settings import ServerSettings

#: Values that are near what settings take.
VALUES = st.one_of(
    st.text(max_size=30),
    st.integers(-(10**6), 10**6).map(str),
    st.floats().map(str),
    st.sampled_from(
        ["-", "true", "false", "<#123>", "<@&7>, 8", "en", "same", "7 weight=2; 8 daily_seconds=9", "a, b"]
    ),
)


def outcome(name: str, value: str) -> ServerSettings | Refused:
    """The settings with this value, or why not."""
    try:
        return with_typed(ServerSettings(), name, value)
    except Refused as refused:
        return refused


@settings(max_examples=300)
@given(st.sampled_from(NAMES), VALUES)
def test_any_value_is_taken_within_its_range_or_refused_with_it(name: str, value: str) -> None:
    """Never an error of another kind; a value that was taken survives being said and typed again."""
    taken = outcome(name, value)
    if isinstance(taken, Refused):
        assert taken.values["field"] == name
        assert allowed(name) in taken.words("en-US")
        return
    assert with_typed(ServerSettings(), name, value_text(name, taken)) == taken
    others = {other: getattr(taken, other) for other in NAMES if other != name}
    assert others == {other: getattr(ServerSettings(), other) for other in NAMES if other != name}


@pytest.mark.parametrize("name", NAMES)
def test_every_suggestion_can_be_chosen(name: str) -> None:
    """And every setting says what it takes."""
    assert allowed(name)
    for value in choices(name):
        with_typed(ServerSettings(), name, value)


def test_settings_open_again_from_their_file() -> None:
    """Lists, texts with quotes, numbers; what a file does not name is as by default."""
    full = changed(
        ServerSettings(),
        {"styles": ['a "quoted" name', "ü"], "roles": ["7 weight=2"], "channels": ["1", "22"], "guidance": 2.5,
         "previews": False, "log_channel": "9", "language": "zh-CN"},
    )  # fmt: skip
    assert from_toml(to_toml(full).encode()) == full
    assert from_toml(b"steps = 9\n") == ServerSettings(steps=9)


@pytest.mark.parametrize(
    "data", [b"\xff", b"steps = ", b"[steps]\nx = 1", b"steps = 'nine'", b"nonsense = 1", b"#" * (LONGEST_FILE + 1)]
)
def test_a_file_that_is_no_settings_is_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        from_toml(data)


def test_all_settings_fit_few_messages() -> None:
    """However long its lists are: each fits Discord's 2,000 characters, none is cut inside a mention; one is usual."""
    ids = frozenset(str(10**19 + number) for number in range(100))
    names = frozenset(f"{number:03}" + "`" * 97 for number in range(100))
    wide = {
        "channels": ids, "categories": ids, "denied_channels": ids, "denied_categories": ids, "fast_roles": ids,
        "models": names, "styles": names, "log_channel": "9" * 20, "guidance": 2.5, "steps": 9, "size": 512,
        "roles": tuple(f"{10**19 + number} weight=2 queued=50" for number in range(100)),
    }  # fmt: skip
    for locale in ("en-US", "zh-CN"):
        made = messages("x" * 1900, ServerSettings.model_validate(wide), locale)
        words = "\n".join(made)
        assert len(made) <= 5
        assert all(len(message) <= 2000 for message in made)
        assert words.count("● **`") == len(wide)
        assert "`channels`** <#10000000000000000000>, <#" in words
        assert words.count("<") == words.count(">")
        assert "… +" in words
        assert "`fast_roles`** <@&1" in words
    (plain,) = messages("**Settings**", ServerSettings(), "en-US")
    assert "● **" not in plain
    assert all(f"`{name}` " in plain for name in ServerSettings.model_fields)
