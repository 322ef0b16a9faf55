"""Say what a scene shows, natively in English and Chinese; never more than it shows.

White backgrounds are what silence means; everything else that a caption leaves out, it leaves open.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Literal

import inflect

from ..common import BACKGROUNDS, COLOURS, PLURALS, with_article
from .captions import KIND_WORDS, KIND_WORDS_ZH
from .scene import Scene, Thing, relation
from .wording import CLASSIFIERS, ENGLISH, NUMBERS, NUMBERS_ZH, PLAIN_ZH, RELATIONS, RELATIONS_ZH, SIZES, ZH, Templates

#: Concept → language → its names, the usual one first.
Names = Mapping[str, Mapping[str, Sequence[str]]]
Wording = Literal["seen", "unseen"]

#: Labels and names that are no noun for what is drawn ("cooking" is a fried egg), or bring a measure word along.
UNFIT = frozenset({"cooking", "locked", "high voltage", "嘿嘿", "高压", "雪与雪人", "合上的锁", "一杯咖啡"})
#: Shares: a natural colour, a style, a word like "cute", a white background that is said.
NATURAL, STYLE, KIND_WORD, SAID_WHITE = 0.25, 0.2, 0.12, 0.12


def names_of(rows: Sequence[Mapping[str, Any]], concepts: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> Names:
    """The names of `concepts` (further English and Chinese ones) together with what the data set's rows say."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        label = row["caption_en"]
        if label not in concepts or label in found:
            continue
        english, chinese = concepts[label]
        fit = [name for name in (label, *english) if name not in UNFIT] or [label]
        named: dict[str, list[str]] = {"en": fit, "zh": _without_unfit([row["caption_zh"], *chinese])}
        for key, value in row.items():
            language = key.removeprefix("caption_")
            if key.startswith("caption_") and language not in ("en", "zh") and value:
                named[language] = [value]
        found[label] = named
    return found


def _without_unfit(names: Sequence[str]) -> list[str]:
    return [name for name in names if name and name not in UNFIT]


def languages(names: Names) -> list[str]:
    """All languages besides English and Chinese that any concept has a name in, in order."""
    return sorted({language for named in names.values() for language in named} - {"en", "zh"})


def describe(
    scene: Scene,
    names: Names,
    choose: random.Random,
    language: str = "en",
    wording: Wording = "seen",
    named: Callable[[str, str], str] | None = None,
) -> str:
    """One true caption.

    Args:
        scene: what is shown.
        names: of every concept in the scene.
        choose: decides between the true captions.
        language: `en` and `zh` say whole scenes; any other language names what is there, and falls back to English
            where a thing has no name in it.
        wording: `unseen` takes the sentences that are kept for the evaluation.
        named: (concept, language) → the name to use, instead of one of `names`.
    """
    if language == "zh" and all(names[thing.concept].get("zh") for thing in scene.things):
        return _chinese(scene, names, choose, wording, named)
    others = [names[thing.concept].get(language) for thing in scene.things]
    if language not in ("en", "zh") and scene.kind == "single" and others[0]:
        text = choose.choice(list(others[0]))
        return f"{text}, {scene.style}" if scene.style and choose.random() < STYLE else text
    return _english(scene, names, choose, wording, named)


def _english(
    scene: Scene,
    names: Names,
    choose: random.Random,
    wording: Wording,
    named: Callable[[str, str], str] | None,
) -> str:
    def one(thing: Thing) -> str:
        known = colourless(thing, names[thing.concept]["en"])
        if scene.kind == "count":
            known = [name for name in known if name not in PLURALS] or known
        name = named(thing.concept, "en") if named else choose.choice(known)
        return " ".join([*_english_colour(thing, scene, name, choose), name])

    style = scene.style if choose.random() < STYLE else None
    first = _shared(scene)
    said: dict[str, str] = {}
    templates: Templates
    if scene.kind == "count":
        said = {"things": f"{NUMBERS[len(scene.things)]} {plural(one(first))}"}
        templates = ENGLISH["count"]
    elif scene.kind in ("position", "two"):
        a, b = (with_article(one(thing)) for thing in _ordered(scene, choose))
        said = {"a": a, "b": b}
        if scene.kind == "position":
            said["relation"] = choose.choice(RELATIONS[_relation(scene, choose, said)])
        templates = ENGLISH[scene.kind]
    else:
        name = one(first)
        if scene.kind == "size":
            name = f"{choose.choice(SIZES[size_word(first)][0])} {name}"
        elif choose.random() < KIND_WORD:
            name = f"{choose.choice([word for word in KIND_WORDS if word != 'little'])} {name}"
        said = {"name": name, "thing": with_article(name)}
        templates = ENGLISH["single"]
    text = choose.choice(templates.seen if wording == "seen" else templates.unseen).format(**said)
    if style:
        text = choose.choice((f"{text} in {style} style", f"{text}, {style} style", f"{text}, {style}"))
    return text + _english_background(scene, choose)


def _english_colour(thing: Thing, scene: Scene, name: str, choose: random.Random) -> list[str]:
    """The colour word, where it must or may be said."""
    word = thing.colour or (thing.natural if choose.random() < NATURAL and scene.kind != "size" else None)
    if word is None or word in name.split():
        return []
    return [choose.choice((word, word, *COLOURS[word].english))]


def _english_background(scene: Scene, choose: random.Random) -> str:
    if scene.gradient:
        return choose.choice(
            (
                f" on a {scene.background} to {scene.gradient} gradient background",
                f", background going from {scene.background} to {scene.gradient}",
            )
        )
    word = scene.background
    if word == "white":
        # "Without a background" is what white is in the pictures that people know.
        said = (" on a white background", ", white background", " without a background", ", no background")
        return choose.choice(said) if choose.random() < SAID_WHITE else ""
    return choose.choice(
        (f" on {'an' if word[0] in 'aeiou' else 'a'} {word} background", f", {word} background", f" on {word}")
    )


