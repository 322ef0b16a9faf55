"""Choose the drawings of the reference bank from a sprite set, name them in every language, and write them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..drawer import BankThing, Entry, Reference, bank
from ..errors import DataError
from .clean import unsafe
from .drawer import DrawerThing, drawer
from .languages import CLDR_LANGUAGES, EMOJIBASE_LANGUAGES, code_of, plain_code
from .packages import fetch
from .sources import CLDR, CLDR_DERIVED, EMOJIBASE, SOURCES, WORDNET
from .store import SpriteSet
from .wordnet import WordNet, related_words

#: Most drawings of one thing, each in another style; of things that are no emoji.
MOST, MOST_OTHER = 5, 3
#: Styles that draw nearly everything: each thing has at least two of these, as far as it can.
COMMON = ("3d", "fluent", "noto", "twemoji")
#: Most bytes of the drawings, so that the bank with its words stays below 12 MB.
BUDGET = 9_500_000
QUALITY = 72
#: Most keywords of one thing in one language.
KEYWORDS = 12
README = """# The drawings that the denoiser draws from

`{file}`: {drawings} drawings of {things} things in {styles} styles, {side} pixels wide, with names in 21 languages.
Written by `daguerre data bank`; opened by `models/drawer/bank.py`. Where the drawings come from:

| set | drawn by | licence | from | drawings |
|---|---|---|---|---|
{sources}

Names and keywords: emojibase-data (MIT), CLDR (Unicode-3.0), emojilib (MIT); other words: WordNet 3.0 (its licence).
"""
Encode = Callable[[Sequence[str]], NDArray[np.float32]]


class Encoder(Protocol):
    """How names become vectors, and by which text encoder (sha256 of its weights)."""

    encode: Encode
    digest: str


def build_bank(
    sprites: SpriteSet, cache: Path, folder: Path, *, budget: int = BUDGET, encoder: Encoder | None = None,
    report: Callable[[str], None] = print,
) -> bank.Bank:  # fmt: skip
    """Write the bank of a sprite set's permissive drawings to `folder`; the same set gives the same bytes.

    `cache`: unpacked packages, for keywords and related words; fetched where they are not there.

    Raises:
        DataError: no drawings that may be released.
        PackageUnavailable, PackageChanged: see `packages.fetch`.
    """
    sprites = sprites.only(tier="A")
    if not sprites.rows:
        raise DataError("This data set has no drawings that may be released (tier A).")
    net = WordNet(fetch(WORDNET, cache))
    keywords = read_keywords(*(fetch(each, cache) for each in (EMOJIBASE, CLDR, CLDR_DERIVED)))
    rows = {row["i"]: row for row in sprites.rows}
    things = worthy(drawer(sprites.rows).things, net, {i: row["style"] for i, row in rows.items()})
    related = [
        {word: share for word, share in words.items() if not unsafe(word)}
        for words in related_words(net, [(thing.caption, thing.group) for thing in things])
    ]
    chosen = choose(things, {i: row["style"] for i, row in rows.items()})

    # Pack the drawings, in the order of the things, until the budget is spent.
    with ThreadPoolExecutor() as pool:
        files = pool.map(
            lambda i: bank.packed(np.asarray(sprites.images[i]), QUALITY), [i for each in chosen for i in each]
        )
        entries: list[Entry] = []
        spent = place = 0
        for thing, indexes, words in zip(things, chosen, related, strict=True):
            packed = tuple(next(files) for _ in indexes)
            spent += sum(map(len, packed))
            if spent > budget:
                spent -= sum(map(len, packed))
                continue
            drawings = tuple(
                Reference(f"{rows[i]['source']}/{rows[i]['name']}", rows[i]["style"], place + k)
                for k, i in enumerate(indexes)
            )
            place += len(indexes)
            entries.append(Entry(_thing(thing, rows[indexes[0]], keywords, words, drawings), packed))

    # Names as vectors, for prompts that no list of words understands.
    named = [(k, text) for k, entry in enumerate(entries) for text in _spoken(entry.thing)] if encoder else []
    vectors = encoder.encode([text for _, text in named]) if encoder else None
    used = Counter(each.id.partition("/")[0] for entry in entries for each in entry.thing.drawings)
    sources = {
        each.name: {"title": each.title, "author": each.author, "licence": each.licence, "from": each.package.credit}
        for each in SOURCES if each.name in used
    }  # fmt: skip
    side = sprites.images.shape[1]
    bank.write(folder / bank.FILE, side, entries, sources, vectors, named, encoder.digest if encoder else "")
    made = bank.read(folder)
    told = "\n".join(
        f"| {each['title']} | {each['author']} | {each['licence']} | {each['from']} | {used[name]} |"
        for name, each in sources.items()
    )
    said = README.format(
        file=bank.FILE, drawings=place, things=len(entries), styles=len(made.of_style), side=side, sources=told
    )
    (folder / "README.md").write_text(said, encoding="utf-8")
    size = (folder / bank.FILE).stat().st_size
    report(f"{place} drawings of {len(entries)} things in {len(made.of_style)} styles, {size / 1e6:.1f} MB: {folder}")
    return made


def worthy(things: Sequence[DrawerThing], net: WordNet, styles: Mapping[int, str]) -> list[DrawerThing]:
    """What goes into a bank: emoji, then what is drawn in the most styles.

    No emoji, drawn once, and called by something that nobody can draw (`locale`), or by an emoji's name: left out.
    """
    known = {thing.caption.lower() for thing in things if thing.emoji}

    def many(thing: DrawerThing) -> int:
        return len({styles[i] for i in thing.drawings})

    kept = [
        thing
        for thing in things
        if thing.emoji or (thing.caption.lower() not in known and net.drawable(thing.caption.lower()))
    ]
    return sorted(kept, key=lambda thing: (not thing.emoji, 0 if thing.emoji else -many(thing), thing.key))


def choose(things: Sequence[DrawerThing], styles: Mapping[int, str]) -> list[tuple[int, ...]]:
    """Drawings of each thing, each in another style: two of the common ones, then the styles that are seldom yet."""
    so_far: Counter[str] = Counter()
    chosen: list[tuple[int, ...]] = []
    for thing in things:
        by_style: dict[str, int] = {}
        for i in thing.drawings:
            by_style.setdefault(styles[i], i)

        def seldom(style: str) -> tuple[int, str]:
            return so_far[style], style

        common = sorted((style for style in COMMON if style in by_style), key=seldom)[:2]
        others = sorted(
            (style for style in by_style if style not in common), key=lambda style: (style in COMMON, *seldom(style))
        )
        picked = [*common, *others][: MOST if thing.emoji else MOST_OTHER]
        so_far.update(picked)
        chosen.append(tuple(by_style[style] for style in picked))
    return chosen


def read_keywords(emojibase: Path, cldr: Path, derived: Path) -> dict[str, dict[str, tuple[str, ...]]]:
    """Keywords of emoji by language and code, without English."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for language in EMOJIBASE_LANGUAGES:
        content: Any = json.loads((emojibase / language / "data.json").read_text(encoding="utf-8"))
        found[language] = {plain_code(row["hexcode"]): tuple(row.get("tags") or ()) for row in content}
    for language in CLDR_LANGUAGES:
        found[language] = {}
        for root, kind in ((cldr, "annotations"), (derived, "annotationsDerived")):
            content = json.loads((root / kind / language / "annotations.json").read_text(encoding="utf-8"))
            told = content[kind]["annotations"]
            found[language] |= {code_of(each): tuple(said.get("default") or ()) for each, said in told.items()}
    return found


