"""The one grammar of prompts, for bot, studio and command line. Pure.

    https://…/cat.png a {red, green} cat::2 hat --ar 3:2 --no clouds --style noto

Links to a picture first, then the prompt with weights behind `::`, then flags (flags.py); flags may stand first
too. `expand` takes braces apart, `parse` reads one text, `say` writes it again, `fields` gives what a request needs.
Errors point at a character.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..records import FLAGS, MOST_REQUESTS, Flag, ImageRequest, Part, Source
from .characters import DASHES, Char, Chars, MalformedPrompt, first_permutations, half, is_sign, pointer, read, written
from .flags import BY_FIELD, cut_value, find_flag, value_of
from .shape import ratio_of, sides
from .words import Word, needs_escape, words_of

__all__ = [
    "MalformedPrompt",
    "Wish",
    "expand",
    "fields",
    "fill_in",
    "parse",
    "plan",
    "pointer",
    "say",
    "sides",
    "wish_of",
]

#: Weights and parts, as requests take them.
MOST_PARTS = 16
MOST_WEIGHT = 10.0
#: `--s 100` is a guidance of 3: Midjourney's usual value is ours.
STYLIZE_PER_GUIDANCE = 50.0
MOST_GUIDANCE = 20.0
#: Share of noise for `--iw 1`; each further unit multiplies by it, so 0 forgets the picture.
STRENGTH = 0.6
#: How much a picture of weight 1 counts beside the words where it is read as a prompt (`--iw` multiplies it).
SCALE = 0.6
_WEIGHT = re.compile(r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)")
#: Signs behind a flag's value after which the prompt goes on, and such that only end it.
_GOES_ON, _ENDS = ",，、;；。", ",，、;；。.!！"
_SPREAD = re.compile(r"\d{1,4} ?[:x×*/] ?\d{1,4}(?![^ ,.;!])", re.IGNORECASE)
_LINK = re.compile(r"https?://\S+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wish:
    """One prompt as it was meant. Each flag is an attribute by its field, such as `wish.seed`."""

    #: Without flags, links and weights.
    prompt: str = ""
    #: The weighted parts, if there are weights.
    parts: tuple[Part, ...] = ()
    #: Where the picture lies from which it begins.
    link: str = ""
    #: What its flags say, by field; what was not said is not in it.
    said: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __getattr__(self, name: str) -> Any:
        flag = BY_FIELD.get(name)
        if flag is None:
            raise AttributeError(name)
        return self.said.get(name, flag.unsaid)

    def saying(self, **flags: Any) -> Wish:
        """With these flags besides, or in place of what was said; None, empty and False take one back."""
        said = {**self.said, **flags}
        return replace(self, said={name: value for name, value in said.items() if not _open(value)})


def plan(typed: str, most: int = MOST_REQUESTS) -> tuple[Wish, ...]:
    """Every request that a text asks for, by braces and by `--repeat`: at most `most`.

    Raises:
        MalformedPrompt: names the character.
    """
    found: list[Wish] = []
    total = 0
    for chars in first_permutations(read(typed), most):
        wish = _parse(chars, needs_prompt=True)
        total += wish.repeat or 1
        found += [wish.saying(repeat=None)] * min(wish.repeat or 1, most)
    if total > most:
        at = re.search(r"--(r|repeat)\b", typed)
        raise MalformedPrompt("too_many", at.start() if at else 0, count=total, most=most)
    return tuple(found)


def expand(typed: str, most: int = MOST_REQUESTS) -> tuple[str, ...]:
    """The texts that a text with braces stands for, as they would be typed. Raises: MalformedPrompt."""
    return tuple("".join(_typed(char) for char in chars) for chars in first_permutations(read(typed), most))


def parse(typed: str, *, needs_prompt: bool = True) -> Wish:
    """One text without braces. Raises: MalformedPrompt."""
    for char in (chars := read(typed)):
        if is_sign(char, "{") or is_sign(char, "}"):
            raise MalformedPrompt("brace.open" if is_sign(char, "{") else "brace.close", char.at)
    return _parse(chars, needs_prompt=needs_prompt)


def say(wish: Wish) -> str:
    """The text for it, such that `parse(say(wish)) == wish`."""
    words = [_escape_link(wish.link)] if wish.link else []
    if wish.parts:
        words.append(" ".join(f"{_escape(part.text)}::{_plain(part.weight)}" for part in wish.parts))
    elif wish.prompt:
        words.append(_escape(wish.prompt))
    for flag in FLAGS:
        if flag.field not in wish.said:
            continue
        given = wish.said[flag.field]
        values = given if flag.field == "adapters" else (given,)
        words += [flag.dashed if flag.kind == "switch" else f"{flag.dashed} {_said(flag, value)}" for value in values]
    return " ".join(words)


def fill_in(wish: Wish, preferred: Wish) -> Wish:
    """What the member did not say, as they prefer it; preferred words come behind the prompt."""
    said = {**preferred.said, **wish.said}
    # Steps and quality are two words for one thing.
    if wish.steps is not None or wish.quality is not None:
        said |= {"steps": wish.steps, "quality": wish.quality}
    changes: dict[str, Any] = {}
    if preferred.prompt:
        changes["prompt"] = f"{wish.prompt} {preferred.prompt}".strip()
        if wish.parts:
            changes["parts"] = (*wish.parts, *(preferred.parts or (Part(text=preferred.prompt),)))[:MOST_PARTS]
    return replace(wish, **changes).saying(**said)


def fields(wish: Wish, *, size: int, steps: int, guidance: float) -> dict[str, Any]:
    """Arguments of `image_request` but for `seed` and `source`. The defaults are a server's."""
    width, height = sides(wish.ratio, size)
    same = {name: value for name, value in wish.said.items() if name in ImageRequest.model_fields and name != "seed"}
    return same | {
        "prompt": wish.prompt,
        "parts": wish.parts,
        "width": width,
        "height": height,
        "steps": wish.steps or max(1, min(100, round(steps * (wish.quality or 1.0)))),
        "guidance": guidance if wish.stylize is None else min(1 + wish.stylize / STYLIZE_PER_GUIDANCE, MOST_GUIDANCE),
    }


