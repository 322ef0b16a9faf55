"""What things are called in every language: the words that teach the text encoder, without those it is examined on."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data import LANGUAGES, SKIPPED_GROUPS, plain_code

#: Further languages of emojibase; they cost nothing and share their words with their neighbours.
NEIGHBOURS = ("da", "sv", "nb", "fi", "et", "lt", "hu", "ms")
#: Languages that the sentence teacher was trained on (Yang et al., 1907.04307).
TAUGHT = frozenset(
    ("ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh", "zh-hant")
)
#: Scripts without spaces, where a word is found as a part of the text.
_UNSPACED = re.compile("[\u3040-\u9fff]")

Aliases = Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Name:
    """One thing that a concept is called."""

    text: str
    language: str
    #: `caption_en` of the concept.
    concept: str


@dataclass(frozen=True, slots=True)
class Lexicon:
    """All names of all concepts, and the keywords of the languages that the teacher knows."""

    concepts: tuple[str, ...]
    names: tuple[Name, ...]
    keywords: tuple[tuple[str, str], ...]

    def of(self, concept: str, language: str) -> tuple[str, ...]:
        """Names of one concept in one language."""
        return tuple(n.text for n in self.names if n.concept == concept and n.language == language)


class Unseen:
    """The wordings kept for the examination: no text of the training may hold one of them.

    A Chinese or Japanese wording is looked for anywhere in a text, any other as whole words, plural included. A longer
    name may hold one: 雨伞 is taught though 伞 is not, and so is "soccer ball" though "soccer" is not.
    """

    def __init__(self, wordings: Iterable[str], names: Iterable[str] = ()) -> None:
        """Of `names`, those that hold a wording and something more may be used."""
        self.wordings = frozenset(filter(None, map(plain, wordings)))
        spaced = sorted(re.escape(w) for w in self.wordings if not _UNSPACED.search(w))
        self._parts = tuple(w for w in self.wordings if _UNSPACED.search(w))
        self._words = re.compile(rf"(?<!\w)(?:{'|'.join(spaced)})(?:s|es|['’]s)?(?!\w)") if spaced else None
        longer = {name for name in map(plain, names) if name not in self.wordings and self._found(name)}
        # The longest first, so that none is cut out of a longer one.
        ordered = sorted(map(re.escape, longer), key=len, reverse=True)
        self._longer = re.compile("|".join(ordered)) if ordered else None

    def holds(self, text: str) -> bool:
        """Whether the text holds a wording of the examination."""
        text = plain(text)
        return self._found(text) and self._found(self._longer.sub("\n", text) if self._longer else text)

    def _found(self, text: str) -> bool:
        return any(part in text for part in self._parts) or bool(self._words and self._words.search(text))

    def without(self, texts: Iterable[str]) -> tuple[str, ...]:
        """The texts that may be used."""
        return tuple(text for text in texts if not self.holds(text))


def plain(text: str) -> str:
    """As the tokenizer reads it: NFKC, lower case, no spaces around."""
    return unicodedata.normalize("NFKC", text).lower().strip()


def emojibase_rows(folder: Path, languages: Collection[str] = (*LANGUAGES, *NEIGHBOURS)) -> list[dict[str, Any]]:
    """One row for each emoji that is drawn: `caption_<language>` and `keywords_<language>` where emojibase has them.

    They add neighbour languages and every language's keywords to the rows of the sprite set, which bring CLDR's.
    """
    rows: dict[str, dict[str, Any]] = {}
    for language in ("en", *languages):
        file = folder / language / "data.json"
        if not file.is_file():
            continue
        for emoji in json.loads(file.read_text(encoding="utf-8")):
            if emoji.get("group") is None or emoji["group"] in SKIPPED_GROUPS:
                continue
            row = rows.setdefault(plain_code(emoji["hexcode"]), {})
            row[f"caption_{language}"] = emoji["label"].lower()
            row[f"keywords_{language}"] = list(emoji.get("tags") or ())
    return [row for row in rows.values() if row.get("caption_en")]


def lexicon(rows: Iterable[Mapping[str, Any]], aliases: Aliases, unseen: Unseen) -> Lexicon:
    """Gather names and keywords from rows with `caption_<language>` and `keywords_<language>`.

    A row without a Chinese name (clip art, icons) is no concept of its own: what it is called counts as a keyword.
    A concept may lose names to the examination; one that loses all of them is left out.
    """
    names: dict[Name, None] = {}
    keywords: dict[tuple[str, str], None] = {}
    for row in rows:
        concept = row["caption_en"].lower()
        if not row.get("caption_zh"):
            keywords |= dict.fromkeys((word, "en") for word in unseen.without([concept]))
            continue
        for key, value in row.items():
            kind, _, language = key.partition("_")
            if kind == "caption" and value and not unseen.holds(value):
                names[Name(value.lower(), language, concept)] = None
            elif kind == "keywords" and language in TAUGHT:
                keywords |= dict.fromkeys((word.lower(), language) for word in unseen.without(value))
    for concept, both in aliases.items():
        for language, further in zip(("en", "zh"), both, strict=True):
            names |= dict.fromkeys(Name(text, language, concept) for text in unseen.without(further))
    return Lexicon(tuple(sorted({name.concept for name in names})), tuple(names), tuple(keywords))


def by_language(lexicon: Lexicon) -> dict[str, list[Name]]:
    """Names, sorted into languages."""
    sorted_into: dict[str, list[Name]] = defaultdict(list)
    for name in lexicon.names:
        sorted_into[name.language].append(name)
    return dict(sorted_into)
