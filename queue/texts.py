"""Texts in several languages: Fluent files in `<folder>/<language>/`, one file for each feature.

A code such as `card.place.eta` is the message `card-place-eta`. English has every text; somebody whose language is not
there is answered in English. `bot` and `web` read the same folder, which `app` hands to `web`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from fluent.runtime import FluentBundle, FluentResource
from fluent.runtime.types import FluentNone, fluent_number
from fluent.syntax import ast as FTL  # noqa: N812 (its usual name)
from fluent.syntax.visitor import Visitor

#: The language that every text exists in first.
ENGLISH = "en"
#: Locales that speak a language other than by their own name: Discord's, and browsers'.
_SPEAK: Mapping[str, str] = {
    "en-US": ENGLISH, "en-GB": ENGLISH, "zh": "zh-CN", "zh-SG": "zh-CN", "zh-Hans": "zh-CN", "zh-HK": "zh-TW",
    "zh-MO": "zh-TW", "zh-Hant": "zh-TW",
}  # fmt: skip


class Texts:
    """The texts of a folder; each language is read when it is first asked for, and kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bundles: dict[str, FluentBundle] = {}
        self._files: dict[str, tuple[FTL.Resource, ...]] = {}

    def text(self, code: str, /, locale: str = ENGLISH, **values: object) -> str:
        """The text of this code in the language of a locale such as `zh-CN`, with its values filled in.

        Numbers are written without separators; where the file has plural forms, they choose one.

        Raises:
            KeyError: there is no such text, or a value is missing: a bug of ours.
        """
        bundle = self._bundle(self.language_of(locale))
        # Fluent raises LookupError for a name that it does not have: KeyError is one.
        pattern = bundle.get_message(_name(code)).value
        if pattern is None:
            raise KeyError(code)
        filled, problems = bundle.format_pattern(pattern, {name: _value(given) for name, given in values.items()})
        if problems or isinstance(filled, FluentNone):
            raise KeyError(f"{code}: {problems}")
        return filled

    def forms(self, code: str, locale: str = ENGLISH) -> str | Mapping[str, str]:
        """The text with `{name}` in place of each value, for whoever fills it in; where plural forms choose, `one` and
        `other`. Raises: KeyError."""
        message = next(
            each for file in self._resources(ENGLISH) for each in _messages(file) if each.id.name == _name(code)
        )
        found = _Variables()
        found.visit(message)
        marks: dict[str, object] = {name: f"{{{name}}}" for name in found.names}
        other = self.text(code, locale, **marks)
        if not found.chosen_by:
            return other
        return {"one": self.text(code, locale, **{**marks, **dict.fromkeys(found.chosen_by, 1)}), "other": other}

    def has(self, code: str) -> bool:
        """Whether there is a text of this code."""
        return self._bundle(ENGLISH).has_message(_name(code))

    def codes(self, language: str = ENGLISH) -> frozenset[str]:
        """All codes that a language has."""
        return frozenset(name.replace("-", ".") for file in self._resources(language) for name in _names(file))

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """The languages there are, English first."""
        others = sorted(folder.name for folder in self.folder.iterdir() if folder.is_dir() and folder.name != ENGLISH)
        return (ENGLISH, *others)

    def language_of(self, locale: str) -> str:
        """The language in which somebody with this locale is answered."""
        language = _SPEAK.get(locale, locale)
        return language if language in self.languages else ENGLISH

    def _bundle(self, language: str) -> FluentBundle:
        if language not in self._bundles:
            # Without isolation marks: Discord's markdown and mentions would not be recognised behind them.
            bundle = FluentBundle([language], use_isolating=False)
            for resource in self._resources(language):
                bundle.add_resource(resource)
            self._bundles[language] = bundle
        return self._bundles[language]

    def _resources(self, language: str) -> tuple[FTL.Resource, ...]:
        if language not in self._files:
            files = sorted((self.folder / language).glob("*.ftl"))
            self._files[language] = tuple(FluentResource(file.read_text(encoding="utf-8")) for file in files)
        return self._files[language]


class _Variables(Visitor):
    """The values that a text takes, and those by which a plural form is chosen."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.chosen_by: list[str] = []

    def visit_VariableReference(self, node: FTL.VariableReference) -> None:  # noqa: N802 (the library's convention)
        self.names.append(node.id.name)

    def visit_SelectExpression(self, node: FTL.SelectExpression) -> None:  # noqa: N802
        if isinstance(node.selector, FTL.VariableReference):
            self.chosen_by.append(node.selector.id.name)
        self.generic_visit(node)


def _messages(resource: FTL.Resource) -> list[FTL.Message]:
    return [entry for entry in resource.body if isinstance(entry, FTL.Message)]


def _names(resource: FTL.Resource) -> list[str]:
    return [message.id.name for message in _messages(resource)]


def _name(code: str) -> str:
    return code.replace(".", "-")


def _value(given: object) -> object:
    return fluent_number(given, useGrouping=False) if isinstance(given, int | float) else given
