"""Clip art with titles: the Open Clip Art Library of Debian, the stamps of Tux Paint."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from .clean import reason_against, unsafe
from .drawing import Concept, Drawing, Dropped
from .sources import DrawingSet

#: Folders of drawings that no title describes: letters, patterns, themes of icons, playing cards, maps.
_SKIPPED = re.compile(
    r"^(shapes|special|signs_and_symbols|logos|recreation/games/cards|computer/(icons|buttons|diagrams)|unsorted/dup)"
)
_TITLE = re.compile(r"<dc:title[^>]*>([^<]*)</dc:title>")
_SUBJECT = re.compile(r"<rdf:li[^>]*>([^<]*)</rdf:li>")
_WORK = re.compile(r"<(?:cc:)?Work\b.*?</(?:cc:)?Work>", re.DOTALL)
_PUBLIC_DOMAIN = re.compile(r"public\s*domain", re.IGNORECASE)
#: Titles of whole collections: the file's name says more.
_COLLECTION = re.compile(r"various cliparts|etiquette icons|homes clipart|sibmission|road signs|general|collection")
#: Names of the people who drew, as the library appends them to file names.
_DRAWN_BY = re.compile(
    r"_(architett?o?|nicu|benji|ganson|gerald|jarno|linda|francesc|leif|martin|jean|raphael)\b.*|_aj\b.*"
)
#: Words that a title may contain but that say nothing of the picture, or that fool the dictionary.
_NOISE = re.compile(
    r"\b(b and w|bw|example|clip art|clipart|svg|icon|icons|symbol|illustration|submission|hash|remix)\b"
)
#: English words that are titles in another language here, or too vague to be worth a picture.
_NOT_ENGLISH = frozenset(
    {"pane", "mare", "sole", "cane", "vino", "casa", "vase de", "otto", "set", "test", "misc", "tack"}
)
#: Diagrams, maps and ornaments: their titles do not say what is seen.
_ABSTRACT = re.compile(
    r"\b(controller|corner|creation day|diagram|flourish|functions|generic|hp|maps?|regions?|sailing|set|"
    r"states|tacks?|territory|theory)\b|^(no|video|build|quit|question|test)$"
)
_COLOURS = r"(red|orange|yellow|green|blue|purple|pink|brown|black|white|gray|grey|gold|silver)"
#: What a drawing is whose title says nothing in English; longer folders first.
_FOLDER_WORDS: Mapping[str, str] = {
    "animals/birds/penguin": "penguin", "animals/birds": "bird", "animals/bugs": "bug",
    "animals/dinosaurs": "dinosaur", "animals/fish": "fish", "animals/mammals/bears": "bear",
    "animals/mammals/big_cats": "wild cat", "animals/mammals/dogs": "dog", "animals/mammals/horses": "horse",
    "animals/mammals/housecats": "cat", "animals/mammals": "animal", "buildings/homes": "house",
    "education/books": "book", "food/beverages": "drink", "food/desserts": "dessert", "food/fruit": "fruit",
    "food/vegetables": "vegetable", "people/clothing/hats": "hat", "people/smilies": "smiley",
    "plants/flowers": "flower", "recreation/toys": "toy",
    "tools": "tool", "transportation/vehicles": "vehicle", "transportation/boating": "boat",
}  # fmt: skip
AMBIGUOUS = frozenset({"bug", "mouse", "bat", "crane", "orange", "seal", "fan", "radio", "palm"})


def openclipart(
    package: Path, drawing_set: DrawingSet, by_label: Mapping[str, Concept], english: frozenset[str],
    foreign: Mapping[str, Concept],
) -> Iterator[Drawing | Dropped]:  # fmt: skip
    """Each drawing in the public domain with an English title, or one that is an emoji's name in another language.

    Args:
        english: Words of the dictionary; a title with any other word is taken for another language or a name.
        foreign: Names of emoji in Italian, French and so on, in lower case.
    """
    root = package / drawing_set.path
    for file in sorted(root.rglob("*.svg")):
        name = file.relative_to(root).as_posix()
        if _SKIPPED.search(name):
            yield Dropped(name, "folder")
            continue
        svg = file.read_text(encoding="utf-8", errors="replace")
        if not _PUBLIC_DOMAIN.search(svg):
            yield Dropped(name, "no licence")
            continue
        work = "".join(_WORK.findall(svg)[:1])
        title = html.unescape("".join(_TITLE.findall(work)[:1]))
        tags = [html.unescape(each).strip().lower() for each in _SUBJECT.findall(work)]
        tags = [each for each in tags if re.fullmatch(r"[a-z ]{3,24}", each) and "hash" not in each]
        caption = caption_of(title, file.stem)
        concept: Concept | None = None
        if not _known(caption, english):
            # In order: an emoji's name in another language, the file's name, what all drawings of the folder are.
            concept = foreign.get(caption)
            by_file = caption_of("", file.stem)
            caption = concept.label if concept else by_file if _known(by_file, english) else _folder_word(name, caption)
        if not caption or caption in _NOT_ENGLISH:
            yield Dropped(name, "no title")
        elif not _known(caption, english) and not concept:
            yield Dropped(name, "title not English")
        elif _ABSTRACT.search(caption):
            yield Dropped(name, "abstract")
        elif reason := reason_against(caption, caption):
            yield Dropped(name, reason)
        elif unsafe(caption, *tags, file.stem.replace("_", " ")):
            yield Dropped(name, "unsafe")
        else:
            concept = concept or (None if caption in AMBIGUOUS else by_label.get(caption))
            keywords = dict.fromkeys([*tags, *(concept.keywords if concept else ())])
            yield Drawing(name, svg, caption, tuple(keywords), concept, file.parent.relative_to(root).as_posix())


def _known(caption: str, english: frozenset[str]) -> bool:
    return bool(caption) and all(word in english for word in caption.split())


def _folder_word(name: str, otherwise: str) -> str:
    """What every drawing of the folder is, where the folder says so; the longest folder that matches counts."""
    return next((word for folder, word in _FOLDER_WORDS.items() if name.startswith(folder)), otherwise)


def caption_of(title: str, stem: str) -> str:
    """Words of the title; of the file's name where the title is that of a whole collection."""
    said = re.sub(r"^clipart by .*?- ", "", title.strip(), flags=re.IGNORECASE)
    # Of one collection all drawings have the title of one of them.
    if not said or said != title.strip() or _COLLECTION.search(title.lower()):
        said = _DRAWN_BY.sub("", stem)
    said = re.sub(r"([a-z])([A-Z])", r"\1 \2", said).lower().replace("'s ", "s ")
    said = re.sub(r"[^a-z]+", " ", said)
    said = " ".join(word for word in _NOISE.sub(" ", said).split() if len(word) > 1 or word == "a")
    said = re.sub(r" body part$", "", said)
    if not re.match(rf"{_COLOURS}\b", said):
        said = re.sub(rf"^(.+) {_COLOURS}$", r"\2 \1", said)
    return re.sub(r"\bhearth\b", "heart", said)


