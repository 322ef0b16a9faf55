"""The texts that members see: all there in every language, none left over, all within Discord's limits."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path
from typing import Any, get_args

import discord
import pytest
from fluent.runtime import FluentResource
from fluent.syntax import FluentSerializer
from fluent.syntax import ast as ftl
from fluent.syntax.visitor import Visitor
from sourcekit import command_tree

from daguerre.bot.message.keys import EMOJI
from daguerre.bot.picture.region_form import PLACES
from daguerre.bot.text.texts import ENGLISH, LOCALES, codes, language_of, languages, reason, text
from daguerre.bot.text.translate import Translator
from daguerre.queue.moderation.showing import Why
from daguerre.queue.prompt.grammar import MalformedPrompt
from daguerre.queue.records import FLAGS
from daguerre.queue.records.jobs import JobState
from daguerre.queue.records.requests import SAMPLERS

BOT = Path(__file__).parents[2] / "bot"
#: Codes that are put together at run time; each family has a test of its own, here or beside what it belongs to.
COMPOSED = ("reason.", "settings.range.", "name.", "command.")
OTHERS = [language for language in languages() if language != ENGLISH]


def _calls() -> list[ast.Call]:
    return [
        node
        for path in BOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]


def _literals() -> set[str]:
    """Every string constant in the source of the bot, and of what the studio and it say alike."""
    others = (*(BOT.parent / "queue/asking").glob("*.py"), *(BOT.parent / "web").glob("*.py"))
    return {
        node.value
        for path in (*BOT.rglob("*.py"), *others)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _in_pages() -> set[str]:
    """The codes that the studio's templates and scripts ask for."""
    web = BOT.parent / "web"
    files = [*web.glob("templates/*.html"), *web.glob("static/*.js")]
    return {code for file in files for code in re.findall(r"""["'`](studio[\w.]*)["'`]""", file.read_text("utf-8"))}


def _asked() -> set[str]:
    """The codes that the source asks for by `text("…")` and `Refused("…")`."""
    calls = [call for call in _calls() if isinstance(call.func, ast.Name) and call.func.id in ("text", "Refused")]
    first = [call.args[0] for call in calls if call.args]
    return {arg.value for arg in first if isinstance(arg, ast.Constant) and isinstance(arg.value, str)}


class _Variables(Visitor):
    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_VariableReference(self, node: Any) -> None:  # noqa: N802 (the library's convention)
        self.names.add(node.id.name)


def _entries(language: str) -> list[Any]:
    found: list[Any] = []
    for file in sorted((LOCALES / language).glob("*.ftl")):
        found += FluentResource(file.read_text(encoding="utf-8")).body
    return found


def _variables(language: str) -> dict[str, set[str]]:
    """The values that each text takes."""
    found: dict[str, set[str]] = {}
    for entry in _entries(language):
        if isinstance(entry, ftl.Message):
            visitor = _Variables()
            visitor.visit(entry)
            found[entry.id.name] = visitor.names
    return found


#: English texts with a plural whose number is never 1: a bound of ours, or asked only of several.
_NEVER_ONE = frozenset(
    (
        "card-title-several", "alt-grid", "refused-amount", "rules-many", "problem-too_many", "problem-flag-many",
        "problem-part-many", "confirm-many", "expression-full", "button-largest", "refused-prompt-long", "refused-long",
        "settings-view", "settings-too_many_channels",
    )
)  # fmt: skip


#: Values of texts that are numbers of things.
_COUNTS = frozenset(
    (
        "attempts", "changed", "count", "days", "height", "jobs", "limit", "minutes", "most", "pixels", "requests",
        "running", "seconds", "slots", "steps", "stopped", "waiting", "width",
    )
)  # fmt: skip


def test_one_is_no_plural() -> None:
    """Every English text that counts reads well for 1: "1 more words" was one that did not."""
    for name, variables in _variables(ENGLISH).items():
        if not variables & _COUNTS or name in _NEVER_ONE:
            continue
        said = text(name.replace("-", "."), **{value: 1 if value in _COUNTS else "X" for value in variables})
        assert not re.search(r"(?<![\d.:$])\b1 (?!is\b|was\b|of yours|from this)(?:[a-z]+ )?[a-z]{2,}s\b", said), (
            name,
            said,
        )


def test_every_code_that_is_asked_for_exists() -> None:
    """A code without a text would be a KeyError in front of a member."""
    assert _asked()
    assert _asked() <= codes()


def _composed() -> set[str]:
    """Codes that are put together of a word and a key of some table: the whole family has to be there."""
    actions = {*EMOJI}
    return {
        *(f"button.{action}" for action in actions),
        *(f"help.button.{action}" for action in actions),
        *(f"help.flag.{flag.field}" for flag in FLAGS),
        *(f"problem.{code}" for code in MalformedPrompt.ENGLISH if code != "empty"),
        *(f"state.{state.value}" for state in JobState),
        *(f"form.place.{place}" for place in PLACES),
        *(f"{kind}.{what}" for kind in ("form", "expression") for what in ("emoji", "sticker") if kind == "form"),
        *(f"expression.{what}.added" for what in ("emoji", "sticker")),
        *(f"album.{kind}{end}" for kind in ("history", "favourites") for end in ("", ".none")),
        *(f"shown.{why}" for why in get_args(Why) if why),
        *(f"prefer.{word}" for word in ("nothing", "yes", "no")),
        *(f"studio.{page}" for page in ("ask", "gallery", "operate")),
        *(f"studio.gallery.{name}" for name in ("server", "member", "style", "model")),
        *(f"studio.operate.{span}" for span in ("hour", "day", "week")),
        *(f"studio.operate.kind.{kind}" for kind in ("report", "review", "appeal")),
        *(f"studio.operate.chart.{name}" for name in ("jobs", "asked", "drawn", "broken", "waited", "seconds")),
    }


