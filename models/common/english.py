"""English articles and singulars, as far as names of things need them. Words only; no dependencies.

Captions take their articles from here as well, so that prompts are written as the models were taught.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

#: Names that take no article.
PLURALS = frozenset({"bread", "books", "cherries", "chips", "coffee", "cooking", "corn", "ear of corn", "fire"})
PLURALS |= {"french fries", "fries", "grapes", "lightning", "maize", "sunglasses"}

#: The sound decides, not the letter. The first that matches counts.
_ARTICLES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), article)
    for pattern, article in (
        # Ordinals and single letters as they are spoken: an 8th, an x-ray, a t-shirt.
        (r"[aefhilmnorsx]-?th", "an"),
        (r"[bcdgjkpqtuvwyz]-?th", "a"),
        (r"euler|hour(?!i)|heir|honest|hono[ur]|mpeg", "an"),
        (r"[aefhilmnorsx]$", "an"),
        (r"[bcdgjkpqtuvwyz]$", "a"),
        (r"[aefhilmnorsx][.-]", "an"),
        (r"[a-z][.-]", "a"),
        (r"[^aeiouy]", "a"),
        # A unicorn, a one-way street, a ewe, a user.
        (r"e[uw]|onc?e\b|onetime\b|uni(?:[^nmd]|mo)|u[bcfghjkqrst][aeiou]|ukr|unabomber|unanimous|us", "a"),
        (r"[aeiou]", "an"),
        # Yttrium.
        (r"y(?:b[lor]|cl[ea]|fere|gg|p[ios]|rou|tt)", "an"),
    )
)
#: Abbreviations: a UFO; an MRI, but a NASA rocket.
_SPOKEN = re.compile(r"U[NK][AIEO]?")
_SPELT = re.compile(
    r"(?!FJO|[HLMNS]Y.|RY[EO]|SQU|(?:F[LR]?|[HL]|MN?|N|RH?|S[CHKLMNPTVW]?|X(?:YL)?)[AEIOU])[FHLMNRSX][A-Z]"
)
#: Endings of plurals and what they were before; all that fit are tried.
_ENDINGS = (
    ("ves", ("f", "fe", "ve")),
    ("ies", ("y", "ie")),
    ("men", ("man",)),
    ("children", ("child",)),
    ("people", ("person",)),
    ("feet", ("foot",)),
    ("teeth", ("tooth",)),
    ("geese", ("goose",)),
    ("mice", ("mouse",)),
    ("dice", ("die",)),
    ("oxen", ("ox",)),
    ("i", ("us",)),
    ("zzes", ("z",)),
    ("sses", ("ss", "s")),
    ("shes", ("sh",)),
    ("ches", ("ch",)),
    ("ses", ("s",)),
    ("xes", ("x",)),
    ("oes", ("o",)),
    ("s", ("",)),
    ("es", ("is",)),
)


@cache
def article(name: str) -> str:
    """`a` or `an` before any words."""
    if _SPELT.match(name):
        return "an"
    if _SPOKEN.match(name):
        return "a"
    return next((found for pattern, found in _ARTICLES if pattern.match(name)), "a")


@cache
def with_article(name: str) -> str:
    """`an apple`, `a unicorn`, `red grapes`."""
    if name in PLURALS or any(name.endswith(f" {word}") for word in PLURALS):
        return name
    return f"{article(name)} {name}"


def singulars(name: str) -> Iterator[str]:
    """What one of them may be called, the likelier first: `loaves` → loaf, loafe, loave, …; nothing for no plural.

    Which of these there is, who asks must know.
    """
    for ending, before in _ENDINGS:
        if name.endswith(ending) and len(name) >= 3:
            stem = name.removesuffix(ending)
            if ending == "s" and stem.endswith("s"):
                continue  # grass
            yield from (stem + one for one in before)
