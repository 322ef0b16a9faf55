"""Finding a flag by its name and reading its value; records/flags.py says which flags there are. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rapidfuzz import fuzz, process

from ..records import FLAGS, FOLLOWS, MOST_ASPECT, Flag, ImageRequest
from .characters import MalformedPrompt, half
from .foreign import foreign

BY_NAME: Mapping[str, Flag] = {name: flag for flag in FLAGS for name in flag.names}
BY_FIELD: Mapping[str, Flag] = {flag.field: flag for flag in FLAGS}
#: Longest name of a style, a model or an adapter, as requests take it.
_LONGEST = 100
#: `.5` and `0,5` are numbers too.
_NUMBER = re.compile(r"[+-]?(\d{1,12}([.,]\d{1,6})?|[.,]\d{1,6})")
_RATIO = re.compile(r"(\d{1,4})[:x×*/](\d{1,4})", re.IGNORECASE)
#: Similarity (0-100) from which another flag is thought to be meant.
_NEAR = 60


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
    return BY_FIELD.get(FOLLOWS.get(field, field))


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
            if len(word) > _LONGEST or (flag.choices and word not in flag.choices):
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
    here = {*BY_FIELD, *FOLLOWS} & set(ImageRequest.model_fields)
    return frozenset(here | {"prompt", "parts", "label"})  # The label is for moderators to say.
