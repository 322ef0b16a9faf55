"""Flags of other picture bots, above all Midjourney's, and what does the same here. Pure.

Who types one by habit is told by its name what to use; to guess a flag that is spelt alike would only mislead.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: What members read for each kind of flag, in English; the other languages have the same codes (`problem.foreign.*`).
FOREIGN_ENGLISH: Mapping[str, str] = MappingProxyType(
    {
        "foreign.model": "{flag} chooses a version of Midjourney; here --model names a model, and none is needed",
        "foreign.chaos": "{flag} is Midjourney's; here --chaos 30 makes the pictures of one request differ more",
        "foreign.fast": "{flag} is not needed: each picture is drawn as soon as its turn comes; --draft is quickest",
        "foreign.raw": "{flag} is Midjourney's; here --s 200 keeps closer to your words, and --raw draws in one go",
        "foreign.picture": "{flag} is Midjourney's; here attach one picture, or put its link in front, with --iw 1",
        "foreign.larger": "{flag} is Midjourney's; here press “Larger” below the finished picture",
        "foreign.prefer": "{flag} is Midjourney's; here /prefer keeps the style and the words that you always want",
        "foreign.shape": "{flag} sets a side in pixels elsewhere; here --ar 3:2 says how wide to how high",
        "foreign.count": "{flag} says how many elsewhere; here it is --n 4",
        "foreign.no": "{flag} is written --no here: --no clouds",
        "foreign.guidance": "{flag} is called --s here: 100 is usual, 250 keeps closer to your words",
        "foreign.seed": "{flag} is written --seed 7 here: the pictures of one request have seeds one behind the other",
        "foreign.video": "{flag} makes films; here there are pictures only",
        "foreign.private": "{flag} is Midjourney's; here /prefer private shows your pictures to you alone",
    }
)
_NAMES = {
    "model": "v version ver niji test testp mp creative beta hq hd4 engine ckpt checkpoint",
    "chaos": "weird exp experimental variety vary",
    "fast": "fast turbo slow",
    "picture": "sref sw sv srefs cref cw oref ow omni iref dref mref image img init strength",
    "larger": "hd sd uplight upbeta upanime upscale upscaler zoom",
    "prefer": "p profile personalize personalise moodboard",
    "shape": "w width h height size aspectratio resolution res",
    "count": "bs batch num images number",
    "no": "neg negative nprompt exclude",
    "guidance": "cfg scale guidance",
    "seed": "sameseed noise",
    "video": "video motion loop end fps gif animate",
    "private": "stealth public private",
}
#: Flags of others without their dashes, each with the code that answers it.
FOREIGN: Mapping[str, str] = MappingProxyType(
    {name: f"foreign.{kind}" for kind, names in _NAMES.items() for name in names.split()}
)


def foreign(name: str) -> str | None:
    """The code for a flag of others, by its name without dashes: `v`, `niji`, `v6`; None for any other."""
    plain = name.casefold()
    return FOREIGN.get(plain) or FOREIGN.get(plain.rstrip("0123456789."))
