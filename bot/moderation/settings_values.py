"""Settings as texts: what a manager types, what they read, and TOML. Pure."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError

from ...queue.store import ServerSettings
from ..errors import Refused

#: Every setting, in its order.
NAMES = tuple(ServerSettings.model_fields)
#: Those that are lists, and what their items are.
LISTS = {
    "channels": "#", "categories": "#", "denied_channels": "#", "denied_categories": "#", "fast_roles": "@",
    "models": "", "styles": "", "roles": "",
}  # fmt: skip
#: Those that follow the model until somebody sets them.
FOLLOWING = ("steps", "guidance", "size")
#: Values that switch something on and off.
SWITCHES = ("true", "false")
#: Longest file that is read as settings, in bytes.
LONGEST_FILE = 65_536
_ID = re.compile(r"^<(?:#|@&|@!?)(\d+)>$")


@cache
def _schema() -> dict[str, Any]:
    """What pydantic says that each setting takes; of those that may be unset, what they take when they are set."""
    properties: dict[str, Any] = ServerSettings.model_json_schema()["properties"]
    return {
        name: {**schema, **schema["anyOf"][0]} if "anyOf" in schema else schema for name, schema in properties.items()
    }


def allowed(name: str) -> str:
    """What a setting accepts, in signs rather than words: `1–100`, `same | relaxed | only`, `id, id, …`."""
    schema: dict[str, Any] = _schema()[name]
    if name in FOLLOWING:
        return f"{_numbers(schema)} | -"
    if name in LISTS:
        return "id, id, … | -" if LISTS[name] else "name, name, … | -" if name != "roles" else "id weight=2 …; … | -"
    if "enum" in schema:
        return " | ".join(str(choice) or "-" for choice in schema["enum"])
    if schema.get("type") == "boolean":
        return " | ".join(SWITCHES)
    return _numbers(schema) or "id | -"


def _numbers(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(str(choice) for choice in schema["enum"])
    if "minimum" in schema:
        step = f" (× {schema['multipleOf']})" if "multipleOf" in schema else ""
        return f"{schema['minimum']:g}–{schema['maximum']:g}{step}"
    return ""


def choices(name: str) -> tuple[str, ...]:
    """Values that are offered while somebody types."""
    schema: dict[str, Any] = _schema().get(name, {})
    if "enum" in schema:
        return tuple(str(choice) or "-" for choice in schema["enum"])
    if schema.get("type") == "boolean":
        return SWITCHES
    return (value_text(name, ServerSettings()),)


def value_text(name: str, settings: ServerSettings) -> str:
    """A setting's value as it can be typed again; `-` for nothing."""
    value: Any = settings.model_dump(mode="json")[name]
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ("; " if name == "roles" else ", ").join(str(item) for item in value) or "-"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    # `repr` keeps every digit, so that what is said means the same when it is typed.
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value) or "-"


def changed(settings: ServerSettings, values: Mapping[str, Any]) -> ServerSettings:
    """The settings with other values.

    Raises:
        Refused: one is out of range; names it and what is allowed.
    """
    try:
        return ServerSettings.model_validate({**settings.model_dump(mode="json"), **values})
    except ValidationError as problems:
        problem = problems.errors()[0]
        name = str(problem["loc"][0]) if problem["loc"] else "?"
        if name not in NAMES:
            raise Refused("settings.unknown", field=name[:100]) from None
        raise Refused("settings.bad", field=name, allowed=allowed(name)) from None


def with_typed(settings: ServerSettings, name: str, value: str) -> ServerSettings:
    """The settings with what a manager typed for one of them. Raises: Refused."""
    name = name.strip().lower()
    if name not in NAMES:
        raise Refused("settings.unknown", field=name[:100])
    return changed(settings, {name: _read(name, value.strip())})


def _read(name: str, value: str) -> Any:
    if value == "-":
        value = ""
    if name in FOLLOWING and not value:
        return None
    if name in LISTS:
        items = [item.strip() for item in value.split(";" if name == "roles" else ",")]
        return [_id(item) for item in items if item]
    if name == "log_channel":
        return _id(value)
    kind = _schema()[name].get("type")
    if kind in ("integer", "number") or name == "size":
        try:
            return int(value) if kind != "number" else float(value.replace(",", "."))
        except ValueError:
            raise Refused("settings.bad", field=name, allowed=allowed(name)) from None
    return value


def _id(item: str) -> str:
    found = _ID.match(item)
    return found.group(1) if found else item


def to_toml(settings: ServerSettings) -> str:
    """All settings; texts, numbers and lists of texts look the same in JSON and TOML."""
    values = settings.model_dump(mode="json")
    # What nobody set is left out: TOML has no word for it, and a file that does not name it says just that.
    return "".join(
        f"{name} = {json.dumps(values[name], ensure_ascii=False)}\n" for name in NAMES if values[name] is not None
    )


def from_toml(data: bytes) -> ServerSettings:
    """The settings of a file; what it does not name is as by default. Raises: Refused."""
    if len(data) > LONGEST_FILE:
        raise Refused("settings.file")
    try:
        values = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise Refused("settings.file") from None
    return changed(ServerSettings(), values)
