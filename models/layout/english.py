"""English lists of things: `a red apple and two bananas`, `a cat to the left of a dog`."""

from __future__ import annotations

import re

from ..common import BACKGROUNDS, COLOURS, singulars, with_article
from .words import Group, Layout, Names, Way, layout

#: What is said before, and after, the things themselves.
_LEAD = re.compile(
    r"^(?:(?:please|can you|could you|would you|i want|i'd like|let me see|give|show|make|draw|paint|create|generate|"
    r"render|design|sketch|me|us)\s+)*"
    r"(?:(?:an?|the|one)?\s*(?:\w+\s+)?(?:picture|image|photo|drawing|painting|illustration|sketch|icon|emoji|sticker)s?"
    r"\s+(?:of|showing|with|that shows?|which shows?)\s+)?(?:both\s+)?"
)
_POLITE = re.compile(r"(?:[\s,]+(?:for (?:me|us)|please|together|side by side|next to each other|in one picture))+$")
#: From here on it is said how everything looks; each thing is told it.
_TAIL = re.compile(
    r"\s+(?:on|against|with|without)\s+(?:an?\s+|the\s+|any\s+)?(?:\w+\s+){0,4}?(?:background|gradient)\b.*$"
    r"|\s+in\s+(?:an?\s+|the\s+)?[\w-]+(?:\s+[\w-]+)?\s+style\b.*$|\s+in\s+the\s+style\s+of\b.*$|\s+on\s+(?P<colour>\w+)$"
)
#: A gradient from the top, or one colour.
_GROUNDS = tuple(
    map(
        re.compile,
        (
            r"\s+on an? (\w+) to (\w+) gradient(?: background)?$",
            r",?\s+background going from (\w+) to (\w+)$",
            r"\s+(?:on|against|with) (?:an? |the )?(?:plain )?(\w+) background\b|,\s*(\w+) background\b|\s+on (\w+)$",
        ),
    )
)
_RELATIONS: tuple[tuple[re.Pattern[str], Way, bool], ...] = tuple(
    (re.compile(rf"\s+(?:{words})\s+"), way, turned)
    for words, way, turned in (
        (r"(?:on |to )?(?:the )?left(?: side)? of|left from", "across", False),
        (r"(?:on |to )?(?:the )?right(?: side)? of|right from", "across", True),
        (r"above|over|on top of|atop", "down", False),
        (r"below|under|underneath|beneath", "down", True),
        (r"next to|beside|near|by the side of", "across", False),
    )
)
_AND = re.compile(r"\s*,\s*and\s+|\s*,\s*|\s+and\s+|\s*&\s*|\s+along with\s+|\s+together with\s+")
_NUMBERS = {"a": 1, "an": 1, "one": 1, "the": 1, "another": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
            "seven": 7, "eight": 8, "nine": 9, "a pair of": 2, "a couple of": 2}  # fmt: skip
_NUMBER = re.compile(rf"^(?:(?P<word>{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})|(?P<digit>[1-9]))\s+")
#: Words that make more of a thing than its name and how it looks: then nothing is understood.
_MORE = re.compile(
    "in|on|at|with|wearing|holding|riding|eating|playing|for|from|into|inside|behind|before|after|that|which|who|or|but|"
    "no|not|without|like|as|is|are|was|being|having|made|than|between|through|across|around|near|and|an?|the|two|three|"
    "four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|thousand|million|many|several|some|few|lots|more|"
    "less|other|every|each|all",
    re.IGNORECASE,
)
#: What things do together is no list, wherever it is said.
_ACTS = re.compile(
    r"\b(?!drawing|painting)\w{2,}ing\b|\b(?:behind|inside|around|with(?![^,]*background))\b", re.IGNORECASE
)
_SIZES = {"tiny": 0.45, "mini": 0.45, "small": 0.65, "little": 0.65, "big": 1.0, "huge": 1.0, "giant": 1.0}
#: Words before a name that tell how it looks, and how many at most.
_LOOKS = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_MOST_WORDS = 5
_COLOURS = frozenset(word for name, colour in COLOURS.items() for word in (name, *colour.english))


def read(prompt: str, names: Names) -> Layout | None:
    """The things that an English prompt lists, or None where it says anything more, or of anything unknown.

    A single thing gives one group with what was asked of it; its text is the prompt without request and courtesy.
    """
    text = " ".join(prompt.split()).rstrip(".!")
    plain = text.casefold()
    lead = _LEAD.match(plain)
    begin = lead.end() if lead else 0
    body = text[begin:]
    body, tail = _without_tail(_without_courtesy(body), names)
    body = _without_courtesy(body)
    ground, tail = _ground(tail)
    made = layout(_related(body, names) or _listed(body, names), body, tail, ground)
    # A cat and a dog, playing chess, is no list.
    return None if made is not None and made.things > 1 and _ACTS.search(tail) else made