def source(wish: Wish, picture: str, *, read: bool = False) -> Source:
    """The picture, by its name in the store, with the weight that was wished for; `read`: as a prompt, where it can."""
    weight = 1.0 if wish.image_weight is None else wish.image_weight
    fit = "pad" if wish.fit == "pad" else "crop"
    scale = round(min(1.0, SCALE * weight), 3) if read else None
    return Source(use="vary", picture=picture, strength=round(STRENGTH**weight, 3), fit=fit, scale=scale)


def wish_of(request: ImageRequest, *, size: int, steps: int, guidance: float, seed: bool = False) -> Wish:
    """What would have to be typed for this request, beside a server's defaults; its seed too if wanted."""
    usual = {"steps": steps}
    same = {
        name: None if value == usual.get(name, ImageRequest.model_fields[name].default) else value
        for name, value in request
        if name in BY_FIELD
    }
    wish = Wish(prompt=request.prompt, parts=request.parts).saying(**same)
    return wish.saying(
        ratio=ratio_of(request.width, request.height, size),
        seed=request.seed if seed else None,
        stylize=None if request.guidance == guidance else round((request.guidance - 1) * STYLIZE_PER_GUIDANCE, 6),
    )


def _open(value: Any) -> bool:
    """Whether this was not said; zero was."""
    return value is None or value is False or value in ("", ())


# ---- reading


def _parse(chars: Chars, *, needs_prompt: bool) -> Wish:
    words = words_of(chars)
    first = next((n for n, word in enumerate(words) if word.flag is not None), len(words))
    text, link = _without_link(words[:first])
    said, rest = _flags(words[first:], may_follow=not text)
    more, second = _without_link(rest)
    if link and second:
        raise MalformedPrompt("link.many", next(word.at for word in rest if word.text == second))
    if text and more:
        # A comma belongs to the word before it.
        text = [*text[:-1], Word(text[-1].chars + more[0].chars), *more[1:]]
    wish = replace(_prompt([word.chars for word in text or more]), link=link or second)
    if needs_prompt and not wish.prompt:
        if "negative" in said:
            raise MalformedPrompt("flag.no_first", next(word.at for word in words if word.flag == "no"))
        raise MalformedPrompt("empty", words[first].at if first < len(words) else 0)
    return wish.saying(**said)


def _without_link(words: Sequence[Word]) -> tuple[list[Word], str]:
    text, link = list[Word](), ""
    for word in words:
        if not word.chars[0].plain and _LINK.fullmatch(word.text):
            if link:
                raise MalformedPrompt("link.many", word.at)
            link = word.text
        else:
            text.append(word)
    return text, link


def _flags(words: Sequence[Word], *, may_follow: bool) -> tuple[dict[str, Any], list[Word]]:
    """What the flags say, and the words behind their values: the prompt, where flags stand first."""
    found: dict[str, Any] = {}
    said: dict[str, int] = {}
    rest: list[Word] = []
    n = 0
    while n < len(words):
        word = words[n]
        flag = find_flag(word.flag or "", word.at)
        following: list[Word] = []
        n += 1
        while n < len(words) and words[n].flag is None:
            following.append(words[n])
            n += 1
        said[flag.field] = said.get(flag.field, 0) + 1
        if said[flag.field] > flag.times:
            code = "flag.twice" if flag.times == 1 else "flag.many"
            raise MalformedPrompt(code, word.at, flag=flag.dashed, most=flag.times)
        found[flag.field], behind = _value(flag, following, word.at, found.get(flag.field))
        if behind and not may_follow and behind[0].text[0] not in _GOES_ON:
            code = "flag.alone" if flag.kind == "switch" else "flag.text"
            raise MalformedPrompt(code, behind[0].at, flag=flag.dashed)
        rest += behind
    if "steps" in found and "quality" in found:
        raise MalformedPrompt("flag.twice", words[0].at, flag="--q")
    return found, rest


