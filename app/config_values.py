"""What no value of config.toml may be: a secret, or something that no setting can hold. Each is told with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

from .config_problems import SECRET_KEY, ConfigFile, items_of, model_of, variable_of
from .hiding import DISCORD_TOKEN, escape_controls, hide_in_address

#: Tables and lists inside each other; settings need two.
_DEPTH = 8
#: Bits of a whole number.
_BITS = 64
_SECRET_VARIABLES = {"discord": "DISCORD_TOKEN", "queue": "DAGUERRE_NATS_TOKEN", "web": "DAGUERRE_WEB_TOKEN"}
#: `user:password@` in any line, comments among them.
_PASSWORD = re.compile(r"\w://[^\s/:@\"']*:(?!\d{1,5}/)[^\s\"'@]+@")


def oddities(file: ConfigFile) -> list[str]:
    """Values that would break the checks themselves, each with its place."""
    return [f"{file.where(section, key)}: {odd}" for section, key, odd in _odd_values(file)]


def secrets_in_file(file: ConfigFile) -> Iterator[str]:
    """Tokens and passwords, wherever they stand; they are not repeated."""
    told: set[str] = set()
    for number, line in enumerate(file.text.splitlines(), start=1):
        if DISCORD_TOKEN.search(line):
            yield (
                f"{file.name} line {number}: a bot token stands here. Take it out, reset it in Discord's developer "
                "portal, and set the new one as environment variable DISCORD_TOKEN"
            )
    for section, values in file.table.items():
        model = model_of(section)
        for key, value in items_of(values):
            where = file.where(section, key)
            if SECRET_KEY.search(key) and (model is None or key not in model.model_fields):
                variable = _SECRET_VARIABLES.get(section, "of its own")
                yield f"{where}: secrets do not belong into a file; set the environment variable {variable} instead"
            elif any(hide_in_address(text) != text and not DISCORD_TOKEN.search(text) for text in _texts(value)):
                told.add(where)
                yield f"{where}: this address holds a password; set the variable {variable_of(section, key)} instead"
    for number, line in enumerate(file.text.splitlines(), start=1):
        if f"{file.name} line {number}" not in told and _PASSWORD.search(line):
            yield (
                f"{file.name} line {number}: an address with a password stands here. Take it out, and set the "
                "environment variable of this setting instead"
            )


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, however deep."""
    open_values = [value]
    while open_values:
        one = open_values.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            open_values += cast("list[Any]", one)
        elif isinstance(one, dict):
            open_values += cast("dict[str, Any]", one).values()


def _odd_values(file: ConfigFile) -> Iterator[tuple[str, str | None, str]]:
    # Not by recursion: a dotted name may be deeper than Python's stack.
    open_values: list[tuple[str, str | None, int, Any]] = [(name, None, 1, value) for name, value in file.table.items()]
    while open_values:
        section, key, depth, value = open_values.pop()
        if depth > _DEPTH:
            yield section, key, "nested too deeply: a setting is a value or a list of texts"
            return
        if isinstance(value, dict):
            for name, inner in cast("dict[str, Any]", value).items():
                if escape_controls(name) != name:
                    yield section, key, f"the name {escape_controls(name)} holds a control character"
                open_values.append((section, key or name, depth + 1, inner))
        elif isinstance(value, list):
            open_values += [(section, key, depth + 1, inner) for inner in cast("list[Any]", value)]
        elif isinstance(value, str) and escape_controls(value) != value:
            yield section, key, f"the text {escape_controls(value)[:120]} holds a control character; take it out"
        elif isinstance(value, int) and value.bit_length() > _BITS:
            yield section, key, "no setting is a number that large"
