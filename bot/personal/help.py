"""/help: a short tour, made of the commands and flags themselves, so that it cannot disagree with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import discord
from discord import app_commands
from discord.app_commands import Choice

from ...queue.records import FLAGS
from ..interaction import CommandTree, Interaction, answer_pages, bot_of, command, everywhere, locale_of
from ..message import EMOJI
from ..text import codes, pages, text

TOPICS = ("tour", "commands", "flags", "buttons")


def add_help(tree: CommandTree) -> None:
    """The command /help."""
    topics = [Choice(name=text(f"name.topic.{topic}"), value=topic) for topic in TOPICS]
    everywhere(command(tree, "help", show_topic, "command.help", {"topic": topics}, topic="command.help.topic"))


async def show_topic(interaction: Interaction, topic: Choice[str] | None = None) -> None:
    """One topic, in as many private messages as it needs."""
    tree = bot_of(interaction).tree
    lines = topic_lines(topic.value if topic else "tour", tree, locale_of(interaction), tree.ids)
    await answer_pages(interaction, pages(lines))


def topic_lines(topic: str, tree: CommandTree, locale: str, ids: Mapping[str, int]) -> list[str]:
    """The lines of a topic; `ids` are Discord's, by the commands' names. Pure."""
    match topic:
        case "commands":
            return [text("help.commands", locale), *commands(tree, locale, ids)]
        case "flags":
            lines = [
                f"`{' '.join(f'--{name}' for name in flag.names)}` {text(f'help.flag.{flag.field}', locale)}"
                for flag in FLAGS
            ]
            return [text("help.flags", locale), *lines, text("help.syntax", locale)]
        case "buttons":
            lines = [
                f"{emoji} **{text(f'button.{action}', locale, number='1')}** {text(f'help.button.{action}', locale)}"
                for action, emoji in EMOJI.items()
            ]
            return [text("help.buttons", locale), *(line.strip() for line in lines), text("help.reactions", locale)]
        case _:
            shown = {"imagine": "imagine", "mine": "queue mine", "history": "history", "prefer": "prefer"}
            named = {name: mention(command, locale, ids) for name, command in shown.items()}
            return [text("help.tour", locale, help=mention("help", locale, ids), **named)]


def mention(name: str, locale: str, ids: Mapping[str, int]) -> str:
    """A command to be clicked on, by the name that it has in this language; words where Discord's id is not known.

    Pure.
    """
    words = _spoken(locale)
    said = " ".join(words.get(part, part) for part in name.split())
    number = ids.get(name.split()[0])
    return f"`/{said}`" if number is None else f"</{said}:{number}>"


def _spoken(locale: str) -> dict[str, str]:
    """What is written in English in the commands, in this language."""
    return {text(code): text(code, locale) for code in codes() if code.startswith(("command.", "name."))}


def commands(tree: CommandTree, locale: str, ids: Mapping[str, int]) -> list[str]:
    """Every command with its description, menus among them."""
    spoken = _spoken(locale)
    lines = [
        f"{mention(command.qualified_name, locale, ids)} {spoken.get(command.description, command.description)}"
        for command in tree.walk_commands()
        if isinstance(command, app_commands.Command)
    ]
    for kind in (discord.AppCommandType.message, discord.AppCommandType.user):
        menus: Iterable[Any] = tree.get_commands(type=kind)
        lines += [text("help.menu", locale, name=spoken.get(menu.name, menu.name)) for menu in menus]
    return lines
