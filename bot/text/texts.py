"""Every text that a member sees, in their language: Fluent files in locales/<language>/, one file for each feature.

A code such as `card.place.eta` is the message `card-place-eta`. Codes read `<where>.<what>`: `name.*` and `command.*`
are names and descriptions in Discord's command picker, `card.*` stands on the status message, `end.*` on the finished
one, `reason.*` says why a worker refused, `refused.*` are private answers; the rest goes by feature. English has every
text; a language that lacks one is a failed test. zh-TW is made of zh-CN by scripts/traditional.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from fluent.runtime import FluentBundle, FluentResource
from fluent.runtime.types import FluentNone, fluent_number
from fluent.syntax import ast as FTL  # noqa: N812 (its usual name)

LOCALES = Path(__file__).parent / "locales"
#: The language that every text exists in first.
ENGLISH = "en"
#: Discord's locales that speak a language other than by their own name.
_SPEAK: Mapping[str, str] = {"en-US": ENGLISH, "en-GB": ENGLISH, "zh": "zh-CN"}


def text(code: str, /, locale: str = ENGLISH, **values: object) -> str:
    """The text of this code in the language of a Discord locale such as `zh-CN`, with its values filled in.

    Numbers are written without separators; where the file has plural forms, they choose one.

    Raises:
        KeyError: there is no such text, or a value is missing: a bug of ours.
    """
    bundle = _bundle(language_of(locale))
    pattern = bundle.get_message(_name(code)).value
    if pattern is None:
        raise KeyError(code)
    filled, problems = bundle.format_pattern(pattern, {name: _value(given) for name, given in values.items()})
    if problems or isinstance(filled, FluentNone):
        raise KeyError(f"{code}: {problems}")
    return filled


def reason(code: str | None, locale: str = ENGLISH) -> str:
    """Why a worker refused, for the code it gave; a general sentence for codes without a text."""
    known = bool(code) and _bundle(ENGLISH).has_message(_name(f"reason.{code}"))
    return text(f"reason.{code}" if known else "reason.other", locale)


def codes(language: str = ENGLISH) -> frozenset[str]:
    """All codes that a language has."""
    return frozenset(name.replace("-", ".") for resource in _resources(language) for name in _names(resource))


@cache
def languages() -> tuple[str, ...]:
    """The languages there are, English first."""
    others = sorted(folder.name for folder in LOCALES.iterdir() if folder.is_dir() and folder.name != ENGLISH)
    return (ENGLISH, *others)


def language_of(locale: str) -> str:
    """The language in which somebody with this Discord locale is answered."""
    language = _SPEAK.get(locale, locale)
    return language if language in languages() else ENGLISH


@cache
def _bundle(language: str) -> FluentBundle:
    # Without isolation marks: Discord's markdown and mentions would not be recognised behind them.
    bundle = FluentBundle([language], use_isolating=False)
    for resource in _resources(language):
        bundle.add_resource(resource)
    return bundle


@cache
def _resources(language: str) -> tuple[FTL.Resource, ...]:
    files = sorted((LOCALES / language).glob("*.ftl"))
    return tuple(FluentResource(file.read_text(encoding="utf-8")) for file in files)


def _names(resource: FTL.Resource) -> list[str]:
    return [entry.id.name for entry in resource.body if isinstance(entry, FTL.Message)]


def _name(code: str) -> str:
    return code.replace(".", "-")


def _value(given: object) -> object:
    return fluent_number(given, useGrouping=False) if isinstance(given, int | float) else given