def tuxpaint(package: Path, drawing_set: DrawingSet, by_label: Mapping[str, Concept]) -> Iterator[Drawing | Dropped]:
    """Each stamp with its sentence ("A red apple."), in Chinese too where the stamp has it."""
    root = package / drawing_set.path
    for text in sorted(root.rglob("*.txt")):
        name = text.relative_to(root).with_suffix("").as_posix()
        art: str | Path | None = None
        if (svg := text.with_suffix(".svg")).is_file():
            art = svg.read_text(encoding="utf-8", errors="replace")
        elif (png := text.with_suffix(".png")).is_file():
            art = png
        lines = text.read_text(encoding="utf-8", errors="replace").splitlines()
        # The first sentence names the thing, the others tell about it.
        caption = re.split(r"[.!] ", lines[0].strip())[0].rstrip(".!").lower() if lines else ""
        if art is None or not caption:
            yield Dropped(name, "no title" if art else "no picture")
            continue
        if reason := reason_against(text.stem, caption) or ("unsafe" if unsafe(caption) else None):
            yield Dropped(name, reason)
            continue
        said = dict(line.split(".utf8=", 1) for line in lines[1:] if ".utf8=" in line)
        chinese = said.get("zh_CN", "").strip().rstrip("。")
        concept = by_label.get(re.sub(r"^(a|an|the|some) ", "", caption))
        captions = (("zh", chinese),) if chinese else ()
        yield Drawing(name, art, caption, (), concept, name.split("/")[0], captions)