def test_no_text_is_left_over() -> None:
    """A text that nothing asks for is never seen, and is translated for nothing."""
    assert _composed() <= codes()
    assert {code for code in _in_pages() if not code.endswith(".")} <= codes()
    unused = {code for code in codes() - _literals() - _composed() - _in_pages() if not code.startswith(COMPOSED)}
    assert unused == set()


def test_every_error_of_the_grammar_can_be_said() -> None:
    """With the values that come with it, in every language."""
    takes = _variables(ENGLISH)
    for code, english in MalformedPrompt.ENGLISH.items():
        if code != "empty":
            needed = set(re.findall(r"\{(\w+)\}", english))
            assert takes[f"problem-{code.replace('.', '-')}"] <= needed


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_is_complete(language: str) -> None:
    """The same texts as in English, with the same values, and none of its own."""
    assert _variables(language) == _variables(ENGLISH)
    assert codes(language) == codes()


@pytest.mark.parametrize("language", languages())
def test_the_files_are_sound(language: str) -> None:
    """Fluent passes over what it cannot read and over a second text of the same name; here that fails."""
    entries = _entries(language)
    junk = [FluentSerializer().serialize_entry(entry) for entry in entries if isinstance(entry, ftl.Junk)]
    assert junk == []
    names = [entry.id.name for entry in entries if isinstance(entry, ftl.Message)]
    assert {name for name in names if names.count(name) > 1} == set()


@pytest.mark.parametrize("language", OTHERS)
def test_texts_are_translated(language: str) -> None:
    """What reads the same as in English is only what has no words: layouts and names of things."""
    takes = _variables(language)
    same = {
        code
        for code in codes()
        if not takes[code.replace(".", "-")]
        and text(code) == text(code, language)
        and re.search(r"[a-z]{3}", text(code))
    }
    assert same <= {"name.seed"}


async def test_the_command_picker_is_localised_and_within_discords_limits() -> None:
    """Every name and description of every command is in the catalogue, and every such text belongs to a command."""
    seen: set[str] = set()
    tree, translator = command_tree(), Translator()
    for command in tree.get_commands():
        payload = await command.get_translated_payload(tree, translator)
        await _check(payload, tree, seen)
    assert not {text(code) for code in codes() if code.startswith(("name.", "command."))} - seen


async def _check(part: Any, tree: Any, seen: set[str]) -> None:
    """One command, group or option, with all below."""
    wanted = set(OTHERS)
    seen.add(part["name"])
    is_choice = "value" in part
    menu = not is_choice and part.get("type") in (2, 3) and "description" not in part
    translated = part.get("name_localizations") or {}
    is_name = is_choice and part["value"] in SAMPLERS  # They are called so in every language.
    if re.search(r"[a-z]", part["name"]) and not is_name:
        assert wanted <= set(translated), f"{part['name']} has no translated name"
    for name in (part["name"], *translated.values()):
        assert 1 <= len(name) <= (100 if is_choice else 32)
        if not (is_choice or menu):
            assert re.fullmatch(r"[-_\w]{1,32}", name), name
            assert name == name.lower()
    if not is_choice and not menu:
        seen.add(part["description"])
        assert wanted <= set(part["description_localizations"] or {}), f"{part['name']} has no translated description"
        for words in (part["description"], *part["description_localizations"].values()):
            assert 1 <= len(words) <= 100
    for below in ("options", "choices"):
        inner = part.get(below) or []
        assert len(inner) <= 25
        spoken = ([_local(each, language) for each in inner] for language in OTHERS)
        for names in ([each["name"] for each in inner], *spoken):
            assert len(set(names)) == len(names), names
        for each in inner:
            await _check(each, tree, seen)


def _local(part: Any, language: str) -> str:
    return (part.get("name_localizations") or {}).get(language, part["name"])


def test_every_locale_of_discord_is_answered() -> None:
    """In its language if there is one, else in English."""
    assert {language_of(locale.value) for locale in discord.Locale} == set(languages())
    assert language_of("de") == ENGLISH
    assert text("button.cancel", "zh-CN") == "取消"
    assert text("button.info", "zh-TW") == "資訊" != text("button.info", "zh-CN")
    assert text("button.cancel", "en-GB") == text("button.cancel", "tlh") == "Cancel"


def test_traditional_chinese_follows_simplified() -> None:
    """zh-TW is made by scripts/traditional.py: run it after each change in zh-CN."""
    made = runpy.run_path(str(BOT.parent / "scripts" / "traditional.py"))["converted"]()
    there = {file.name: file.read_text(encoding="utf-8") for file in (LOCALES / "zh-TW").glob("*.ftl")}
    assert there == made
    assert not re.search("[图张请务队绘机个]", "".join(there.values()))


def test_numbers_are_written_plainly() -> None:
    """A seed with separators could not be typed in again."""
    assert "4294967295" in text("end.details", seed=2**32 - 1, width=1, height=1, steps=1, guidance="3")


def test_a_missing_value_is_a_bug_and_not_a_text() -> None:
    """Fluent would show the member `{$place}`."""
    with pytest.raises(KeyError):
        text("card.place")
    with pytest.raises(KeyError):
        text("no.such.text")


def test_a_reason_that_has_no_text_of_its_own_gets_the_general_one() -> None:
    """A newer worker may refuse for reasons that this bot has no words for."""
    assert reason("something new") == reason("other") == reason(None)
    assert reason("something new", "zh-CN") == reason("other", "zh-CN")
