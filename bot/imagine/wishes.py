"""What a member typed, in words and in options, as orders. Pure but for seeds that are drawn."""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ...queue.asking import Beginning, Order, order_of
from ...queue.errors import InvalidRequest
from ...queue.prompt import MalformedPrompt, Wish, fill_in, half, parse, plan, pointer, value_of
from ...queue.records import FLAGS, WorkerInfo
from ...queue.store import Preferences, ServerSettings
from ..errors import Refused
from ..text import code_safe, plain, text
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
    for wish in found:
        if not plain(wish.prompt):
            raise Refused("refused.prompt.empty")
        try:
            made.append(order_of(wish, settings, begun or Beginning(), workers))
        except InvalidRequest as problem:
            raise refusal_of(problem, wish.prompt) from None
    return made


def question(number: int, locale: str) -> str:
    """Interaction before many jobs are made of one prompt."""
    return text("confirm.many", locale, count=number)
