"""Names of emoji in 20 languages, and more English keywords: emojibase, CLDR annotations, emojilib."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .drawing import Concept

#: Languages of `caption_<language>`, English apart. The last four come from CLDR, the others from emojibase.
EMOJIBASE_LANGUAGES = (
    "zh", "zh-hant", "ja", "ko", "fr", "de", "es", "pt", "it", "ru", "uk", "pl", "nl", "vi", "th", "hi",
)  # fmt: skip
CLDR_LANGUAGES = ("ar", "tr", "id", "fa")
LANGUAGES = EMOJIBASE_LANGUAGES + CLDR_LANGUAGES


def plain_code(code: str) -> str:
    """Hex code without variation selectors and leading zeros."""
    parts = [part.lstrip("0") for part in code.upper().split("-")]
    return "-".join(part for part in parts if part != "FE0F")


def code_of(characters: str) -> str:
    """`👨‍🍳` → `1F468-200D-1F373`."""
    return "-".join(f"{ord(each):X}" for each in characters if each != "\ufe0f")


@dataclass(frozen=True, slots=True)
class Translations:
    """What emoji are called: by language, then by code; and keywords by code."""

    names: dict[str, dict[str, str]]
    keywords: dict[str, tuple[str, ...]]

    def of(self, concept: Concept | None) -> dict[str, str]:
        """`caption_<language>` of every language; empty where there is none."""
        code = concept.code if concept else ""
        return {f"caption_{language}": self.names[language].get(code, "") for language in LANGUAGES}


def translations(emojibase: Path, emojilib: Path, cldr: Path, derived: Path) -> Translations:
    """Read the names of all languages from the unpacked packages."""
    names = {
        language: {
            plain_code(row["hexcode"]): row.get("label", "") for row in _read(emojibase / language / "data.json")
        }
        for language in EMOJIBASE_LANGUAGES
    }
    for language in CLDR_LANGUAGES:
        names[language] = {}
        for root, kind in ((cldr, "annotations"), (derived, "annotationsDerived")):
            content = _read(root / kind / language / "annotations.json")[kind]["annotations"]
            names[language] |= {code_of(each): said["tts"][0] for each, said in content.items() if said.get("tts")}
    keywords = {
        code_of(each): tuple(word.replace("_", " ").lower() for word in words if _is_words(word))
        for each, words in _read(emojilib / "dist" / "emoji-en-US.json").items()
    }
    return Translations(names, keywords)


def _is_words(text: str) -> bool:
    return len(text) > 1 and text.replace("_", "").replace(" ", "").replace("-", "").isalpha()


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
