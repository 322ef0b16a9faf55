"""Modals: made so that discord.py need not remember them, and read when they come back.

discord.py keeps each modal by its custom id until it is sent in; then a second member's would replace the first one's,
and a restart would lose both. Here nothing is kept: the id says what is meant, and each is unique.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import discord

from ...queue.records import MAX_PROMPT
from ..message import Key
from .context import Interaction

TEMPLATE = re.compile(r"daguerre:(?P<action>[a-z]+):(?P<job>[0-9a-f]{32}):(?P<picture>[0-9]):[0-9a-f]{8}")
#: Longest text of an input.
TYPED = 2 * MAX_PROMPT


@dataclass(frozen=True, slots=True)
class SubmittedModal:
    """A modal that came back: which one, and what was put into its inputs."""

    key: Key
    values: Mapping[str, Any]
    #: Addresses of uploaded files by their input.
    files: Mapping[str, str]

    def word(self, name: str) -> str:
        """The text of an input, or what was chosen; empty for nothing."""
        value = self.values.get(name) or ""
        chosen = cast("list[Any]", value)[:1] if isinstance(value, list) else [value]
        return "".join(str(each) for each in chosen)


def submitted_modal(data: Mapping[str, Any]) -> SubmittedModal | None:
    """What an interaction's `data` says; None for a modal that is not ours. Pure."""
    found = TEMPLATE.fullmatch(str(data.get("custom_id", "")))
    if found is None:
        return None
    values = _values(data)
    resolved = cast("dict[str, Any]", data.get("resolved") or {}).get("attachments", {})
    files = {
        name: str(resolved[value[0]]["url"])
        for name, value in values.items()
        if isinstance(value, list) and value and value[0] in resolved
    }
    return SubmittedModal(Key.of(found), values, files)


def typed_value(data: Mapping[str, Any], name: str) -> str:
    """What stands in an input of any modal. Pure."""
    return str(_values(data).get(name) or "")


def _values(data: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    _collect(data.get("components"), values)
    return values


def _collect(part: Any, values: dict[str, Any]) -> None:
    if isinstance(part, list):
        for each in cast("list[Any]", part):
            _collect(each, values)
    elif isinstance(part, dict):
        fields_ = cast("dict[str, Any]", part)
        if "custom_id" in fields_:
            values[str(fields_["custom_id"])] = fields_.get("value", fields_.get("values"))
        for below in ("components", "component"):
            _collect(fields_.get(below), values)


def modal_id(action: str, job: str, picture: int) -> str:
    """Unique, so that two members can fill in the same modal at a time."""
    return f"daguerre:{action}:{job}:{picture}:{secrets.token_hex(4)}"


async def open_modal(interaction: Interaction, title: str, custom_id: str, *labels: discord.ui.Label[Any]) -> None:
    """Open a modal that nobody here remembers."""
    modal = discord.ui.Modal(title=title, custom_id=custom_id)
    for label in labels:
        modal.add_item(label)
    modal.stop()
    await interaction.response.send_modal(modal)


def text_input(label: str, custom_id: str, default: str = "", *, required: bool = True, **more: Any) -> Any:
    """A labelled text input."""
    entry: Any = discord.ui.TextInput[Any](custom_id=custom_id, default=default or None, required=required, **more)
    return discord.ui.Label(text=label, component=entry)
