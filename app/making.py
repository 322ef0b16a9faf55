"""How one picture was made, as its file tells it: enough to make it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ..queue.records import ImageRequest

#: Keyword of the PNG text chunk.
MAKING = "Daguerre"


@dataclass(frozen=True, slots=True)
class Making:
    """The request, which of its pictures this is, and what the engine said."""

    request: ImageRequest
    #: From 0.
    picture: int
    #: Digests, sampler, versions, device, canonical batch.
    engine: Mapping[str, Any]
    #: The job whose number lies in the pixels as a watermark; empty where there is none.
    watermark: str = ""

    def text(self) -> str:
        """One line of JSON."""
        told = {
            "request": self.request.model_dump(mode="json"), "picture": self.picture, "engine": dict(self.engine),
            "watermark": self.watermark,
        }  # fmt: skip
        return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def read_making(text: str) -> Making:
    """What `Making.text` wrote. The file may be a stranger's: everything is checked.

    Raises:
        ValueError: it is nothing of the kind.
    """
    try:
        told = json.loads(text)
        request = ImageRequest.model_validate_json(json.dumps(told["request"]))
        picture, engine, mark = told["picture"], told["engine"], told["watermark"]
    except (KeyError, TypeError, ValueError, ValidationError) as problem:
        raise ValueError(f"its {MAKING} text cannot be read: {type(problem).__name__}") from None
    if not (isinstance(picture, int) and 0 <= picture < request.count and isinstance(engine, dict)):
        raise ValueError(f"its {MAKING} text contradicts itself")
    if not (isinstance(mark, str) and (not mark or all(digit in "0123456789abcdef" for digit in mark))):
        raise ValueError(f"its {MAKING} text names no job")
    return Making(request, picture, engine, mark)  # pyright: ignore[reportUnknownArgumentType]
