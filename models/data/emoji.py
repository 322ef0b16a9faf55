"""Join the drawings of every emoji set to one Unicode emoji and its names.

Sets name their drawings by hex code, by CLDR label, by Unicode name or by run-together words; a name squashed to
letters and digits is common to most of them. What no list knows is split into words, which are its caption then.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .aliases import alias, vague
from .clean import reason_against, reason_against_emoji
from .drawing import Concept, Drawing, Dropped
from .languages import plain_code
from .sources import DrawingSet

#: emojibase groups that are never drawn: skin tones and hair (2), flags (9).
SKIPPED_GROUPS = frozenset({2, 9})
#: Names of emojibase's groups, by number.
GROUPS = (
    "smileys and emotion", "people and body", "components", "animals and nature", "food and drink",
    "travel and places", "activities", "objects", "symbols", "flags",
)  # fmt: skip
#: emojibase's group of people and their gestures.
PEOPLE = 1
#: Words of one or two letters that a run-together name may contain.
_SHORT_WORDS = frozenset({"at", "in", "no", "of", "on", "tv", "up"})


@dataclass(frozen=True, slots=True)
class Names:
    """How drawings are joined to emoji."""

    known: Mapping[str, Concept]
    #: Squashed name → code.
    codes: Mapping[str, str]
    #: Words that run-together names are made of.
    words: frozenset[str]


def squash(text: str) -> str:
    """Letters and digits only: `Red-Apple` and `redapple` are the same name."""
    return re.sub(r"[^a-z0-9]", "", text.lower().replace("&", "and"))


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


def names(emojibase: Path, known: Mapping[str, Concept]) -> Names:
    """Every name a set may use; CLDR labels win over shortcodes, these over Unicode's own names."""
    found: dict[str, str] = {}
    for provider in ("emojibase", "github", "iamcal", "joypixels", "cldr"):
        for code, shortcodes in _read(emojibase / "en" / "shortcodes" / f"{provider}.json").items():
            for shortcode in [shortcodes] if isinstance(shortcodes, str) else shortcodes:
                found.setdefault(squash(shortcode), plain_code(code))
    found.update({squash(concept.label): code for code, concept in known.items()})
    words: set[str] = set()
    for code, concept in known.items():
        formal = "" if "-" in code else unicodedata.name(chr(int(code, 16)), "").lower()
        if formal:
            found.setdefault(squash(formal), code)
        for text in (concept.label, formal, *concept.keywords):
            words.update(re.findall(r"[a-z]+", text.lower()))
    return Names(known, found, frozenset(word for word in words if len(word) > 2) | _SHORT_WORDS)


def drawings(package: Path, drawing_set: DrawingSet, by: Names) -> Iterator[Drawing | Dropped]:
    """Each drawing of the set: those joined to an emoji, then those that only have a name."""
    seen: set[str] = set()
    nameless: list[Drawing] = []
    if drawing_set.form == "webp":
        candidates: Iterable[tuple[str, str, str | Path]] = (
            (file.stem, plain_code(file.stem), file) for file in sorted((package / drawing_set.path).glob("*.webp"))
        )
    else:
        candidates = _iconify(package / drawing_set.path, drawing_set.name, by)
    for name, code, art in candidates:
        concept = by.known.get(code)
        reason = reason_against_emoji(concept.label) if concept else reason_against(name)
        if code == "hidden":
            yield Dropped(name, "hidden")
        elif code == "flag" or (code and not concept and drawing_set.form == "webp"):
            # The 3D set names its files by code alone: what is not known is a flag, a skin tone or a part.
            yield Dropped(name, reason or "flag")
        elif reason:
            yield Dropped(name, reason)
        elif concept and concept.code in seen and concept.group == PEOPLE:
            # Streamline draws people twice: in emoji yellow and with one skin tone.
            yield Dropped(name, "skin tone")
        elif concept:
            seen.add(concept.code)
            yield Drawing(name, art, concept.label, concept.keywords, concept, GROUPS[concept.group])
        elif (caption := spoken(name, by.words)) is None or vague(caption, drawing_set.name):
            yield Dropped(name, "no name")
        else:
            nameless.append(Drawing(name, art, caption))
    yield from nameless


def icon_svg(icon: Mapping[str, Any], icons: Mapping[str, Any]) -> str:
    """The SVG text of one entry of an Iconify set."""
    width = icon.get("width", icons.get("width", 16))
    height = icon.get("height", icons.get("height", 16))
    box = f"{icon.get('left', 0)} {icon.get('top', 0)} {width} {height}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box}" '
        f'width="{width}" height="{height}">{icon["body"]}</svg>'
    )


def spoken(name: str, words: frozenset[str]) -> str | None:
    """`blackskullcrossbones` → `black skull crossbones`; None where it is not made of known words.

    The split with the longest words wins (largest sum of squared lengths, by dynamic programming).
    """
    parts = [part for part in re.sub(r"-\d+$", "", name.lower()).split("-") if part]
    split = [_split(re.sub(r"[^a-z]", "", part), words) for part in parts]
    if not split or any(each is None for each in split):
        return None
    return " ".join(each for each in split if each) or None


def _split(text: str, words: frozenset[str]) -> str | None:
    @cache
    def best(start: int) -> tuple[int, str] | None:
        if start == len(text):
            return 0, ""
        found: tuple[int, str] | None = None
        for end in range(start + 1, len(text) + 1):
            word = text[start:end]
            rest = best(end) if word in words else None
            if rest is not None and (found is None or rest[0] + len(word) ** 2 > found[0]):
                found = rest[0] + len(word) ** 2, f"{word} {rest[1]}"
        return found

    answer = best(0)
    return answer[1].strip() if answer else None


def _iconify(file: Path, drawing_set: str, by: Names) -> Iterator[tuple[str, str, str]]:
    """Name, code (or `hidden`, `flag`, or nothing) and SVG of each icon."""
    icons = _read(file)
    codes = {name: plain_code(code) for code, name in icons.get("chars", {}).items()}
    flags = set(icons.get("categories", {}).get("Flags", ()))
    for name, icon in icons["icons"].items():
        if icon.get("hidden"):
            yield name, "hidden", ""
            continue
        said = alias(name, drawing_set) or re.sub(r"-\d$", "", name)
        code = codes.get(name) or by.codes.get(squash(said), "")
        if code not in by.known:
            code = "flag" if name in flags else ""
        yield name, code, icon_svg(icon, icons)


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