def _thing(
    thing: DrawerThing, row: Mapping[str, Any], keywords: Mapping[str, Mapping[str, tuple[str, ...]]],
    related: Mapping[str, float], drawings: tuple[Reference, ...],
) -> BankThing:  # fmt: skip
    words = {"en": tuple(_few(row["keywords_en"], {thing.caption.lower()}))}
    if thing.emoji:
        for language, of_code in keywords.items():
            more = [*(row.get("keywords_zh", ()) if language == "zh" else ()), *of_code.get(thing.key, ())]
            words[language] = tuple(_few(more, {thing.names.get(language, "").lower()}))
    emoji = "".join(chr(int(part, 16)) for part in thing.key.split("-")) if thing.emoji else ""
    return BankThing(
        thing.key, thing.caption, emoji, dict(thing.names), {k: v for k, v in words.items() if v}, dict(related),
        drawings,
    )  # fmt: skip


def _few(words: Sequence[str], known: Collection[str]) -> Iterator[str]:
    kept = 0
    for word in dict.fromkeys(" ".join(str(word).split()) for word in words):
        if word and word.lower() not in known and kept < KEYWORDS:
            kept += 1
            yield word


def _spoken(thing: BankThing) -> Iterator[str]:
    """What a text encoder of English and Chinese is asked."""
    yield thing.caption
    if chinese := thing.names.get("zh"):
        yield chinese
