"""Recipes: a training run as a TOML file. `kind` names the program, each section the record it fills."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..errors import TrainingError, explained

_Section = TypeVar("_Section")


def read(file: Path) -> dict[str, Any]:
    """The content of a recipe file.

    Raises:
        TrainingError: it is missing or not TOML.
    """
    with explained(TrainingError, f"Cannot read the recipe {file}: {{problem}}"):
        return tomllib.loads(file.read_text(encoding="utf-8"))


def section(file: Path, name: str, kind: type[_Section], content: Mapping[str, Any]) -> _Section:
    """Fill the record `kind` from the section `[name]`.

    Raises:
        TrainingError: an unknown key or a value of another type; says which and what fits.
    """
    known = {each.name: each for each in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in known:
            raise TrainingError(f"{file}: [{name}] has no setting {key!r}; it has {', '.join(sorted(known))}.")
        field = known[key]
        default = field.default_factory() if callable(field.default_factory) else field.default
        if not isinstance(value, _accepted(default)) or (isinstance(value, bool) and not isinstance(default, bool)):
            raise TrainingError(f"{file}: [{name}] {key} must be like {default!r}, not {value!r}.")
        values[key] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


def _accepted(default: Any) -> type | tuple[type, ...]:
    if isinstance(default, tuple):
        return list
    if isinstance(default, float):
        return int, float
    return type(default)
