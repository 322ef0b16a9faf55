"""Chinese lists of things: `一个红苹果和两根香蕉`, `猫在狗的左边`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..common import BACKGROUNDS, COLOURS
from .words import Group, Layout, Names, Way, layout

#: What is said before, and around, the things themselves.
_LEAD = re.compile(r"^(?:请|帮我|给我|帮忙|麻烦|我想要|我要|想要|来|画|绘制|生成|做)*出?(?:图中有|图里有)?")
_ABOUT = re.compile(r"^(?:一[张幅])?(?:关于)?(?P<body>.+?)的?(?:图片|插图|图画|图像|图标|表情|图|画)$")
_LEFT, _RIGHT = r"左[边侧面邊側]|左方", r"右[边侧面邊側]|右方"
_ABOVE, _BELOW = r"上[面方边邊头]|正上方", r"下[面方边邊头]|正下方"
_BESIDE = r"旁[边邊]|一旁|边上"
_WHERE: tuple[tuple[str, Way, bool], ...] = (
    (_LEFT, "across", False), (_RIGHT, "across", True), (_ABOVE, "down", False), (_BELOW, "down", True),
    (_BESIDE, "across", False),
)  # fmt: skip
_AND = re.compile(r"以及|还有|還有|[和与與跟及、]")
_NUMBERS = {"一": 1, "二": 2, "两": 2, "兩": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
_NUMBER = re.compile(
    rf"^(?P<number>[{''.join(_NUMBERS)}1-9])(?P<measure>[个個只隻頭头匹条條辆輛列架艘枚台部朵棵片根块塊份串本杯把颗顆座顶頂件双副盏支位张盘碗])?"
)
#: Background words as they are said: 蓝色, and in a gradient 蓝.
_LONG = {said: word for word in BACKGROUNDS for said in (*COLOURS[word].chinese, BACKGROUNDS[word][0])}
_SHORT = {COLOURS[word].short: word for word in BACKGROUNDS}
#: Characters that make more of a thing than its name and how it looks.
_MORE = re.compile(rf"[在里中上下左右有是没不给被把对从向请帮画{''.join(_NUMBERS)}]|[戴拿骑]着?")
_SIZES = (
    ("很小的", 0.45),
    ("极小的", 0.45),
    ("小小的", 0.65),
    ("小的", 0.65),
    ("很大的", 1.0),
    ("巨大的", 1.0),
    ("大的", 1.0),
)
#: Most characters before a name that tell how it looks.
_MOST = 8


def read(prompt: str, names: Names) -> Layout | None:
    """The things that a Chinese prompt lists, or None where it says anything more, or of anything unknown."""
    text = "".join(prompt.split()).rstrip("。！.!")
    body, tail = _cut(text)
    ground, tail = _ground(tail)
    found, body = next(((found, form) for form in _forms(body) if (found := _things(form, names))), (None, body))
    return layout(found, body, tail, ground)


def _ground(tail: str) -> tuple[tuple[str, ...], str]:
    """The colours of the background that the tail names, and the rest of it; white is what silence means."""
    if said := re.search(r"[，,]从?(?P<top>.)色?到(?P<bottom>.)色?的?渐变背景", tail):
        words = tuple(_SHORT.get(said[end], "") for end in ("top", "bottom"))
    elif said := re.search(r"[，,](?P<colour>..?色)的?背景", tail):
        words = (_LONG.get(said["colour"], ""),)
    else:
        return (), tail
    known = all(words) and words != ("white",)
    return (words, tail[: said.start()] + tail[said.end() :]) if known else ((), tail)


def _forms(body: str) -> Iterator[str]:
    """What it may be about: without the request, without the words for a picture, as it is."""
    lead = _LEAD.match(body)
    begin = lead.end() if lead else 0
    # A taxi begins as `draw out` ends: 画 + 出租车.
    for form in dict.fromkeys((body[begin:], body[max(0, begin - 1) :], body)):
        yield form
        if about := _ABOUT.match(form):
            yield about["body"]


def _things(body: str, names: Names) -> tuple[tuple[Group, ...], Way] | None:
    return _related(body, names) or _listed(body, names)


def _cut(text: str) -> tuple[str, str]:
    """The things, and how all of it looks: `，蓝色背景`."""
    begin = min((place for mark in "，," if (place := text.find(mark)) > 0), default=len(text))
    return text[:begin], text[begin:]


def _related(body: str, names: Names) -> tuple[tuple[Group, ...], Way] | None:
    for where, way, turned in _WHERE:
        said = re.fullmatch(rf"(?P<a>.+?)[在位於于]+(?P<b>.+?)的?(?:{where})", body)
        if said is None:
            # The left of A is B: B lies left of A.
            said = re.fullmatch(rf"(?P<b>.+?)的?(?:{where})[是有](?P<a>.+)", body)
        if said is None:
            continue
        one, two = _group(said["a"], names), _group(said["b"], names)
        if one is None or two is None:
            return None
        return ((two, one) if turned else (one, two)), way
    return None


def _listed(body: str, names: Names) -> tuple[tuple[Group, ...], Way] | None:
    if body in names:
        return (Group(body),), "any"
    groups = [_group(end, names) for end in _AND.split(body)]
    known = [group for group in groups if group is not None]
    return (tuple(known), "any") if len(known) == len(groups) else None


def _group(said: str, names: Names) -> Group | None:
    """`三只小的红色的猫` → 3 × `一只红色的猫`, or None."""
    if said in names:
        return Group(said)
    number = _NUMBER.match(said)
    rest = said[number.end() :] if number else said
    digit = number["number"] if number else "1"
    count = _NUMBERS.get(digit) or int(digit)
    size = 1.0
    for word, share in _SIZES:
        if rest.startswith(word):
            rest, size = rest.removeprefix(word), share
            break
    for begin in range(max(0, len(rest) - names.longest), len(rest)):
        if rest[begin:] in names:
            before = rest[:begin]
            if len(before) > _MOST or _MORE.search(before):
                return None
            measure = number["measure"] if number else None
            return Group(f"一{measure}{rest}" if measure else rest, count, size)
    return None
