"""Discord's rules for application commands that its OpenAPI description does not hold. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .rules import Problems

Json = Mapping[str, Any]

CHAT_INPUT = 1
SUBCOMMAND, GROUP, STRING, INTEGER, NUMBER = 1, 2, 3, 4, 10
#: How many of each type a bot may have in one scope.
MOST = {1: 100, 2: 15, 3: 15}


def command_set_problems(commands: Sequence[Json]) -> Problems:
    """Problems of a whole set of commands, as PUT sends them."""
    found: Problems = {}
    names = Counter((command.get("type") or CHAT_INPUT, command["name"]) for command in commands)
    for (kind, name), times in names.items():
        if times > 1:
            found[name] = f"Application command names must be unique (type {kind})"
    for kind, most in MOST.items():
        if sum(each == kind for each, _ in names) > most:
            found["type"] = f"at most {most} commands of type {kind}"
    for place, command in enumerate(commands):
        for path, text in command_problems(command).items():
            found[f"{place}/{path}"] = text
    return found


def command_problems(command: Json) -> Problems:
    found: Problems = {}
    if (command.get("type") or CHAT_INPUT) != CHAT_INPUT:
        for key in ("options", "description"):
            if command.get(key):
                found[key] = "only a slash command has this"
        return found
    if not command.get("description"):
        found["description"] = "This field is required"
    for path, name in _names("", command):
        if not valid_name(name):
            found[path] = f"{name!r} does not match ^[-_'\\p{{L}}\\p{{N}}]{{1,32}}$ in lower case"
    found |= _option_problems(command.get("options") or [], "options")
    length = _length(command)
    if length > 8_000:
        found["description"] = f"names, descriptions and values have {length} characters; at most 8000"
    return found


def valid_name(name: str) -> bool:
    """Letters and digits of any script, hyphen, underscore, apostrophe; lower case where there is one."""
    kinds = all(letter in "-_'" or unicodedata.category(letter)[0] in "LNM" for letter in name)
    return 1 <= len(name) <= 32 and kinds and name == name.lower() and not re.search(r"\s", name)


def _names(path: str, thing: Json) -> Iterator[tuple[str, str]]:
    yield f"{path}name", thing["name"]
    for locale, name in (thing.get("name_localizations") or {}).items():
        yield f"{path}name_localizations/{locale}", name
    for place, option in enumerate(thing.get("options") or ()):
        yield from _names(f"{path}options/{place}/", option)


def _option_problems(options: Sequence[Json], path: str) -> Problems:
    found: Problems = {}
    if len({option["name"] for option in options}) < len(options):
        found[path] = "Option names must be unique"
    nested = [option["type"] in (SUBCOMMAND, GROUP) for option in options]
    if any(nested) and not all(nested):
        found[path] = "Sub-commands and other options cannot be mixed"
    optional_seen = False
    for place, option in enumerate(options):
        here = f"{path}/{place}"
        if option["type"] in (SUBCOMMAND, GROUP):
            found |= _option_problems(option.get("options") or [], f"{here}/options")
            continue
        if option.get("required") and optional_seen:
            found[here] = "Required options must be placed before non-required options"
        optional_seen = optional_seen or not option.get("required")
        if option.get("autocomplete") and option.get("choices"):
            found[here] = "choices and autocomplete are mutually exclusive"
        for low, high in (("min_value", "max_value"), ("min_length", "max_length")):
            if option.get(low) is not None and option.get(high) is not None and option[low] > option[high]:
                found[here] = f"{low} is greater than {high}"
        for key in ("name", "value"):
            given = [choice[key] for choice in option.get("choices") or ()]
            if len(set(given)) < len(given):
                found[f"{here}/choices"] = f"two choices have the same {key}"
    return found


def _length(thing: Json) -> int:
    """Characters that count towards the limit of one command: names, descriptions, values; the longest translation."""
    total = 0
    for key in ("name", "description"):
        translated = (thing.get(f"{key}_localizations") or {}).values()
        total += max(map(len, [thing.get(key) or "", *translated]))
    for choice in thing.get("choices") or ():
        total += len(choice["name"]) + len(str(choice["value"]))
    return total + sum(map(_length, thing.get("options") or ()))
