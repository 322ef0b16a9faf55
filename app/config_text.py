"""config.toml as text: writing it from the models, finding lines in it, saying what is allowed. Pure."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel

from .hiding import hide_in_address

_TYPES = {
    "string": "a text in quotes",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list of texts",
}


def write_sections(sections: Mapping[str, BaseModel], head: str = "") -> str:
    """TOML with every setting of every section, its description as a comment above it."""
    lines = [f"# {line}".rstrip() for line in head.splitlines()]
    for name, section in sections.items():
        lines += ["", "", f"[{name}]"] if lines else [f"[{name}]"]
        for key, field in type(section).model_fields.items():
            lines += ["", *comment(field.description or ""), f"{key} = {written(getattr(section, key))}"]
    return "\n".join(lines) + "\n"


def comment(description: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(description, 108, break_on_hyphens=False)]


def written(value: Any) -> str:
    """A value in TOML; passwords in addresses are hidden."""
    if isinstance(value, str):
        return json.dumps(hide_in_address(value), ensure_ascii=False)
    if isinstance(value, frozenset | set):
        value = sorted(cast("set[str]", value))
    if isinstance(value, list | tuple):
        value = [hide_in_address(one) if isinstance(one, str) else one for one in cast("list[Any]", value)]
    return json.dumps(value, ensure_ascii=False)


def allowed(model: type[BaseModel], key: str) -> str:
    """What a setting accepts, in words: "a whole number from 1 to 65535"."""
    schema = cast("dict[str, Any]", model.model_json_schema()["properties"][key])
    if "enum" in schema:
        return "one of " + ", ".join(json.dumps(choice) for choice in schema["enum"])
    words = _TYPES.get(schema.get("type", ""), "something else")
    low, high = schema.get("minimum"), schema.get("maximum")
    above = schema.get("exclusiveMinimum")
    if low is not None and high is not None:
        return f"{words} from {low:g} to {high:g}"
    if above is not None and high is not None:
        return f"{words} above {above:g}, at most {high:g}"
    for bound, phrase in ((low, "at least"), (high, "at most"), (above, "above")):
        if bound is not None:
            return f"{words}, {phrase} {bound:g}"
    if schema.get("minLength"):
        return f"{words} that is not empty"
    if "maxItems" in schema:
        return f"{words}, at most {schema['maxItems']}"
    return words


def line_of(text: str, section: str, key: str | None = None) -> int | None:
    """Line number (from 1) of `key` in `[section]`, of the section's header without a key or where the key is not
    on a line of its own; None when neither is found. Reads plain tables and dotted keys, not inline tables."""
    header, current = None, ""
    for number, line in enumerate(text.splitlines(), start=1):
        if found := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            current = found[1].strip("\"' ")
            header = number if current == section and header is None else header
            continue
        name = re.match(r"""\s*(["']?[\w.\- ]+?["']?)\s*=""", line)
        if name is None:
            continue
        path = [part.strip("\"' ") for part in (f"{current}.{name[1]}" if current else name[1]).split(".")]
        if key is not None and path[:2] == [section, key]:
            return number
        if path[0] == section and header is None:
            header = number
    return header
