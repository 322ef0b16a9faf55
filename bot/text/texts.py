"""Every text that a member sees, in their language: Fluent files in locales/<language>/, one file for each feature.

A code such as `card.place.eta` is the message `card-place-eta`. Codes read `<where>.<what>`: `name.*` and `command.*`
are names and descriptions in Discord's command picker, `card.*` stands on the status message, `end.*` on the finished
one, `reason.*` says why a worker refused, `refused.*` are private answers, `studio.*` stands in the browser; the rest
goes by feature. English has every text; a language that lacks one is a failed test. zh-TW is made of zh-CN by
scripts/traditional.py. They are read by queue/texts.py, since the studio says the same.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ...queue.texts import ENGLISH, Texts

LOCALES = Path(__file__).parent / "locales"


@cache
def _texts() -> Texts:
    return Texts(LOCALES)


def text(code: str, /, locale: str = ENGLISH, **values: object) -> str:
    """The text of this code in the language of a Discord locale such as `zh-CN`, with its values filled in.

    Numbers are written without separators; where the file has plural forms, they choose one.

    Raises:
        KeyError: there is no such text, or a value is missing: a bug of ours.
    """
    return _texts().text(code, locale, **values)


def reason(code: str | None, locale: str = ENGLISH) -> str:
    """Why a worker refused, for the code it gave; a general sentence for codes without a text."""
    known = bool(code) and _texts().has(f"reason.{code}")
    return text(f"reason.{code}" if known else "reason.other", locale)


def codes(language: str = ENGLISH) -> frozenset[str]:
    """All codes that a language has."""
    return _texts().codes(language)


def languages() -> tuple[str, ...]:
    """The languages there are, English first."""
    return _texts().languages


def language_of(locale: str) -> str:
    """The language in which somebody with this Discord locale is answered."""
    return _texts().language_of(locale)
