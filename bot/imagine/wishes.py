"""What a member typed, in words and in options, as orders. Pure but for the seed that is drawn."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...queue.errors import InvalidRequest
from ...queue.prompt import (
    STRENGTH,
    MalformedPrompt,
    Wish,
    fields,
    fill_in,
    half,
    parse,
    plan,
    pointer,
    source,
    value_of,
    wish_of,
)
from ...queue.records import (
    FLAGS,
    MAX_SEED,
    MOST_ASPECT,
    ImageRequest,
    Priority,
    Source,
    WorkerInfo,
    image_request,
    reads_pictures,
    usual_of,
)
from ...queue.store import Preferences, ServerSettings
from ..errors import Refused
from ..text import code_safe, plain, text
from .ask import Order
from .checks import refusal_of

#: More requests than this from one prompt are asked back about.
UNCONFIRMED = 4
#: Options of /imagine, by the flags that do the same.
BY_OPTION = {flag.option: flag for flag in FLAGS}


def wishes(typed: str, options: Mapping[str, Any], preferences: Preferences) -> tuple[Wish, ...]:
    """Every request that a prompt and its options ask for; an option that was chosen wins over a flag.

    Raises:
        Refused: the prompt breaks the grammar; points at the character.
    """
    chosen = _chosen(options)
    repeat = chosen.pop("repeat", None) or 1
    with pointing(typed):
        planned = plan(typed)
    preferred = preferred_wish(preferences)
    found = [fill_in(wish.saying(**chosen), preferred) for wish in planned]
    return tuple(wish for wish in found for _ in range(repeat))


def _chosen(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options that were given, as fields of a wish."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        if value is None or value is False or value == "":
            continue
        flag = BY_OPTION[name]
        if flag.kind == "ratio":
            with pointing(str(value)):
                value = value_of(flag, str(value).strip(), 0)
        found[flag.field] = (value,) if flag.field == "adapters" else value
    if "steps" in found:
        found["quality"] = None
    return found


@contextmanager
def pointing(typed: str) -> Generator[None]:
    """Turns a problem of the grammar into a refusal that shows where it is."""
    try:
        yield
    except MalformedPrompt as problem:
        if problem.code == "empty":
            raise Refused("refused.prompt.empty") from None
        raise Malformed(problem, typed) from None


class Malformed(Refused):
    """A prompt that breaks the grammar, with the two lines that point at its character."""

    def __init__(self, problem: MalformedPrompt, typed: str) -> None:
        values = {name: code_safe(str(value)) for name, value in problem.values.items()}
        super().__init__(f"problem.{problem.code}", **values)
        self.at = code_safe(pointer(typed, problem.at))

    def words(self, locale: str) -> str:
        return f"{super().words(locale)}\n```\n{self.at}\n```"


def preferred_wish(preferences: Preferences) -> Wish:
    """What a member always wants; a suffix that the grammar has outgrown says nothing."""
    try:
        suffix = parse(preferences.suffix, needs_prompt=False)
    except MalformedPrompt:
        suffix = Wish()
    usual = Wish().saying(style=preferences.style, count=preferences.count if preferences.count > 1 else None)
    return fill_in(suffix, usual)


def check_weight(typed: str, options: Mapping[str, Any]) -> None:
    """Without a picture nothing can be weighed; a weight among the preferences says nothing then.

    Raises:
        Refused: `--iw` stands in the prompt, or the option was chosen.
    """
    if options.get("image_weight") is not None:
        raise Refused("problem.weight.picture")
    with pointing(typed):
        if any(wish.image_weight is not None for wish in plan(typed)):
            place = re.search(r"iw", half(typed), re.IGNORECASE)
            raise MalformedPrompt("weight.picture", max(0, place.start() - 2) if place else 0)


@dataclass(frozen=True, slots=True)
class Beginning:
    """What the jobs of one prompt begin from."""

    #: Name in the picture store of what the member sent; empty: nothing.
    picture: str = ""
    #: Its width and height; None: not known, or nothing was sent.
    shape: tuple[int, int] | None = None
    #: It is behind a spoiler where it came from.
    blurred: bool = False
    #: What the job began from that is made anew with other words.
    source: Source | None = None
    #: That job, the number of its picture, and the action.
    origin: tuple[str, int, str] | None = None


def orders(
    found: Sequence[Wish],
    settings: ServerSettings,
    begun: Beginning | None = None,
    workers: Collection[WorkerInfo] = (),
) -> list[Order]:
    """The jobs for these wishes: what they do not say is as the server set it, else as usual for the model.

    Raises:
        Refused: a value is out of range.
    """
    made: list[Order] = []
    begun = begun or Beginning()
    for wish in found:
        if not plain(wish.prompt):
            raise Refused("refused.prompt.empty")
        seed = random.randrange(MAX_SEED + 1) if wish.seed is None else wish.seed
        if begun.shape is not None and wish.ratio is None and not wish.fit:
            wish = wish.saying(ratio=like(begun.shape))
        given = fields(wish, **settings.over(usual_of(workers, wish.model)).fields)
        try:
            request = image_request(seed=seed, source=_source(wish, begun, workers), **given)
        except InvalidRequest as problem:
            raise refusal_of(problem, wish.prompt) from None
        brought = (begun.picture,) if begun.picture else ()
        priority: Priority = "relax" if wish.relaxed else "fast"
        made.append(Order(request, priority, begun.origin, brought, begun.blurred))
    return made


def like(shape: tuple[int, int]) -> tuple[int, int]:
    """The ratio nearest to a picture's width and height that may be asked for. Pure."""
    width, height = shape
    most = round(MOST_ASPECT)
    if width > most * height:
        return most, 1
    return (1, most) if height > most * width else (width, height)


def _source(wish: Wish, begun: Beginning, workers: Collection[WorkerInfo]) -> Source | None:
    """A picture that was sent, by the weight that was said; else what was begun from before, by the new weight."""
    if begun.picture:
        return source(wish, begun.picture, read=reads_pictures(workers, wish.model))
    if begun.source is None or wish.image_weight is None or begun.source.use != "vary":
        return begun.source
    anew = source(wish, begun.source.picture, read=begun.source.scale is not None)
    return begun.source.model_copy(update={"strength": anew.strength, "scale": anew.scale})


def said_again(
    request: ImageRequest,
    settings: ServerSettings,
    workers: Collection[WorkerInfo] = (),
    *,
    seed: bool = False,
    relaxed: bool = False,
) -> Wish:
    """What would have to be typed for this request in a server with these defaults, its picture apart. Pure."""
    wish = wish_of(request, **settings.over(usual_of(workers, request.model)).fields, seed=seed)
    return wish.saying(relaxed=relaxed, image_weight=_weight(request.source))


def _weight(begun: Source | None) -> float | None:
    """The `--iw` that stands for how much of a picture that was sent stays; None where none was sent, or 1. Pure."""
    if begun is None or begun.use != "vary" or not begun.picture.startswith("sources/") or begun.strength <= 0:
        return None
    weight = round(math.log(begun.strength) / math.log(STRENGTH), 2)
    return None if weight == 1 else max(0.0, min(3.0, weight))


def question(number: int, locale: str) -> str:
    """Interaction before many jobs are made of one prompt."""
    return text("confirm.many", locale, count=number)
