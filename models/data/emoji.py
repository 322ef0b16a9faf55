"""Join the drawings of every set to one Unicode emoji and its names.

Sets name their drawings by hex code, by CLDR label or by run-together words; a label squashed to letters and
digits is common to most of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .sources import DrawingSet

#: emojibase groups that are never drawn: skin tones and hair (2), flags (9).
SKIPPED_GROUPS = frozenset({2, 9})


@dataclass(frozen=True, slots=True)
class Concept:
    """One Unicode emoji: what it is called."""

    #: Code points without FE0F, as `1F34E` or `1F468-200D-1F373`.
    code: str
    label: str
    keywords: tuple[str, ...]
    label_zh: str
    keywords_zh: tuple[str, ...]
    group: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture of a concept: an SVG text or a WebP file."""

    concept: Concept
    drawing_set: DrawingSet
    name: str
    source: str | Path


def squash(text: str) -> str:
    """Letters and digits only: `Red-Apple` and `redapple` are the same name."""
    return re.sub(r"[^a-z0-9]", "", text.lower().replace("&", "and"))


def plain_code(code: str) -> str:
    """Hex code without variation selectors and leading zeros."""
    parts = [part.lstrip("0") for part in code.upper().split("-")]
    return "-".join(part for part in parts if part != "FE0F")


def concepts(emojibase: Path) -> dict[str, Concept]:
    """All emoji that are drawn, by code."""
    english = _read(emojibase / "en" / "data.json")
    chinese = {plain_code(row["hexcode"]): row for row in _read(emojibase / "zh" / "data.json")}
    found: dict[str, Concept] = {}
    for row in english:
        if row.get("group") is None or row["group"] in SKIPPED_GROUPS:
            continue
        code = plain_code(row["hexcode"])
        translated = chinese.get(code, {})
        found[code] = Concept(
            code, row["label"].lower(), tuple(row.get("tags", ())),
            translated.get("label", ""), tuple(translated.get("tags", ())), row["group"],
        )  # fmt: skip
    return found


def drawings(package: Path, drawing_set: DrawingSet, known: dict[str, Concept], emojibase: Path) -> Iterator[Drawing]:
    """Each drawing of the set that can be joined to a known concept, one for each concept."""
    seen: set[str] = set()
    names = _names(known, emojibase)
    if drawing_set.kind == "webp":
        for file in sorted((package / drawing_set.path).glob("*.webp")):
            concept = known.get(plain_code(file.stem))
            if concept and concept.code not in seen:
                seen.add(concept.code)
                yield Drawing(concept, drawing_set, file.stem, file)
        return
    icons = _read(package / drawing_set.path)
    codes = {name: plain_code(code) for code, name in icons.get("chars", {}).items()}
    for name, icon in icons["icons"].items():
        if icon.get("hidden"):
            continue
        code = codes.get(name) or names.get(squash(re.sub(r"-\d$", "", name)))
        if code not in known or code in seen:
            continue
        seen.add(code)
        width = icon.get("width", icons.get("width", 16))
        height = icon.get("height", icons.get("height", 16))
        box = f"{icon.get('left', 0)} {icon.get('top', 0)} {width} {height}"
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box}" '
            f'width="{width}" height="{height}">{icon["body"]}</svg>'
        )
        yield Drawing(known[code], drawing_set, name, svg)


def _names(known: dict[str, Concept], emojibase: Path) -> dict[str, str]:
    """Every name a set may use, squashed → code; CLDR labels win over shortcodes."""
    found: dict[str, str] = {}
    for provider in ("emojibase", "github", "iamcal", "joypixels", "cldr"):
        for code, shortcodes in _read(emojibase / "en" / "shortcodes" / f"{provider}.json").items():
            for shortcode in [shortcodes] if isinstance(shortcodes, str) else shortcodes:
                found.setdefault(squash(shortcode), plain_code(code))
    found.update({squash(concept.label): code for code, concept in known.items()})
    return found


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