def _chinese(
    scene: Scene,
    names: Names,
    choose: random.Random,
    wording: Wording,
    named: Callable[[str, str], str] | None,
) -> str:
    def one(thing: Thing, kind_word: str = "") -> str:
        known = colourless(thing, names[thing.concept]["zh"])
        if scene.kind == "size":
            # 大 + 小狗 would be a big small dog.
            known = [name for name in known if name[0] not in "大小"] or known
        name = named(thing.concept, "zh") if named else choose.choice(known)
        word = thing.colour or (thing.natural if choose.random() < NATURAL and scene.kind != "size" else None)
        if word and not name.startswith(COLOURS[word].short):
            name = f"{choose.choice(COLOURS[word].chinese)}的{name}"
        return kind_word + name

    def counted(thing: Thing, count: int, kind_word: str = "") -> str:
        name = one(thing, kind_word)
        # A face or head is counted as such, whatever counts the animal.
        classifier = "个" if name.endswith(("头", "脸")) and len(name) > 1 else CLASSIFIERS.get(thing.concept, "个")
        return f"{NUMBERS_ZH[count]}{classifier}{name}"

    style = scene.style if choose.random() < STYLE else None
    first = _shared(scene)
    said: dict[str, str]
    templates: Templates
    if scene.kind == "count":
        said, templates = {"things": counted(first, len(scene.things))}, ZH["count"]
    elif scene.kind in ("position", "two"):
        a, b = (counted(thing, 1) if choose.random() < 0.4 else one(thing) for thing in _ordered(scene, choose))
        said, templates = {"a": a, "b": b}, ZH[scene.kind]
        if scene.kind == "position":
            said["relation"] = choose.choice(RELATIONS_ZH[_relation(scene, choose, said)])
    else:
        kind_word = ""
        if scene.kind == "size":
            ways = SIZES[size_word(first)][1]
            kind_word = choose.choice(ways)
            if any(name[0] in "大小" for name in names[first.concept]["zh"]):
                kind_word = choose.choice([way for way in ways if way.endswith("的")] or ways)
        elif choose.random() < KIND_WORD:
            kind_word = choose.choice([word for word in KIND_WORDS_ZH if "小" not in word])
        said = {"name": one(first, kind_word), "counted": counted(first, 1, kind_word)}
        templates = PLAIN_ZH if choose.random() < 0.3 and wording == "seen" else ZH["single"]
    text = choose.choice(templates.seen if wording == "seen" else templates.unseen).format(**said)
    if style:
        # Only a bare noun takes it in front: not a sentence, not a request to draw.
        bare = scene.kind in ("single", "colour", "size") and text in (said["name"], said["counted"])
        text = choose.choice((f"{style}风格的{text}", f"{text}，{style}风格") if bare else (f"{text}，{style}风格",))
    return text + _chinese_background(scene, choose)


def _chinese_background(scene: Scene, choose: random.Random) -> str:
    if scene.gradient:
        return f"，从{COLOURS[scene.background].short}到{COLOURS[scene.gradient].short}的渐变背景"
    if scene.background == "white" and choose.random() >= SAID_WHITE:
        return ""
    colour = BACKGROUNDS[scene.background][0]
    said = (f"，{colour}背景", f"，{colour}的背景")
    return choose.choice((*said, "，没有背景") if scene.background == "white" else said)


def _ordered(scene: Scene, choose: random.Random) -> tuple[Thing, Thing]:
    """Both things in the order of the sentence; a relation is turned to fit (`_relation`)."""
    one, two = scene.things
    return (one, two) if scene.kind == "position" or choose.random() < 0.5 else (two, one)


def _relation(scene: Scene, choose: random.Random, said: dict[str, str]) -> str:
    """What the first thing said is to the second; half of the time both change places."""
    found = relation(scene)
    assert found is not None
    word = found[1] if found[0] == scene.things[0].concept else {"left of": "right of", "above": "below"}[found[1]]
    if choose.random() < 0.5:
        said["a"], said["b"] = said["b"], said["a"]
        word = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}[word]
    return word


def _shared(scene: Scene) -> Thing:
    """The first thing, with a natural colour only where all things have it: of two aliens one may be green."""
    first = scene.things[0]
    if scene.kind == "count" and len({thing.natural for thing in scene.things}) > 1:
        return replace(first, natural=None)
    return first


def colourless(thing: Thing, names: Sequence[str]) -> list[str]:
    """The names that do not contradict how a thing looks: a blue apple is no `red apple`."""
    looks = thing.colour or thing.natural
    if looks is None:
        return list(names)
    said = (looks, *COLOURS[looks].english)
    fits = [
        name
        for name in names
        if not says_colour(name) or set(said) & set(name.split()) or name.startswith(COLOURS[looks].short)
    ]
    return fits or list(names)


def says_colour(name: str) -> bool:
    """Whether a name tells a colour itself: `red heart`, `红心`, `orange`."""
    return any(word in COLOURS for word in name.split()) or any(name.startswith(c.short) for c in COLOURS.values())


def size_word(thing: Thing) -> str:
    """`tiny`, `small` or `huge`."""
    return "tiny" if thing.scale < 0.3 else "small" if thing.scale < 0.6 else "huge"


@cache
def grammar() -> inflect.engine:
    """English plurals."""
    return inflect.engine()


@cache
def plural(name: str) -> str:
    """`apples`, `loaves of bread`, `ears of corn`."""
    head, of, rest = name.partition(" of ")
    return str(grammar().plural_noun(head)) + of + rest
