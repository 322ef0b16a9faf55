"""The texts that members see: all there, none left over, all within Discord's limits."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

from daguerre.bot.texts import codes, reason, text

BOT = Path(__file__).parents[1] / "bot"
#: Codes that are put together at run time: the worker's reasons, and the ranges of /settings.
COMPOSED = ("reason.", "settings.range.")


def _literals() -> set[str]:
    """Every string constant in the bot's source, but for the catalogue itself."""
    sources = [path.read_text(encoding="utf-8") for path in BOT.glob("*.py") if path.name != "texts.py"]
    return {
        node.value
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _asked() -> set[str]:
    """The codes that the source asks for by `text("…")` and `Refused("…")`."""
    calls = [
        node
        for path in BOT.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("text", "Refused")
    ]
    first = [call.args[0] for call in calls if call.args]
    return {arg.value for arg in first if isinstance(arg, ast.Constant) and isinstance(arg.value, str)}


def test_every_code_that_is_asked_for_exists() -> None:
    """A code without a text would be a KeyError in front of a member."""
    assert _asked()
    assert _asked() <= codes()


def test_no_text_is_left_over() -> None:
    """A text that nothing asks for is never seen, and never translated for a reason."""
    unused = {code for code in codes() - _literals() if not code.startswith(COMPOSED)}
    assert unused == set()


def test_texts_for_the_command_picker_are_short_and_plain() -> None:
    """Discord takes at most 100 characters for a description, and nothing is filled in there."""
    for code in codes():
        if code.startswith("command."):
            assert 1 <= len(text(code)) <= 100


@pytest.mark.parametrize("code", sorted(codes()))
def test_placeholders_are_simple_names(code: str) -> None:
    """Translators see `{place}`, never an expression or a position."""
    from daguerre.bot import texts

    for _, name, spec, conversion in string.Formatter().parse(texts._TEXTS[code]):
        assert name is None or name.isidentifier()
        assert not spec
        assert conversion is None


def test_a_reason_that_has_no_text_of_its_own_gets_the_general_one() -> None:
    """A newer worker may refuse for reasons that this bot has no words for."""
    assert reason("something new") == reason("other") == reason(None)
