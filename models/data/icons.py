"""Icons with names that say what they show: Iconify's colour sets, the Tango theme."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from .clean import reason_against, unsafe
from .drawing import Concept, Drawing, Dropped
from .emoji import icon_svg
from .sources import DrawingSet

#: Endings that number or vary a drawing and do not say what it shows.
_ENDING = re.compile(r"-(duo|\d+|alt|bold|fill|clip)$")
_SPELLING = {
    "clound": "cloud", "databse": "database", "disapointed": "disappointed", "forbiden": "forbidden",
    "gift-reciept": "gift-receipt", "labtop": "laptop", "reciept": "receipt", "seach": "search",
    "strucutre": "structure",
}  # fmt: skip
#: Interface words: what such icons show cannot be told from a name, or is nothing but lines.
_ABSTRACT = re.compile(
    r"^(align|arrange|border|cell border|columns?|corner|diagram|direction button|distribute|expand|flip|format|grid|"
    r"hierarchy|indent|justify|kern|layers?|layout|letter|line height|list|module|move|outdent|paginate|paragraph|"
    r"pathfinder|rows?|shape|shrink|sort|spacing|style|text|transform|vectors?|view|zoom)\b"
    r"|^(stock|gtk|gnome|time|right|left|up|down)\b|^(gauge dashboard|celsius|fahrenheit|not available|code \w+)$"
)
#: What the theme's names say of the menu an icon stands in.
_TANGO_PREFIX = re.compile(r"^(applications|accessories|emblem|preferences( desktop| system)?|utilities|x office) ")
#: Words that are one thing as an icon and another as an emoji: `mouse` is the animal there.
AMBIGUOUS = frozenset(
    {"mouse", "seal", "bat", "crane", "orange", "fan", "leaf", "bug", "radio", "record", "page", "cd"}
)


def drawings(package: Path, drawing_set: DrawingSet, by_label: Mapping[str, Concept]) -> Iterator[Drawing | Dropped]:
    """Each icon of an Iconify set; of one that comes in several pixel sizes, the largest."""
    icons = json.loads((package / drawing_set.path).read_text(encoding="utf-8"))
    sized = drawing_set.name == "fluent-color"
    category = {name: group for group, members in icons.get("categories", {}).items() for name in members}
    best: dict[str, str] = {}
    for name, icon in icons["icons"].items():
        if icon.get("hidden"):
            yield Dropped(name, "hidden")
        elif sized:
            stem, _, pixels = name.rpartition("-")
            if stem not in best or int(pixels) > int(best[stem].rpartition("-")[2]):
                best[stem] = name
        else:
            best[name] = name
    for stem, name in best.items():
        if category.get(name) == "Logos":
            yield Dropped(name, "brand")
        else:
            yield judged(
                name, icon_svg(icons["icons"][name], icons), caption_of(stem), by_label, category.get(name, "")
            )


def tango(package: Path, drawing_set: DrawingSet, by_label: Mapping[str, Concept]) -> Iterator[Drawing | Dropped]:
    """Each icon of the theme; links (its aliases for other desktops) were not unpacked."""
    root = package / drawing_set.path
    for file in sorted(root.glob("*/*.svg")):
        art = file.read_text(encoding="utf-8", errors="replace")
        caption = _TANGO_PREFIX.sub("", caption_of(file.stem)).removesuffix(" x generic")
        yield judged(file.stem, art, caption, by_label, file.parent.name)


def caption_of(name: str) -> str:
    """`gift-reciept-2-duo` → `gift receipt`."""
    before = ""
    while before != name:
        before, name = name, _ENDING.sub("", name)
    for wrong, right in _SPELLING.items():
        name = name.replace(wrong, right)
    name = re.sub(r"(up|down|left|right)2$", r"\1", name)
    return re.sub(r"[-_]+", " ", name).strip().lower()


def judged(name: str, art: str, caption: str, by_label: Mapping[str, Concept], category: str) -> Drawing | Dropped:
    """The drawing, or why not."""
    if reason := reason_against(name, caption):
        return Dropped(name, reason)
    if unsafe(caption):
        return Dropped(name, "unsafe")
    if _ABSTRACT.search(caption):
        return Dropped(name, "abstract")
    concept = None if caption in AMBIGUOUS else by_label.get(caption)
    return Drawing(name, art, caption, concept.keywords if concept else (), concept, category)
