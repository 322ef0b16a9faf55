"""The flags of the grammar: their names, what they take, and their bounds. Pure.

Names and bounds are Midjourney's where it has the flag: who comes from there need not learn anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rapidfuzz import fuzz, process

from ..records import MAX_COUNT, MAX_SEED, ImageRequest
from .characters import MalformedPrompt, half
from .foreign import foreign

#: Sides to each other, at most.
MOST_ASPECT = 4.0
#: Requests that one prompt may ask for, by `--repeat` and braces; a server's moderators may allow fewer.
MOST_REQUESTS = 40

#: How a picture comes into another shape (`Source.fit`).
FITS = ("crop", "pad")

Kind = Literal["switch", "whole", "number", "ratio", "name", "words"]


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag. `field` is its name in `Wish`."""

    field: str
    kind: Kind
    #: Without the dashes; the first one is written by `say`.
    names: tuple[str, ...]
    example: str = ""
    low: float = 0
    high: float = 0
    #: How often it may be said; a second `--no` adds to the first.
    times: int = 1

    @property
    def dashed(self) -> str:
        return f"--{self.names[0]}"


FLAGS: tuple[Flag, ...] = (
    Flag("ratio", "ratio", ("ar", "aspect"), "--ar 3:2", 1 / MOST_ASPECT, MOST_ASPECT),
    Flag("seed", "whole", ("seed",), "--seed 7", 0, MAX_SEED),
    Flag("negative", "words", ("no",), "--no clouds", times=16),
    Flag("stylize", "number", ("s", "stylize"), "--s 100", 0, 1000),
    Flag("chaos", "whole", ("c", "chaos"), "--chaos 30", 0, 100),
    Flag("quality", "number", ("q", "quality"), "--q 2", 0.25, 4),
    Flag("steps", "whole", ("steps",), "--steps 16", 1, 100),
    Flag("stop", "whole", ("stop",), "--stop 80", 10, 100),
    Flag("tile", "switch", ("tile",)),
    Flag("image_weight", "number", ("iw",), "--iw 1.5", 0, 3),
    Flag("fit", "name", ("fit",), "--fit pad"),
    Flag("repeat", "whole", ("r", "repeat"), "--repeat 4", 1, MOST_REQUESTS),
    Flag("style", "name", ("style",), "--style noto"),
    Flag("draft", "switch", ("draft",)),
    Flag("transparent", "switch", ("transparent",)),
    Flag("raw", "switch", ("raw",)),
    Flag("model", "name", ("model",), "--model first-light"),
    Flag("adapters", "name", ("lora",), "--lora stamps", times=4),
    Flag("count", "whole", ("n", "count"), "--n 4", 1, MAX_COUNT),
    Flag("relaxed", "switch", ("relax",)),
)
BY_NAME: Mapping[str, Flag] = {name: flag for flag in FLAGS for name in flag.names}
#: Longest name of a style, a model or an adapter, as requests take it.
_LONGEST = 100
#: `.5` and `0,5` are numbers too.
_NUMBER = re.compile(r"[+-]?(\d{1,12}([.,]\d{1,6})?|[.,]\d{1,6})")
_RATIO = re.compile(r"(\d{1,4})[:x×*/](\d{1,4})", re.IGNORECASE)
#: Similarity (0-100) from which another flag is thought to be meant.
_NEAR = 60
#: Fields of a request that members set by a flag, for what is said about them.
_FLAG_OF_FIELD = {"guidance": "s", "width": "ar", "height": "ar", "source": "iw"}


def find_flag(name: str, at: int) -> Flag:
    """The flag of this name, without dashes.

    Raises:
        MalformedPrompt: says what does the same here, which flag is spelt nearly so, or which flags there are.
    """
    flag = BY_NAME.get(name.casefold())
    if flag is not None:
        return flag
    dashed = f"--{name[:40]}"
    if (code := foreign(name)) is not None:
        raise MalformedPrompt(code, at, flag=dashed)
    nearest = process.extractOne(name.casefold(), list(BY_NAME), scorer=fuzz.ratio, score_cutoff=_NEAR)
    if nearest is None:
        raise MalformedPrompt("flag.none", at, flag=dashed, flags=" ".join(each.dashed for each in FLAGS))
    raise MalformedPrompt("flag.unknown", at, flag=dashed, nearest=f"--{nearest[0]}")


def flag_of_field(field: str) -> Flag | None:
    """The flag by which a member sets this field of a request; None where there is none."""
    name = _FLAG_OF_FIELD.get(field)
    return BY_NAME[name] if name else next((flag for flag in FLAGS if flag.field == field), None)


def cut_value(flag: Flag, word: str) -> int:
    """How many characters of a word are the value: in `2，蓝色背景` one. All of them where it is no number or ratio."""
    pattern = {"whole": _NUMBER, "number": _NUMBER, "ratio": _RATIO}.get(flag.kind)
    found = pattern.match(half(word)) if pattern else None
    # A decimal comma with nothing of a number behind it is a comma of the prompt.
    ends_there = found is not None and (found.end() == len(word) or word[found.end()] in "，、。；！？,.;!?")
    return found.end() if found is not None and ends_there else len(word)


def value_of(flag: Flag, word: str, at: int) -> Any:
    """What a flag's value means, in whatever width it was typed. Raises: MalformedPrompt."""
    if flag.kind in ("whole", "number", "ratio"):
        word = half(word)
    match flag.kind:
        case "whole" | "number":
            return _number(flag, word, at)
        case "ratio":
            return _ratio(flag, word, at)
        case _:
            if flag.field == "style" and word.casefold() == "raw":
                raise MalformedPrompt("foreign.raw", at, flag="--style raw")
            if len(word) > _LONGEST or (flag.field == "fit" and word not in FITS):
                raise MalformedPrompt("flag.form", at, flag=flag.dashed, example=flag.example)
            return word


def _number(flag: Flag, word: str, at: int) -> int | float:
    word = word.replace(",", ".")
    if not _NUMBER.fullmatch(word) or (flag.kind == "whole" and "." in word):
        raise MalformedPrompt("flag.form", at, flag=flag.dashed, example=flag.example)
    value = int(word) if flag.kind == "whole" else float(word)
    if not flag.low <= value <= flag.high:
        raise MalformedPrompt("flag.range", at, flag=flag.dashed, low=f"{flag.low:g}", high=f"{flag.high:.12g}")
    return value


def _ratio(flag: Flag, word: str, at: int) -> tuple[int, int]:
    found = _RATIO.fullmatch(word)
    if found is None:
        raise MalformedPrompt("flag.form", at, flag=flag.dashed, example=flag.example)
    width, height = int(found[1]), int(found[2])
    if not width or not height or not flag.low <= width / height <= flag.high:
        raise MalformedPrompt("flag.range", at, flag=flag.dashed, low=f"1:{MOST_ASPECT:g}", high=f"{MOST_ASPECT:g}:1")
    return width, height


def known_fields() -> frozenset[str]:
    """Fields of a request that some flag sets, for the test that nothing is forgotten."""
    here = {flag.field for flag in FLAGS} & set(ImageRequest.model_fields)
    # Shape, guidance and source follow from flags of other names; the label is for moderators to say.
    return frozenset(here | {"width", "height", "guidance", "prompt", "parts", "source", "label"})
