"""/settings change, try, history, undo, export and import: every setting of a server, for who manages it."""

from __future__ import annotations

import discord
from discord import app_commands

from ...queue.store import ServerSettings
from ..errors import Refused
from ..interaction import Interaction, answer, command, locale_of, manager, services_of
from ..text import shorten, text
from .dry_run import dry_run_text
from .settings_values import LONGEST_FILE, NAMES, choices, from_toml, to_toml, value_text, with_typed

#: Changes that /settings history lists, and the length of one line.
LISTED, LINE = 10, 180
#: Options of one select menu.
OPTIONS = 25
Value = app_commands.Range[str, 1, 4000]


def add_changes(group: app_commands.Group) -> None:
    """Adds them to /settings."""
    for name, handler in (("change", change), ("try", try_out)):
        setting, value = "command.settings.setting", "command.settings.value"
        made = command(group, name, handler, f"command.settings.{name}", setting=setting, value=value)
        made.autocomplete("setting")(known_names)
        made.autocomplete("value")(known_values)
    command(group, "history", show_history, "command.settings.history")
    command(group, "undo", undo, "command.settings.undo", version="command.settings.version")
    command(group, "export", send_file, "command.settings.export")
    command(group, "import", read_file, "command.settings.import", file="command.settings.file")


async def change(interaction: Interaction, setting: str, value: Value) -> None:
    """Change one setting and say what it is now."""
    server, store = manager(interaction), services_of(interaction).settings
    new = with_typed(await store.get(server), setting, value)
    await _keep(interaction, server, new)


async def _keep(interaction: Interaction, server: str, new: ServerSettings) -> None:
    locale = locale_of(interaction)
    change = await services_of(interaction).settings.put(server, new, str(interaction.user.id))
    await answer(interaction, text("settings.changed", locale, changes=differences(change.old, change.new) or "–"))


async def try_out(interaction: Interaction, setting: str, value: Value) -> None:
    """What a change would have done to last week's requests; nothing is changed."""
    server, services = manager(interaction), services_of(interaction)
    now = await services.settings.get(server)
    new = with_typed(now, setting, value)
    await interaction.response.defer(ephemeral=True, thinking=True)
    rules = await services.queue.moderation.rules(server, new)
    outcome = await dry_run_text(interaction, server, new, rules)
    await answer(
        interaction, text("settings.tried", locale_of(interaction), changes=differences(now, new), told=outcome)
    )


def differences(old: ServerSettings, new: ServerSettings) -> str:
    """Each setting that differs, on a line: `steps`: 16 → 9."""
    lines = [
        shorten(f"`{name}`: {value_text(name, old)} → {value_text(name, new)}", LINE)
        for name in NAMES
        if getattr(old, name) != getattr(new, name)
    ]
    return "\n".join(lines)


async def show_history(interaction: Interaction) -> None:
    """Who changed what, newest first."""
    server, locale = manager(interaction), locale_of(interaction)
    changes = await services_of(interaction).settings.changes(server, LISTED)
    if not changes:
        await answer(interaction, text("settings.history.none", locale))
        return
    lines = [
        text("settings.history.line", locale, version=str(change.version), who=f"<@{change.who}>",
             when=str(int(change.when))) + "\n" + shorten(differences(change.old, change.new) or "–", LINE)
        for change in changes
    ]  # fmt: skip
    whole = text("settings.history.title", locale)
    for line in lines:
        if len(whole) + len(line) > 1_900:
            break
        whole += "\n" + line
    await answer(interaction, whole)


async def undo(interaction: Interaction, version: app_commands.Range[int, 1, 1_000_000] | None = None) -> None:
    """Go back to the settings before the last change, or before a given one; that is a change itself."""
    server, store = manager(interaction), services_of(interaction).settings
    changes = await store.changes(server, 10_000 if version is not None else 1)
    found = next((change for change in changes if version is None or change.version == version), None)
    if found is None:
        raise Refused("settings.history.gone")
    await _keep(interaction, server, found.old)


async def send_file(interaction: Interaction) -> None:
    """All settings as TOML."""
    server = manager(interaction)
    settings = await services_of(interaction).settings.get(server)
    await answer(
        interaction,
        text("settings.exported", locale_of(interaction)),
        file=(f"daguerre-{server}.toml", to_toml(settings).encode()),
    )


async def read_file(interaction: Interaction, file: discord.Attachment) -> None:
    """Take over the settings of a file."""
    server = manager(interaction)
    if file.size > LONGEST_FILE:
        raise Refused("settings.file")
    await interaction.response.defer(ephemeral=True, thinking=True)
    await _keep(interaction, server, from_toml(await file.read()))


async def known_names(_: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=name, value=name) for name in NAMES if typed.lower() in name][:OPTIONS]


async def known_values(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    name = str(getattr(interaction.namespace, "setting", "") or "")
    offered = choices(name) if name in NAMES else ()
    return [app_commands.Choice(name=value[:100], value=value[:100]) for value in offered if typed.lower() in value]
