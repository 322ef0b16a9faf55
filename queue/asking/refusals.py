"""Which text says what is wrong with a field of a request, and its values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InvalidRequest
from ..prompt import flag_of_field
from ..records import MAX_COUNT, MAX_PROMPT, MAX_SEED


def refused_field(problem: InvalidRequest, prompt: str) -> tuple[str, Mapping[str, Any]]:
    """The code of the text and what it takes, about a field that is out of range."""
    match problem.field:
        case "prompt" if problem.kind == "string_too_short":
            return "refused.prompt.empty", {}
        case "prompt" if problem.kind == "string_too_long":
            return "refused.prompt.long", {"length": len(prompt.strip()), "limit": MAX_PROMPT}
        case "count":
            return "refused.count", {"low": 1, "high": MAX_COUNT}
        case "seed":
            return "refused.seed", {"low": 0, "high": MAX_SEED}
        case "source":
            return "picture.gone", {}
        case _ if problem.kind == "pixels":
            millions = f"{problem.limits['pixels'] / 1e6:.2g}"
            return "refused.pixels", {"side": problem.limits["side"], "millions": millions}
        case field:
            return _out_of_range(problem, field)


def _out_of_range(problem: InvalidRequest, field: str) -> tuple[str, Mapping[str, Any]]:
    """Names the flag that a member sets the field by, with what is allowed."""
    flag = flag_of_field(field)
    if flag is None:
        return "refused.field", {"field": "::" if field == "parts" else field}
    if problem.kind == "string_too_long":
        return "refused.long", {"flag": flag.dashed, "limit": problem.limits.get("max_length", MAX_PROMPT)}
    if flag.kind in ("whole", "number"):
        return "refused.range", {"flag": flag.dashed, "low": f"{flag.low:g}", "high": f"{flag.high:.12g}"}
    return "refused.field", {"field": flag.dashed}