def _without_courtesy(body: str) -> str:
    polite = _POLITE.search(body.casefold())
    return body[: polite.start()] if polite else body


def _without_tail(body: str, names: Names) -> tuple[str, str]:
    """The things, and how all of it looks: `, noto style`, ` on a blue background`."""
    begin = len(body)
    if (found := _TAIL.search(body.casefold())) and (found["colour"] is None or found["colour"] in _COLOURS):
        begin = found.start()
    # A comma before something that is no thing.
    for comma in re.finditer(",", body[:begin]):
        rest = body[comma.end() : begin].strip()
        first = re.sub(r"^and\s+", "", rest.casefold())
        if not _NUMBER.match(first) and _group(re.split(r",| and ", first)[0], names, bare=True) is None:
            begin = comma.start()
            break
    return body[:begin].rstrip(" ,"), body[begin:]


def _ground(tail: str) -> tuple[tuple[str, ...], str]:
    """The colours of the background that the tail names, and the rest of it; white is what silence means."""
    for pattern in _GROUNDS:
        said = pattern.search(tail.casefold())
        words = tuple(word for word in said.groups() if word) if said else ()
        if said and all(word in BACKGROUNDS for word in words) and words != ("white",):
            return words, (tail[: said.start()] + tail[said.end() :]).rstrip(" ,")
    return (), tail


def _related(body: str, names: Names) -> tuple[tuple[Group, ...], Way] | None:
    for pattern, way, turned in _RELATIONS:
        ends = pattern.split(body, maxsplit=1)
        if len(ends) == 2:
            one, two = (_group(end, names, bare=True) for end in ends)
            if one is None or two is None:
                return None
            return ((two, one) if turned else (one, two)), way
    return None


def _listed(body: str, names: Names) -> tuple[tuple[Group, ...], Way] | None:
    if (one := _group(body, names, bare=True)) is not None:
        # `a smiling face with sunglasses` is one thing.
        return (one,), "any"
    ends = _AND.split(body)
    if len(ends) == 1 and len(both := body.split(" with ")) == 2:
        # A cat with a dog, but not a man with a hat: both have to be whole things by themselves.
        ends = both
    bare = all(_NUMBER.match(end.casefold()) is None for end in ends)
    if bare and len(ends) > 1 and ends[0].casefold() in _COLOURS:
        return None  # an orange and white cat
    groups = [_group(end, names, bare=bare) for end in ends]
    known = [group for group in groups if group is not None]
    return (tuple(known), "any") if len(known) == len(groups) else None


def _group(said: str, names: Names, *, bare: bool) -> Group | None:
    """`three small red apples` → 3 × `a red apple`, or None. Without a number only where `bare`."""
    said = said.strip()
    number = _NUMBER.match(said.casefold())
    if number is None and not bare and with_article(said.casefold()) != said.casefold():
        return None  # only corn and grapes have neither number nor article
    count = 1 if number is None else int(number["digit"] or _NUMBERS[number["word"]])
    words = said[number.end() :].split() if number else said.split()
    for begin in range(len(words)):
        name = " ".join(words[begin:])
        if number is None and (several := _plural(name, names)):
            known, count = several, 2  # `cats`: more than one
        else:
            known = name if count == 1 and name in names else _one(name, names) if count > 1 else None
        if known is None:
            continue
        before = words[:begin]
        if len(before) > _MOST_WORDS or not all(map(_LOOKS.fullmatch, before)):
            return None
        if any(map(_MORE.fullmatch, before)):
            return None
        sizes = [_SIZES[word.casefold()] for word in before if word.casefold() in _SIZES]
        looks = [word for word in before if word.casefold() not in {*_SIZES, "very"}]
        return Group(with_article(" ".join([*looks, known])), count, sizes[0] if sizes else 1.0)
    return None


def _plural(name: str, names: Names) -> str | None:
    """One of them where `name` says several, and is no name that is always said so: `cats`, not `grapes`."""
    one = _one(name, names)
    return one if one and one != name and with_article(name.casefold()) != name.casefold() else None


def _one(name: str, names: Names) -> str | None:
    """One of `name`, as the weights know it: `apples`, `slices of pizza`, `sheep`."""
    between = next((word for word in (" of ", " with ", " de ") if word in name), " of ")
    head, of, rest = name.partition(between)
    forms = (f"{one}{of}{rest}" for one in singulars(head.casefold()))
    return next((form for form in (*forms, name) if form in names), None)