def _value(flag: Flag, words: Sequence[Word], at: int, before: Any) -> tuple[Any, list[Word]]:
    """The value, and the words behind it."""
    if flag.kind == "switch":
        return True, _after(words)
    if not words:
        raise MalformedPrompt("flag.value", at, flag=flag.dashed, example=flag.example)
    if flag.kind == "words":
        text = " ".join(word.text for word in words)
        return f"{before}, {text}" if before else text, []
    first, *others = words
    if flag.kind == "ratio" and (spread := _SPREAD.match(half(" ".join(word.text for word in words[:3])))):
        # 16 : 9
        pieces = spread[0].count(" ") + 1
        first = Word(tuple(char for word in words[:pieces] for char in word.chars))
        others = list(words[pieces:])
    length = cut_value(flag, first.text)
    value = value_of(flag, written(first.chars[:length]), first.at)
    glued = [Word(first.chars[length:])] if first.chars[length:] else []
    return (*(before or ()), value) if flag.field == "adapters" else value, _after([*glued, *others])


def _after(words: Sequence[Word]) -> list[Word]:
    """What is said behind a flag, without a full stop at its end."""
    return [] if all(char.c in _ENDS for word in words for char in word.chars) else list(words)


def _prompt(words: Sequence[Chars]) -> Wish:
    """Prompt and parts."""
    chars: list[Char] = []
    for word in words:
        chars += [Char(" ", word[0].at), *word] if chars else word
    parts: list[tuple[str, float]] = []
    start = n = 0
    while n < len(chars) - 1:
        if not (is_sign(chars[n], ":") and half(chars[n + 1].c) == ":"):
            n += 1
            continue
        weight = _WEIGHT.match(half(written(chars[n + 2 :])))
        text = written(chars[start:n]).strip()
        if not text:
            raise MalformedPrompt("part.empty", chars[n].at)
        parts.append((text, _weight(weight[0] if weight else "1", chars[n].at)))
        n += 2 + (weight.end() if weight else 0)
        start = n
    rest = written(chars[start:]).strip()
    if not parts:
        return Wish(prompt=rest)
    if rest:
        parts.append((rest, 1.0))
    if len(parts) > MOST_PARTS:
        raise MalformedPrompt("part.many", chars[0].at, most=MOST_PARTS)
    total = sum(weight for _, weight in parts)
    if total <= 0:
        raise MalformedPrompt("part.sum", chars[0].at, sum=f"{total:g}")
    # Unchecked here: a text that is too long is refused with the whole request.
    made = tuple(Part.model_construct(text=text, weight=weight) for text, weight in parts)
    return Wish(prompt=" ".join(text for text, _ in parts), parts=made)


def _weight(word: str, at: int) -> float:
    value = float(word)
    if not -MOST_WEIGHT <= value <= MOST_WEIGHT:
        raise MalformedPrompt("part.weight", at, low=f"{-MOST_WEIGHT:g}", high=f"{MOST_WEIGHT:g}")
    return value


# ---- writing


def _typed(char: Char) -> str:
    return f"\\{char.c}" if char.plain else char.c


def _escape(text: str) -> str:
    """The words so that none of them has a meaning."""
    dashed = "".join(
        f"\\{c}" if (c in DASHES and needs_escape(text, n)) or c in "\\{}｛｝" else c for n, c in enumerate(text)
    )
    text = re.sub(r"(^|\s)(?=https?://)", r"\1" + "\\\\", dashed, flags=re.IGNORECASE)
    # Also a colon at the end: `::` comes behind it.
    return re.sub(r"([:：])(?=[:：]|$)", r"\\\1", text)


def _escape_link(link: str) -> str:
    return re.sub(r"([\\{}｛｝])", r"\\\1", link)


def _said(flag: Flag, value: Any) -> str:
    match flag.kind:
        case "ratio":
            return f"{value[0]}:{value[1]}"
        case "number":
            return _plain(value)
        case "words" | "name":
            return _escape(value)
        case _:
            return str(value)


def _plain(value: float) -> str:
    """Without an exponent."""
    return f"{value:.6f}".rstrip("0").rstrip(".")
