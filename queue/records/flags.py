"""The flags of a prompt: one row each, from which grammar, options, help and texts follow. Pure.

A flag of a field of `ImageRequest` is written there, as metadata of that field, which gives its bounds and default too;
flags from which several fields follow, or none, are rows here. Names and bounds are Midjourney's where it has the flag.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

#: Sides to each other, at most.
MOST_ASPECT = 4.0
#: Requests that one prompt may ask for, by `--repeat` and braces; a server's moderators may allow fewer.
MOST_REQUESTS = 40
#: How a picture comes into another shape (`Source.fit`).
FITS = ("crop", "pad")

Kind = Literal["switch", "whole", "number", "ratio", "name", "words"]
#: What a flag gives that was not typed.
UNSAID: Mapping[Kind, Any] = {"switch": False, "name": "", "words": ""}


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of a prompt. The texts `help.flag.<field>` and `command.imagine.<option>` explain it."""

    kind: Kind
    #: Without the dashes; the first one is written by `say`.
    names: tuple[str, ...]
    example: str = ""
    low: float = 0
    high: float = 0
    #: How often it may be said; a second `--no` adds to the first.
    times: int = 1
    #: Its name among the options of a slash command; its field's if empty.
    option: str = ""
    #: Values that it may have; any if empty. They are explained by texts, unless they are names.
    choices: tuple[str, ...] = ()
    named: bool = False
    #: Of the request, or of the wish alone.
    field: str = ""
    #: Who understands it: everybody if empty; else the bot alone, and this is what the API and the command line say.
    elsewhere: str = ""

    @property
    def dashed(self) -> str:
        return f"--{self.names[0]}"

    @property
    def unsaid(self) -> Any:
        """The value where it was not typed."""
        return () if self.field == "adapters" else UNSAID.get(self.kind)

    def of(self, field: str, schema: Mapping[str, Any]) -> Flag:
        """This row for a field of a request, with the bounds of its JSON schema."""
        low, high = schema.get("minimum", self.low), schema.get("maximum", self.high)
        return replace(self, field=field, low=low, high=high, option=self.option or field)


#: Flags that are no field of a request: shape, guidance, steps and source follow from them, or how often it is made.
TYPED: tuple[Flag, ...] = (
    Flag("ratio", ("ar", "aspect"), "--ar 3:2", 1 / MOST_ASPECT, MOST_ASPECT, option="aspect", field="ratio"),
    Flag("number", ("s", "stylize"), "--s 100", 0, 1000, option="stylize", field="stylize"),
    Flag("number", ("q", "quality"), "--q 2", 0.25, 4, option="quality", field="quality"),
    Flag(
        "number", ("iw",), "--iw 1.5", 0, 3, option="image_weight", field="image_weight",
        elsewhere="--iw weighs a picture on Discord; here the strength of a source does",
    ),
    Flag("name", ("fit",), "--fit pad", option="fit", choices=FITS, field="fit"),
    Flag(
        "whole", ("r", "repeat"), "--repeat 4", 1, MOST_REQUESTS, option="repeat", field="repeat",
        elsewhere="--repeat asks for several jobs; send each by itself",
    ),
    Flag("switch", ("relax",), option="relaxed", field="relaxed"),
)  # fmt: skip
#: Fields of a request that follow from a flag of another name.
FOLLOWS: Mapping[str, str] = {"guidance": "stylize", "width": "ratio", "height": "ratio", "source": "image_weight"}
#: In which order flags are written and explained; a new one comes last.
ORDER = (
    *("ratio", "seed", "negative", "stylize", "chaos", "quality", "steps", "stop", "tile", "image_weight", "fit"),
    *("repeat", "style", "draft", "transparent", "svg", "raw", "model", "adapters", "count", "relaxed"),
)


def flags_of(fields: Mapping[str, tuple[Flag, Mapping[str, Any]]]) -> tuple[Flag, ...]:
    """Every flag, in order; `fields` are those of a request with the JSON schema of each."""
    every = [*TYPED, *(flag.of(name, schema) for name, (flag, schema) in fields.items())]
    return tuple(sorted(every, key=lambda flag: ORDER.index(flag.field) if flag.field in ORDER else len(ORDER)))
