"""One drawing as a source gives it, before anything is rasterised; or why it is not used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
    """One picture with its English caption: an SVG text or a picture file."""

    name: str
    #: SVG text, or a file that Pillow reads.
    art: str | Path
    caption: str
    keywords: tuple[str, ...] = ()
    #: The emoji it shows, where it shows one.
    concept: Concept | None = None
    #: Folder or group of the drawing in its source.
    category: str = ""
    #: Captions the source itself has, by language.
    captions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Dropped:
    """A drawing that is not used, and the reason in one or two words, by which it is counted."""

    name: str
    reason: str
