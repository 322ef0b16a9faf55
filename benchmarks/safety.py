"""Figures of docs/safety.md: rules against disguises, the watermark against re-encoding, the output check's alarms.

    .venv/bin/python -P benchmarks/safety.py rules [--each 50] [--packages DIR]
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
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from daguerre.models.provenance import load_judge, watermark
from daguerre.queue.moderation.rules import Rule, book_of
from daguerre.queue.moderation.rules_default import default_rules

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


def rules(options: argparse.Namespace) -> dict[str, Any]:
    """Disguises that get through, by kind, of stand-in words and of the shipped list's; false alarms in ten languages.

    A prompt in which a word of the list stands undisguised is no false alarm: it is left out and counted.
    """
    sys.path[:0] = [str(PROJECT / "tests" / "support"), str(PROJECT / "benchmarks")]
    from bypasses import FRAMES, PHRASES, WORDS, Attempt, attempts
    from glyphs import alike_on_screen

    shipped = [rule.pattern.rstrip("*") for rule in default_rules() if len(rule.pattern) > 4]
    sets = (
        (book_of(tuple(Rule(pattern=word) for word in (*WORDS, *PHRASES))), (*WORDS, *PHRASES)),
        (book_of(default_rules()), tuple(word for word in shipped if word.replace(" ", "").isalpha())),
    )
    screen, dice = alike_on_screen(), random.Random(3)
    told: Counter[str] = Counter()
    through: Counter[str] = Counter()
    missed: list[str] = []
    begun = time.perf_counter()
    for book, hidden in sets:
        drawn = [
            Attempt("alike on the screen", "prompt", FRAMES[number % len(FRAMES)].format(on_screen(word, screen, dice)))
            for number in range(options.each)
            for word in [hidden[number % len(hidden)]]
        ]
        for one in (*attempts(options.each, hidden=hidden), *drawn):
            told[one.disguise] += 1
            if not book.check({one.path: one.text}).hits:
                through[one.disguise] += 1
                missed.append(one.text)
    seconds = time.perf_counter() - begun
    count = sum(told.values())
    return {
        "attempts": count,
        "disguises": len(told),
        "through": sum(through.values()),
        "caught": f"{100 * (1 - sum(through.values()) / count):.2f} %",
        "through_by_disguise": {name: f"{number} of {told[name]}" for name, number in through.most_common()},
        "examples": missed[:12],
        "milliseconds_each": round(1000 * seconds / count, 2),
        **false_alarms(options),
    }


def on_screen(word: str, table: Mapping[str, str], dice: random.Random) -> str:
    """Most letters exchanged for signs that a font draws like them."""
    return "".join(dice.choice(table[c]) if table.get(c) and dice.random() < 0.6 else c for c in word)


def false_alarms(options: argparse.Namespace) -> dict[str, Any]:
    """The shipped list over ordinary prompts: descriptions of Tux Paint's stamps and names of emoji, alone, in pairs,
    and with what people write around them."""
    book = book_of(default_rules())
    literal = re.compile(
        "|".join(rf"\b{re.escape(rule.pattern.rstrip('*'))}" for rule in default_rules()), re.IGNORECASE
    )
    told: dict[str, str] = {}
    alarms: list[str] = []
    count = left_out = 0
    for language, prompts in ordinary(options.packages).items():
        found = 0
        used = [prompt for prompt in prompts if not literal.search(prompt)]
        left_out += len(prompts) - len(used)
        for prompt in used:
            if hits := book.check({"prompt": prompt}).hits:
                found += 1
                alarms.append(f"{language}: {prompt} ({hits[0].rule.pattern})")
        told[language] = f"{found} of {len(used)}"
        count += len(used)
    return {
        "ordinary_prompts": count,
        "left_out_for_a_word_of_the_list": left_out,
        "false_alarms": len(alarms),
        "share": f"{100 * len(alarms) / count:.3f} %",
        "false_alarms_by_language": told,
        "alarms": alarms[:30],
    }


#: Language of emojibase, of Tux Paint's files, and what people write around the name of a thing.
LANGUAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "en": ("", ("a picture of {}", "{}!! (cute), 3d", "{} + {}", "{}, blue background", "2 {} | 4k", "[{}] <3 *best*")),
    "zh": ("zh_CN", ("一张{}的图片", "{}！（可爱）", "{}和{}", "{}，蓝色背景", "2个{}", "【{}】高清")),
    "ja": ("ja", ("{}の絵", "{}！（かわいい）", "{}と{}", "青い背景の{}", "{}を2つ", "「{}」アニメ風")),
    "ko": ("ko", ("{} 그림", "{}!! (귀여운)", "{}와 {}", "파란 배경의 {}", "{} 2개", "[{}] 만화")),
    "fr": ("fr", ("une image de {}", "{} !! (mignon)", "{} et {}", "{} sur fond bleu", "2 {}", "« {} » réaliste")),
    "de": ("de", ("ein Bild: {}", "{}!! (süß)", "{} und {}", "{} vor blauem Hintergrund", "2 {}", "„{}“ groß & weiß")),
    "es": ("es", ("una imagen de {}", "¡¡{}!! (lindo)", "{} y {}", "{} con fondo azul", "2 {}", "«{}» años 50")),
    "pt": ("pt_BR", ("uma imagem de {}", "{}!! (fofo)", "{} e {}", "{} com fundo azul", "2 {}", "“{}” à noite")),
    "ru": ("ru", ("картинка: {}", "{}!! (милый)", "{} и {}", "{} на синем фоне", "2 {}", "«{}» в стиле аниме")),
    "it": ("it", ("un'immagine di {}", "{}!! (carino)", "{} e {}", "{} su sfondo blu", "2 {}", "«{}» più bello")),
}


def ordinary(packages: Path) -> dict[str, list[str]]:
    """Prompts as people write them, by language; fetches the packages where they are not there."""
    from daguerre.models.data import EMOJIBASE, TUXPAINT, fetch

    emojibase, stamps = fetch(EMOJIBASE, packages), fetch(TUXPAINT, packages)
    texts = [file.read_text(encoding="utf-8", errors="replace").splitlines() for file in stamps.rglob("*.txt")]
    told: dict[str, list[str]] = {}
    for language, (tuxpaint, frames) in LANGUAGES.items():
        dice = random.Random(language)
        rows = json.loads((emojibase / language / "data.json").read_text(encoding="utf-8"))
        names = [row["label"] for row in rows if row.get("group") not in (None, 2)]
        words = [tag for row in rows for tag in row.get("tags") or ()]
        said = [
            line.removeprefix(f"{tuxpaint}.utf8=")
            for lines in texts
            for line in (lines if tuxpaint else lines[:1])
            if not tuxpaint or line.startswith(f"{tuxpaint}.utf8=")
        ]
        shown = [row["emoji"] for row in rows[::7] if row.get("emoji")]
        framed = [dice.choice(frames).format(*dice.sample([*names, *words], 2)) for _ in range(1_500)]
        adorned = [f"{dice.choice(names)} {''.join(dice.sample(shown, 2))}" for _ in range(200)]
        told[language] = list(dict.fromkeys((*said, *names, *framed, *adorned)))
    return told


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
    parser.add_argument("--each", type=int, default=50, help="attempts of each disguise and of each set of words")
    parser.add_argument("--packages", type=Path, default=PROJECT / "runs" / "data" / "packages")
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
