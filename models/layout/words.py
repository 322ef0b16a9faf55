"""What a layout is made of: groups of things, and how they lie to each other. Frozen records; no torch, no pictures."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

#: How the groups lie: one beside the other, one above the other, or whichever fits the picture.
Way = Literal["across", "down", "any"]
#: Most things in one picture, and most groups of them.
THINGS, GROUPS = 9, 4


@dataclass(frozen=True, slots=True)
class Group:
    """Things of one kind."""

    #: What one of them is asked for by: `a red apple`, `一只猫`.
    text: str
    count: int = 1
    #: Side of one ÷ what there is room for; less than 1 for `a tiny mouse`.
    size: float = 1.0


@dataclass(frozen=True, slots=True)
class Layout:
    """A prompt understood as a list of things."""

    #: In reading order: the first lies left of, or above, the second.
    groups: tuple[Group, ...]
    way: Way = "any"
    #: Words of `colours.BACKGROUNDS` that all of it lies on, two for a gradient from the top; none for what the things
    #: were drawn on.
    ground: tuple[str, ...] = ()

    @property
    def single(self) -> bool:
        """Whether it is one thing and nothing else: drawn as any other prompt."""
        return self.things == 1 and not self.ground

    @property
    def things(self) -> int:
        """How many there are altogether."""
        return sum(group.count for group in self.groups)


def layout(found: tuple[tuple[Group, ...], Way] | None, body: str, tail: str, ground: tuple[str, ...]) -> Layout | None:
    """Of the groups that were read, or None where there are none or too many.

    Args:
        found: groups and how they lie.
        body: what they were read from.
        tail: how all of it looks; each group is told it.
        ground: see `Layout.ground`.
    """
    if found is None:
        return None
    groups, way = found
    made = Layout(tuple(Group(group.text + tail, group.count, group.size) for group in groups), way, ground)
    if not 1 <= len(groups) <= GROUPS or made.things > THINGS:
        return None
    # One thing is said as it was: only what is no part of the picture goes.
    return Layout((Group(body + tail),), ground=ground) if made.things == 1 else made


class Names:
    """What the weights can draw, as it is called; a layout is read only of such things."""

    def __init__(self, names: Collection[str]) -> None:
        """`names` of any languages, as people write them."""
        self._names = frozenset(name.casefold() for name in names)
        self.longest = max((len(name) for name in self._names), default=0)

    def __contains__(self, name: str) -> bool:
        return name.casefold() in self._names

    def __bool__(self) -> bool:
        return bool(self._names)


#: Of weights that tell no words.
NOTHING = Names(())
