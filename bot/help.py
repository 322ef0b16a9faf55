"""/help: a short tour, made of the commands and flags themselves, so that it cannot disagree with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from ..queue.records import FLAGS
from .guard import guarded
from .keys import EMOJI
from .language import speaks
from .texts import codes, text

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

TOPICS = ("tour", "commands", "flags", "buttons")
#: Discord's limit for one message.
LONGEST = 2_000


def add_help(tree: app_commands.CommandTree[DaguerreClient]) -> None:
    """The command as Discord shows it."""

    @tree.command(name="help", description=text("command.help"))
    @app_commands.describe(topic=text("command.help.topic"))
    @app_commands.choices(
        topic=[app_commands.Choice(name=text(f"name.topic.{topic}"), value=topic) for topic in TOPICS]
    )
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def help_(
        interaction: discord.Interaction[DaguerreClient], topic: app_commands.Choice[str] | None = None
    ) -> None:
        await guarded(interaction, lambda: answer(interaction, topic.value if topic else "tour"))


async def answer(interaction: Asked, topic: str) -> None:
    """One topic, in as many private messages as it needs."""
    tree = interaction.client.tree
    first, *others = pages(about(topic, tree, speaks(interaction), tree.ids))
    nobody = discord.AllowedMentions.none()
    await interaction.response.send_message(first, ephemeral=True, allowed_mentions=nobody)
    for words in others:
        await interaction.followup.send(words, ephemeral=True, allowed_mentions=nobody)


def about(topic: str, tree: app_commands.CommandTree[Any], locale: str, ids: Mapping[str, int]) -> list[str]:
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


def commands(tree: app_commands.CommandTree[Any], locale: str, ids: Mapping[str, int]) -> list[str]:
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


def pages(lines: list[str]) -> list[str]:
    """The lines in messages of at most 2,000 characters. Pure."""
    found = [""]
    for line in lines:
        if found[-1] and len(found[-1]) + 1 + len(line) > LONGEST:
            found.append("")
        found[-1] += ("\n" if found[-1] else "") + line[:LONGEST]
    return found
