"""Finding what is wrong with config.toml and the variables, and saying it with line and range."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from .config_text import allowed, line_of
from .hiding import hide_secrets
from .settings import PREFIX, SHORT_NAMES, Settings

SECRET_KEY = re.compile(r"token|password|passwd|secret|api_?key", re.IGNORECASE)

#: Characters of a wrong value that are repeated.
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """config.toml as read."""

    name: str
    text: str
    table: Mapping[str, Any]

    def where(self, section: str, key: str | None = None) -> str:
        line = line_of(self.text, section, key)
        return f"{self.name} line {line}" if line else f"{self.name} [{section}]"


def file_problems(file: ConfigFile) -> Iterator[str]:
    """Types are strict here: "8600" is no number in TOML, though it is one in a variable."""
    for section, values in file.table.items():
        model = model_of(section)
        if model is None:
            yield f"{file.where(section)}: no such section{_nearest(section, Settings.model_fields)}"
        elif not isinstance(values, dict):
            yield f"{file.where(section)}: a section is a table: write [{section}] above its settings"
        else:
            try:
                model.model_validate_json(json.dumps(values, default=str), strict=True)
            except ValidationError as error:
                for detail in error.errors():
                    key = str(detail["loc"][0]) if detail["loc"] else ""
                    if not (SECRET_KEY.search(key) and detail["type"] == "extra_forbidden"):
                        yield _problem(file.where(section, key), section, detail)


def combined_problem(detail: Mapping[str, Any], file: ConfigFile) -> str:
    section, *rest = (str(part) for part in detail["loc"])
    key = rest[0] if rest else ""
    short = [name for name, target in SHORT_NAMES.items() if target == (section, key) and os.environ.get(name)]
    set_by = [name for name in os.environ if name.upper() == variable_of(section, key)] or short
    where = f"environment variable {set_by[0]}" if set_by else file.where(section, key)
    return _problem(where, section, {**detail, "loc": tuple(rest)})


def variable_problems() -> Iterator[str]:
    for name in sorted(os.environ):
        if not name.upper().startswith(PREFIX) or name in SHORT_NAMES:
            continue
        rest = name.upper().removeprefix(PREFIX).lower()
        section, delimiter, key = rest.partition("__")
        model = model_of(section)
        if delimiter and model is None:
            yield f"environment variable {name}: no such section{_nearest(section, Settings.model_fields)}"
        elif delimiter and model is not None and key in model.model_fields and not _readable(model, key, name):
            yield f"environment variable {name}: a list is written as JSON: '[\"cpu\"]'"
        section, _, key = rest.partition("_")
        model = model_of(section)
        if model is not None and key in model.model_fields:
            right = variable_of(section, key)
            yield f"environment variable {name}: write {right}, with two underscores after the section"


def _readable(model: type[BaseModel], key: str, variable: str) -> bool:
    """Whether a variable that sets a list holds JSON; what is in it is checked with the other settings."""
    if not allowed(model, key).startswith("a list"):
        return True
    try:
        json.loads(os.environ[variable])
    except (ValueError, RecursionError):
        return False
    return True


def _problem(where: str, section: str, detail: Mapping[str, Any]) -> str:
    model = model_of(section)
    key = str(detail["loc"][0]) if detail["loc"] else ""
    if model is None or not key:
        return f"{where}: {detail['msg']}"
    if key not in model.model_fields:
        return f"{where}: [{section}] has no setting {key}{_nearest(key, model.model_fields)}"
    if detail["type"] == "value_error":
        # A check of ours, which knows better than the type what is wrong.
        return f"{where}: [{section}] {key}: {hide_secrets(str(detail['ctx']['error']))}"
    given = hide_secrets(json.dumps(detail["input"], default=str, ensure_ascii=False))
    given = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}… ({len(given)} characters)"
    if len(detail["loc"]) > 1 and isinstance(detail["loc"][1], int):
        return f"{where}: [{section}] {key}, entry {detail['loc'][1] + 1}: {detail['msg']}, not {given}"
    must = f"{where}: [{section}] {key} must be {allowed(model, key)}, not {given}"
    # Nobody wants to read a pattern; the description says what it stands for.
    return f"{must}. {model.model_fields[key].description}" if "pattern" in detail["type"] else must


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else "; there are: " + ", ".join(known)


def model_of(section: str) -> type[BaseModel] | None:
    field = Settings.model_fields.get(section)
    return cast("type[BaseModel]", field.annotation) if field else None


def items_of(values: Any) -> list[tuple[str, Any]]:
    return list(cast("dict[str, Any]", values).items()) if isinstance(values, dict) else []


def variable_of(section: str, key: str) -> str:
    return f"{PREFIX}{section}__{key}".upper()
