"""Prompts read as layouts, in whichever language they are."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

from ..errors import WeightsRefused, explained
from . import chinese, english
from .words import NOTHING, Layout, Names

_HAN = re.compile(r"[\u3400-\u9fff]")


@lru_cache(maxsize=1_024)
def read(prompt: str, names: Names) -> Layout | None:
    """What a prompt lists, or None where it is not understood as a list of things that `names` has.

    Of one thing alone the layout has one group of one: the prompt without request and courtesy.
    """
    if not names or len(prompt) > 300:
        return None
    return (chinese if _HAN.search(prompt) else english).read(prompt, names)


def names_of_weights(folder: Path) -> Names:
    """What a folder of weights says that it can draw; nothing where it says nothing: then no prompt is laid out.

    Raises:
        WeightsRefused: the file is there but is not a vocabulary.
    """
    file = folder / "vocabulary.json"
    if not file.is_file():
        return NOTHING
    with explained(WeightsRefused, f"{file} is not a vocabulary; export the weights again."):
        content = json.loads(file.read_text(encoding="utf-8"))
        return Names({*content["concepts"], *content["names"]})
