"""How well the bank's search understands words: names in 21 languages, synonyms nobody taught it, words for nothing.

    python -P benchmarks/search.py --weights models/weights/NAME --data runs/data

Prints, for each language, the share of names (and of names with an article and a colour) whose thing is found first;
for the held-out synonyms of models/data/synonyms.py how many are found, and how; for common abstract nouns of WordNet
the share that something is found for; and what other thresholds of the vectors' cosine would give.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections import Counter
from pathlib import Path

import numpy as np

from daguerre.models.common import digest_of
from daguerre.models.data import LANGUAGES, SYNONYMS, WORDNET, fetch
from daguerre.models.drawer import NEAR, Found, Search, bank
from daguerre.models.drawer.assemble import text_encoder

#: WordNet's files of nouns that nobody draws: attributes, cognition, possession, quantity, relations, states.
ABSTRACT = frozenset((7, 9, 21, 23, 24, 26))
#: How a language says "a red": what stands before a name.
RED = {
    "en": "a red",
    "de": "ein roter",
    "fr": "un",
    "es": "un",
    "ru": "красный",
    "zh": "红色的",
    "ja": "赤い",
    "ko": "빨간",
}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure the search of the reference bank.")
    parser.add_argument("--weights", type=Path, required=True, help="weights folder with a bank")
    parser.add_argument("--data", type=Path, default=Path("runs/data"), help="folder of the data set")
    parser.add_argument("--abstract", type=int, default=400, help="words for nothing")
    told = parser.parse_args()
    shipped = bank.read(told.weights / bank.FOLDER)
    encoder = text_encoder(told.weights)
    same = shipped.encoder == digest_of(told.weights / "text_encoder")
    begun = time.process_time()
    search = Search([shipped], encoder.encode if same else None)
    print(f"{len(shipped.things)} things, indexed in {time.process_time() - begun:.2f} s of one core")

    emoji = [thing for thing in shipped.things if thing.emoji]
    total = Counter[str]()
    begun = time.process_time()
    asked = 0
    print("\nnames found first, by language (name alone; with a colour before it)")
    for language in ("en", *LANGUAGES):
        names = [(thing.caption if language == "en" else thing.names.get(language, ""), thing) for thing in emoji]
        named = [(name, thing) for name, thing in names if name]
        # Things that are called alike count for each other.
        alike: dict[str, set[str]] = {}
        for name, thing in named:
            alike.setdefault(name.casefold(), set()).add(thing.key)
        right = sum(key_of(search.find(name)) in alike[name.casefold()] for name, _ in named)
        asked += len(named)
        line = f"  {language:8} {right / len(named):.3f}"
        if (red := RED.get(language)) is not None:
            space = "" if language in {"zh", "ja"} else " "
            finds = [(search.find(f"{red}{space}{name}"), alike[name.casefold()]) for name, _ in named]
            line += f"   {sum(key_of(found) in keys for found, keys in finds) / len(finds):.3f}"
        print(f"{line}   of {len(named)}")
        total[language] = right
    print(f"  {1000 * (time.process_time() - begun) / asked:.2f} ms of one core each")

    print("\nsynonyms that nobody taught it")
    captions = {thing.caption for thing in shipped.things}
    for number, language in enumerate(("en", "zh")):
        asked_for = [(said[number], name) for name, said in SYNONYMS.items() if said[number] and name in captions]
        finds = [(word, name, search.find(word)) for word, name in asked_for]
        right = [(word, name, found) for word, name, found in finds if found.sure and alike_captions(found, name)]
        wrong = [(word, found) for word, name, found in finds if found.sure and not alike_captions(found, name)]
        ways = Counter(found.how for _, _, found in right)
        share = len(right) / len(finds)
        print(f"  {language}: {len(right)} of {len(finds)} right ({share:.2f}), {len(wrong)} wrong; by {dict(ways)}")
        print("    wrong: " + ", ".join(f"{word} → {found.thing.caption}" for word, found in wrong if found.thing))

    words = abstract_words(fetch(WORDNET, told.data / "packages"), told.abstract)
    finds_of = [(word, search.find(word)) for word in words]
    false = [(word, found) for word, found in finds_of if found.sure]
    ways = Counter(found.how for _, found in false)
    share = len(false) / len(words)
    print(f"\nabstract nouns that something is found for: {len(false)} of {len(words)} ({share:.3f}), by {dict(ways)}")
    print("  " + ", ".join(f"{word} → {found.thing.caption}" for word, found in false[:24] if found.thing))

    if not same:
        return
    print(f"\nvectors alone, by threshold of the cosine (set: {NEAR})")
    centre = shipped.vectors.mean(0)
    base = shipped.vectors - centre
    base /= np.linalg.norm(base, axis=1, keepdims=True)
    synonyms = [(word, name) for name, said in SYNONYMS.items() for word in said if word and name in captions]
    likeness, nearest = near(encoder.encode([word for word, _ in synonyms]) - centre, base)
    right_at = np.array(
        [
            same_caption(shipped.things[shipped.vector_names[k][0]].caption, name)
            for k, (_, name) in zip(nearest, synonyms, strict=True)
        ]
    )
    other, _ = near(encoder.encode(words) - centre, base)
    for threshold in (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9):
        sure = likeness >= threshold
        print(
            f"  {threshold:.2f}: synonyms right {np.mean(sure & right_at):.3f}, wrong {np.mean(sure & ~right_at):.3f}; "
            f"abstract nouns found {np.mean(other >= threshold):.3f}"
        )


def key_of(found: Found) -> str:
    """The found thing's key, where it counts."""
    return found.thing.key if found.thing is not None and found.sure else ""


def alike_captions(found: Found, name: str) -> bool:
    """Whether it is the thing, or one that differs by its face alone: `cat face` for `cat`."""
    return found.thing is not None and same_caption(found.thing.caption, name)


def same_caption(one: str, other: str) -> bool:
    """Whether two captions mean the same animal."""
    return one.removesuffix(" face") == other.removesuffix(" face")


def near(vectors: np.ndarray, base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest cosine and where, of each."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = unit @ base.T
    return likeness.max(1), likeness.argmax(1)


def abstract_words(folder: Path, count: int) -> list[str]:
    """Single nouns all of whose meanings in use are abstract, by a fixed draw."""
    nouns = folder / "usr/share/wordnet"
    files = {
        line.split(" ", 2)[0]: int(line.split(" ", 2)[1])
        for line in (nouns / "data.noun").read_text(encoding="utf-8").splitlines() if not line.startswith("  ")
    }  # fmt: skip
    found: list[str] = []
    for line in (nouns / "index.noun").read_text(encoding="utf-8").splitlines():
        parts = line.split()
        if line.startswith("  ") or not parts[0].isalpha() or len(parts[0]) < 5:
            continue
        senses = int(parts[2])
        in_use = int(parts[-senses - 1])
        if in_use and all(files[sense] in ABSTRACT for sense in parts[-senses:]):
            found.append(parts[0])
    return sorted(found, key=lambda word: hashlib.sha256(word.encode()).hexdigest())[:count]


if __name__ == "__main__":
    main()
