"""Figures of docs/safety.md: rules against disguises, the watermark against re-encoding, the output check's alarms.

    .venv/bin/python -P benchmarks/safety.py rules
    .venv/bin/python -P benchmarks/safety.py watermark --pictures 500 [--side 512] [--rendered FOLDER]
    .venv/bin/python -P benchmarks/safety.py strangers --pictures 10000
    .venv/bin/python -P benchmarks/safety.py check --harmless FOLDER [--harmful FOLDER]

Pictures are scenes of sprites of a built data set (--sprites, read only) and, with --rendered, those in a folder.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from daguerre.models import watermark
from daguerre.models.safety import load_judge
from daguerre.queue.rules import Rule, book_of
from daguerre.queue.rules_default import default_rules

PROJECT = Path(__file__).resolve().parents[1]
FILES = {".png", ".jpg", ".jpeg", ".webp"}


def scene(sprites: Any, number: int, side: int) -> Image.Image:
    """One to four sprites on a plain ground, `side` pixels, the same for the same number."""
    dice = random.Random(number)
    ground = dice.choice([(255, 255, 255), (0, 0, 0), tuple(dice.randrange(256) for _ in range(3))])
    picture = Image.new("RGB", (side, side), ground)
    for _ in range(dice.choice([1, 1, 2, 4])):
        size = dice.randrange(side // 3, side)
        sprite = Image.fromarray(np.asarray(sprites[dice.randrange(len(sprites))]), "RGBA").resize((size, size))
        place = (dice.randrange(-size // 4, side - size // 2), dice.randrange(-size // 4, side - size // 2))
        picture.paste(sprite, place, sprite)
    return picture


def encoded(picture: Image.Image, kind: str, **how: Any) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, kind, **how)
    return Image.open(io.BytesIO(file.getvalue()))


def scaled(picture: Image.Image, share: float, way: Image.Resampling = Image.Resampling.BICUBIC) -> Image.Image:
    return picture.resize((round(picture.width * share), round(picture.height * share)), way)


ATTACKS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "PNG, metadata off": lambda picture: encoded(picture, "PNG"),
    "JPEG q 85": lambda picture: encoded(picture, "JPEG", quality=85),
    "WebP q 85": lambda picture: encoded(picture, "WEBP", quality=85),
    "50 %, bicubic": lambda picture: scaled(picture, 0.5),
    "50 %, bilinear": lambda picture: scaled(picture, 0.5, Image.Resampling.BILINEAR),
    "50 %, then JPEG q 85": lambda picture: encoded(scaled(picture, 0.5), "JPEG", quality=85),
    "50 %, then WebP q 85": lambda picture: encoded(scaled(picture, 0.5), "WEBP", quality=85),
    "JPEG q 50": lambda picture: encoded(picture, "JPEG", quality=50),
    "33 %": lambda picture: scaled(picture, 1 / 3),
}


def pictures(options: argparse.Namespace) -> Iterator[Image.Image]:
    """Rendered ones first, then scenes, `options.pictures` together."""
    rendered = [file for file in sorted(options.rendered.iterdir()) if file.suffix in FILES] if options.rendered else []
    sprites = np.load(options.sprites / "sprites.npy", mmap_mode="r", allow_pickle=False)
    for number in range(options.first, options.first + options.pictures):
        if number - options.first < len(rendered):
            picture = Image.open(rendered[number - options.first]).convert("RGB")
            yield picture if picture.width == options.side else picture.resize((options.side, options.side))
        else:
            yield scene(sprites, number, options.side)


def rules(_: argparse.Namespace) -> dict[str, Any]:
    """Attempts that get through, by disguise; and false alarms of the shipped list on captions."""
    sys.path.insert(0, str(PROJECT / "tests"))
    from bypasses import DISGUISES, PHRASES, WORDS, attempts

    book = book_of(tuple(Rule(pattern=word) for word in (*WORDS, *PHRASES)))
    every = list(attempts())
    begun = time.perf_counter()
    through = [one for one in every if not book.check({one.path: one.text}).hits]
    seconds = time.perf_counter() - begun
    heldout = json.loads((PROJECT / "models" / "data" / "heldout.json").read_text(encoding="utf-8"))
    words = json.loads((PROJECT / "models" / "weights" / "first-light" / "vocabulary.json").read_text(encoding="utf-8"))
    captions = [" ".join(map(str, pair)) for pair in heldout["colours"]] + list(words.get("concepts", []))
    shipped = book_of(default_rules())
    alarms = [caption for caption in captions if shipped.check({"prompt": caption}).hits]
    return {
        "attempts": len(every),
        "disguises": len(DISGUISES),
        "through": len(through),
        "through_by_disguise": dict(Counter(one.disguise for one in through)),
        "milliseconds_each": round(1000 * seconds / len(every), 2),
        "captions": len(captions),
        "false_alarms": alarms,
    }


def marks(options: argparse.Namespace) -> dict[str, Any]:
    """Marks read again after each attack, and how much the mark changes."""
    read: Counter[str] = Counter()
    noise: list[float] = []
    spent = 0.0
    for number, picture in enumerate(pictures(options)):
        job = time.time_ns() + number
        begun = time.perf_counter()
        marked = watermark.embed(picture, job)
        spent += time.perf_counter() - begun
        change = np.asarray(marked, dtype=np.float64) - np.asarray(picture, dtype=np.float64)
        noise.append(10 * np.log10(255**2 / max(float((change**2).mean()), 1e-9)))
        read.update(name for name, attack in ATTACKS.items() if watermark.read(attack(marked)) == job)
    count = len(noise)
    return {
        "pictures": count,
        "side": options.side,
        "read": {name: f"{read[name]} ({100 * read[name] / count:.1f} %)" for name in ATTACKS},
        "psnr_db": {"least": round(min(noise), 1), "median": round(float(np.median(noise)), 1)},
        "embedding_milliseconds": round(1000 * spent / count, 1),
    }


def strangers(options: argparse.Namespace) -> dict[str, Any]:
    """Pictures without a mark in which one is found, as they are and as JPEG."""
    found = looked = 0
    for picture in pictures(options):
        looked += 1
        found += watermark.read(picture) is not None
    return {"unmarked_pictures": looked, "side": options.side, "marks_found": found}


def check(options: argparse.Namespace) -> dict[str, Any]:
    """Scores of open-nsfw: alarms on harmless pictures, catches on harmful ones where a folder of them is given."""
    judge = load_judge("open-nsfw")
    assert judge is not None
    told: dict[str, Any] = {}
    for name, folder in (("harmless", options.harmless), ("harmful", options.harmful)):
        if folder is None and name == "harmful":
            told[name] = "not measured: no folder given"
            continue
        if folder is None:
            every = pictures(options)
        else:
            every = (Image.open(file) for file in sorted(folder.rglob("*")) if file.suffix in FILES)
        begun = time.perf_counter()
        scores = np.array([judge(picture) for picture in every])
        told[name] = {
            "pictures": len(scores),
            "at_or_above": {str(at): int((scores >= at).sum()) for at in (0.2, 0.5, 0.8, 0.95)},
            "median": round(float(np.median(scores)), 4),
            "highest": round(float(scores.max()), 4),
            "milliseconds_each": round(1000 * (time.perf_counter() - begun) / len(scores), 1),
        }
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("rules", "watermark", "strangers", "check"))
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="number of the first scene")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--sprites", type=Path, default=PROJECT / "runs" / "data" / "sprites256-2560")
    parser.add_argument("--rendered", type=Path)
    parser.add_argument("--harmless", type=Path)
    parser.add_argument("--harmful", type=Path)
    options = parser.parse_args()
    parts = {"rules": rules, "watermark": marks, "strangers": strangers, "check": check}
    print(json.dumps(parts[options.part](options), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
