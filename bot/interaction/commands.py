"""How features register their commands and menus; each handler is guarded."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import discord
from discord import app_commands
from discord.app_commands import Choice

from ..text import text
from .context import CommandTree, Interaction
from .guard import guarded

_Made = TypeVar("_Made", bound=app_commands.Command[Any, Any, Any] | app_commands.Group | app_commands.ContextMenu)


def command(
    parent: CommandTree | app_commands.Group,
    name: str,
    handler: Callable[..., Any],
    description: str,
    choices: Mapping[str, Sequence[Choice[Any]]] | None = None,
    **options: str,
) -> app_commands.Command[Any, Any, Any]:
    """Register a handler under an English name.

    `description`, and `options` by parameter, are codes of texts; `choices` are what is offered, by parameter.
    """
    # Before the command is made: only what it is made with is translated.
    handler = _guarding(handler)
    app_commands.describe(**{option: text(code) for option, code in options.items()})(handler)
    app_commands.choices(**{option: list(offered) for option, offered in (choices or {}).items()})(handler)
    return parent.command(name=name, description=text(description))(handler)


def menu(name: str, handler: Callable[..., Any]) -> app_commands.ContextMenu:
    """An entry in the menu of every message; `name` is the code of a text."""
    return app_commands.ContextMenu(name=text(name), callback=_guarding(handler))


def _guarding(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler, with whatever goes wrong in it answered; discord.py reads the same options from it."""

    @functools.wraps(handler)
    async def run(interaction: Interaction, *given: Any, **options: Any) -> None:
        await guarded(interaction, lambda: handler(interaction, *given, **options))

    # Annotations are names of the handler's own module.
    run.__signature__ = inspect.signature(handler, eval_str=True)  # pyright: ignore[reportAttributeAccessIssue]
    return run


def everywhere(made: _Made) -> _Made:
    """Offer a command to everybody, in servers and in direct messages."""
    app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)(made)
    return app_commands.allowed_installs(guilds=True, users=True)(made)


def open_group(tree: CommandTree, name: str) -> app_commands.Group:
    """A group of commands for everybody, everywhere; described by the text `command.<name>`."""
    made = everywhere(app_commands.Group(name=name, description=text(f"command.{name}")))
    tree.add_command(made)
    return made


def server_group(tree: CommandTree, name: str, permissions: discord.Permissions) -> app_commands.Group:
    """A group of commands of servers, which Discord shows by default to who holds these permissions."""
    made = app_commands.Group(name=name, description=text(f"command.{name}"), default_permissions=permissions)
    tree.add_command(only_in_servers(made))
    return made


def only_in_servers(made: _Made) -> _Made:
    """Offer a command in servers that have installed the bot."""
    app_commands.allowed_contexts(guilds=True, dms=False, private_channels=False)(made)
    return app_commands.allowed_installs(guilds=True, users=False)(made)
