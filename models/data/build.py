"""Build the sprite set: every drawing rasterised with alpha, cleaned, and one JSON row of captions for each.

A row has: `i`, `source`, `kind` (emoji, icon, clipart, tile), `style`, `licence`, `tier`, `name`, `code` (the emoji it
shows, or nothing), `group` (emojibase's number, -1 for none), `category`, `caption_en`, `keywords_en`, `caption_<l>`
for each language of `languages.LANGUAGES` (empty where there is none), `keywords_zh`. The folder: see `store`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from ..errors import DataError
from . import clipart, emoji, icons, languages, tiles
from .clean import MOST_OF_ONE_CAPTION, NearDuplicates, unsafe
from .drawing import Concept, Drawing, Dropped
from .packages import fetch, full_disk_explained
from .raster import How, draw_all, drawing_pool, rasterise
from .sources import CLDR, CLDR_DERIVED, EMOJIBASE, EMOJILIB, SOURCES, WORD_PACKAGES, WORDS, DrawingSet
from .store import FORMAT, SpriteSet, SpriteWriter, load, read_build

__all__ = ["FORMAT", "SpriteSet", "build", "load", "rasterise", "released"]

#: Tells how far one source is: its name, drawings done, drawings in all.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Words:
    """What drawings are called, read once for all sources."""

    names: emoji.Names
    by_label: Mapping[str, Concept]
    translations: languages.Translations
    #: The dictionary of the `openclipart` source; empty where that is not built.
    english: frozenset[str]
    #: Names of emoji in the languages clip art is titled in.
    foreign: Mapping[str, Concept]


def released() -> tuple[DrawingSet, ...]:
    """The sources of released weights: tier A."""
    return tuple(each for each in SOURCES if each.tier == "A")


def chosen(without: Sequence[str] = (), also: Sequence[str] = ()) -> tuple[DrawingSet, ...]:
    """The released sources, less `without`, and `also` some of tier B.

    Raises:
        DataError: no source has such a name.
    """
    known = {each.name for each in SOURCES}
    if unknown := sorted({*without, *also} - known):
        raise DataError(f'No source is called "{unknown[0]}". There are: {", ".join(sorted(known))}')
    return tuple(each for each in SOURCES if each.name not in without and (each.tier == "A" or each.name in also))


def build(
    folder: Path, cache: Path, *, size: int = 64, sources: Sequence[DrawingSet] | None = None,
    report: Callable[[str], None] = print, progress: Progress | None = None, processes: int | None = None,
) -> SpriteSet:  # fmt: skip
    """Fetch, rasterise, clean and caption; does nothing where the folder is already whole.

    A build that was stopped goes on after its last finished source. Without `sources`, those of released weights.

    Raises:
        PackageUnavailable, PackageChanged: see `packages.fetch`.
        DataError: no space is left, or a drawing ended the process that drew it.
    """
    sources = released() if sources is None else tuple(sources)
    packages = dict.fromkeys([*WORD_PACKAGES, *_further(sources), *(each.package for each in sources)])
    wanted = {
        "format": FORMAT, "size": size, "packages": [f"{p.name}@{p.version}" for p in packages],
        "sources": [each.name for each in sources],
    }  # fmt: skip
    done = read_build(folder)
    if {key: done.get(key) for key in wanted} == wanted:
        return load(folder)
    folder.mkdir(parents=True, exist_ok=True)
    started = monotonic()

    with full_disk_explained(folder), SpriteWriter(folder, size, wanted) as writer:
        # Packages first: what cannot be fetched should stop a build in its first minute.
        for package in packages:
            if not (cache / package.folder).is_dir():
                report(f"fetching {package.name} {package.version}")
            fetch(package, cache)
        words = read_words(cache, sources)

        # One source after the other, each drawn on all cores and safe once finished.
        with drawing_pool(processes) as pool:
            for source in sources:
                if source.name in writer.sources:
                    report(f"{source.name}: kept from the build that was stopped")
                    continue
                counts = _source(source, cache, words, writer, pool, size, progress)
                writer.commit(source.name, counts)
                report(_said(source.name, counts))
        counted = _total(writer.sources)
        writer.finish({"rows": writer.rows, "counts": counted, "by_source": writer.sources})
    report(f"{writer.rows} sprites in {monotonic() - started:.0f} s; left out: {_reasons(counted['dropped'])}")
    return load(folder)


def read_words(cache: Path, sources: Sequence[DrawingSet]) -> Words:
    """Read names, translations and the dictionary from the unpacked packages."""
    emojibase = cache / EMOJIBASE.folder
    known = emoji.concepts(emojibase)
    translations = languages.translations(
        emojibase, cache / EMOJILIB.folder, cache / CLDR.folder, cache / CLDR_DERIVED.folder
    )
    english: frozenset[str] = frozenset()
    if WORDS in _further(sources):
        text = (cache / WORDS.folder / "usr/share/dict/american-english").read_text(encoding="utf-8")
        # Names of persons and places have capitals.
        english = frozenset(word for word in text.split() if word.islower())
    by_label = {concept.label: concept for concept in known.values()}
    foreign: dict[str, Concept] = {}
    for language in ("it", "fr", "es", "pt", "de"):
        for code, name in translations.names[language].items():
            if code in known:
                foreign.setdefault(name.lower(), known[code])
    return Words(emoji.names(emojibase, known), by_label, translations, english, foreign)


def read(source: DrawingSet, package: Path, words: Words) -> Iterator[Drawing | Dropped]:
    """The drawings of a source, by the reader of its form."""
    match source.form:
        case "iconify" if source.kind == "icon":
            return icons.drawings(package, source, words.by_label)
        case "iconify" | "webp":
            return emoji.drawings(package, source, words.names)
        case "tango":
            return icons.tango(package, source, words.by_label)
        case "openclipart":
            return clipart.openclipart(package, source, words.by_label, words.english, words.foreign)
        case "crawl":
            return tiles.drawings(package, source, words.by_label)
        case "tuxpaint":
            return clipart.tuxpaint(package, source, words.by_label)


def _source(
    source: DrawingSet, cache: Path, words: Words, writer: SpriteWriter, pool: ProcessPoolExecutor | None, size: int,
    progress: Progress | None,
) -> dict[str, Any]:  # fmt: skip
    """Draw one source and add what is good; how many were seen, kept, and dropped for which reason."""
    dropped: Counter[str] = Counter()
    todo: list[Drawing] = []
    of_caption: Counter[str] = Counter()
    for found in read(source, cache / source.package.folder, words):
        if isinstance(found, Dropped):
            dropped[found.reason] += 1
        elif source.kind != "emoji" and of_caption[found.caption] >= MOST_OF_ONE_CAPTION:
            dropped["many of one caption"] += 1
        elif source.kind == "emoji" and not found.concept and unsafe(found.caption):
            dropped["unsafe"] += 1
        else:
            of_caption[found.caption] += 1
            todo.append(found)
    how = How(
        size,
        trim=source.form in {"openclipart", "tuxpaint"} or source.name == "meteocons",
        pixel_art=source.form == "crawl",
    )
    duplicates = NearDuplicates()
    before = writer.rows
    seen = len(todo) + dropped.total()
    pictures = draw_all([drawing.art for drawing in todo], how, pool)
    for count, (drawing, pixels) in enumerate(zip(todo, pictures, strict=True), 1):
        if pixels is None:
            dropped["broken or blank"] += 1
        elif duplicates.repeats(pixels):
            dropped["near-duplicate"] += 1
        else:
            writer.add(pixels, row_of(drawing, source, words.translations))
        if progress:
            progress(source.name, count, len(todo))
    return {"seen": seen, "kept": writer.rows - before, "dropped": dict(dropped.most_common())}


def row_of(drawing: Drawing, source: DrawingSet, translations: languages.Translations) -> dict[str, Any]:
    """The JSON row of a drawing, without its index."""
    concept = drawing.concept
    more = translations.keywords.get(concept.code, ()) if concept else ()
    captions = translations.of(concept)
    if concept:
        captions["caption_zh"] = concept.label_zh
    captions |= {f"caption_{language}": text for language, text in drawing.captions}
    return {
        "source": source.name,
        "kind": source.kind,
        "style": source.style_word,
        "licence": source.licence,
        "tier": source.tier,
        "name": drawing.name,
        "code": concept.code if concept else "",
        "group": concept.group if concept else -1,
        "category": drawing.category,
        "caption_en": drawing.caption,
        "keywords_en": list(dict.fromkeys([*drawing.keywords, *more])),
        **captions,
        "keywords_zh": list(concept.keywords_zh) if concept else [],
    }


def _further(sources: Sequence[DrawingSet]) -> list[Any]:
    return [WORDS] if any(each.form == "openclipart" for each in sources) else []


def _total(by_source: Mapping[str, Any]) -> dict[str, Any]:
    dropped: Counter[str] = Counter()
    for counts in by_source.values():
        dropped.update(counts["dropped"])
    return {"seen": sum(counts["seen"] for counts in by_source.values()), "dropped": dict(dropped.most_common())}


def _said(name: str, counts: Mapping[str, Any]) -> str:
    left_out = _reasons(counts["dropped"])
    return f"{name}: {counts['kept']} of {counts['seen']}" + (f" (left out: {left_out})" if left_out else "")


def _reasons(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in dropped.items())
