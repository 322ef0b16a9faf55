"""The words that LoRA adapters were trained to listen to, as their files or the operator tell them.

Looked for in this order: what the operator wrote, `config.json` of an adapter that was trained here, the file's own
`modelspec.trigger_phrase` (Stability AI's ModelSpec), and `ss_tag_frequency` of kohya's trainer: the tags that (nearly)
every picture had, or the name of the folder that the pictures lay in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from safetensors import safe_open

from ..common.adapter import SETTINGS
from .attached import Stamp, file_of, known_adapters, stamp

#: A tag that so large a part of the pictures had was not said of any one of them; and how many of them are told.
NEARLY_ALL, MOST_TAGS = 0.9, 3
#: Characters of what is told of one adapter.
LONGEST = 120
#: `10_sks dog`: pictures that are shown ten times each, of what.
_FOLDER = re.compile(r"^\d+_(?P<words>.+)$")


class Triggers:
    """Of the adapters in a folder."""

    def __init__(self, folder: Path | None, told: Mapping[str, str] | None = None) -> None:
        """`told`: words by adapter, as the operator wrote them."""
        self._folder = folder
        self._told = dict(told or {})
        self._read: dict[str, tuple[Stamp, str]] = {}

    def __call__(self) -> Mapping[str, str]:
        """Words of each adapter that has some."""
        if self._folder is None:
            return {}
        return {name: words for name in known_adapters(self._folder) if (words := self._words(self._folder, name))}

    def _words(self, folder: Path, name: str) -> str:
        if name in self._told:
            return self._told[name][:LONGEST]
        file = file_of(folder, name)
        try:
            now = stamp(file)
            if self._read.get(name, ((), ""))[0] != now:
                self._read[name] = (now, _printable(trigger_of(file)))
        except OSError:
            return ""  # Taken away just now.
        return self._read[name][1]


def trigger_of(file: Path) -> str:
    """What a file, and the settings beside it, say; empty: nothing that can be read."""
    try:
        beside: Any = json.loads((file.parent / SETTINGS).read_text(encoding="utf-8"))
        if isinstance(beside, dict) and isinstance(beside.get("trigger"), str) and beside["trigger"]:
            return beside["trigger"]
    except (OSError, ValueError):
        pass
    try:
        with safe_open(file, "pt") as opened:
            told: Mapping[str, str] = opened.metadata() or {}
    except Exception:
        # A damaged file is told about when it is asked for.
        return ""
    return told.get("modelspec.trigger_phrase", "").strip() or _of_tags(told.get("ss_tag_frequency", ""))


def _of_tags(text: str) -> str:
    """From kohya's {folder: {tag: how many pictures}}."""
    try:
        folders: Any = json.loads(text)
    except ValueError:
        return ""
    if not isinstance(folders, dict):
        return ""
    found: list[str] = []
    for folder, tags in cast("dict[str, Any]", folders).items():
        counts = {
            tag.strip(): count
            for tag, count in (cast("dict[str, Any]", tags).items() if isinstance(tags, dict) else ())
            if tag.strip() and isinstance(count, int)
        }
        most = max(counts.values(), default=0)
        of_all = [tag for tag, count in counts.items() if most > 1 and count >= NEARLY_ALL * most]
        named = _FOLDER.match(folder)
        found += of_all[:MOST_TAGS] if of_all else [named["words"].replace("_", " ").strip()] if named else []
    return ", ".join(dict.fromkeys(found[: 2 * MOST_TAGS]))


def _printable(text: str) -> str:
    """One line, of bounded length: it comes from a stranger's file."""
    return "".join(each for each in " ".join(text.split()) if each.isprintable())[:LONGEST]
