"""/settings change, history, undo, export, import, panel and try: every setting of a server, for who manages it."""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import app_commands

from ..queue.moderation import DryRun, Rule, dry_run, last_week
from ..queue.store import ServerSettings
from .cards import shorten, shown
from .errors import Refused
from .guard import guarded
from .language import speaks
from .moderators import answer, manager
from .settings_values import LONGEST_FILE, NAMES, allowed, choices, from_toml, say, to_toml, typed
from .texts import text

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

#: Changes that /settings history lists, and the length of one line.
LISTED, LINE = 10, 180
#: Options of one select menu.
OPTIONS = 25
FORM = re.compile(r"daguerre:set:(?P<name>[a-z_]{1,40}):[0-9a-f]{8}")
Value = app_commands.Range[str, 1, 4000]


def add_more(group: app_commands.Group) -> None:
    """The rest of /settings."""

    @group.command(name="change", description=text("command.settings.change"))
    @app_commands.describe(setting=text("command.settings.setting"), value=text("command.settings.value"))
    async def change(interaction: discord.Interaction[DaguerreClient], setting: str, value: Value) -> None:
        await guarded(interaction, lambda: store(interaction, setting, value))

    @group.command(name="try", description=text("command.settings.try"))
    @app_commands.describe(setting=text("command.settings.setting"), value=text("command.settings.value"))
    async def attempt(interaction: discord.Interaction[DaguerreClient], setting: str, value: Value) -> None:
        await guarded(interaction, lambda: try_out(interaction, setting, value))

    change.autocomplete("setting")(known_names)
    change.autocomplete("value")(known_values)
    attempt.autocomplete("setting")(known_names)
    attempt.autocomplete("value")(known_values)

    @group.command(name="history", description=text("command.settings.history"))
    async def history(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: show_history(interaction))

    @group.command(name="undo", description=text("command.settings.undo"))
    @app_commands.describe(version=text("command.settings.version"))
    async def undo(
        interaction: discord.Interaction[DaguerreClient], version: app_commands.Range[int, 1, 1_000_000] | None = None
    ) -> None:
        await guarded(interaction, lambda: take_back(interaction, version))

    @group.command(name="export", description=text("command.settings.export"))
    async def export(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: send_file(interaction))

    @group.command(name="import", description=text("command.settings.import"))
    @app_commands.describe(file=text("command.settings.file"))
    async def bring(interaction: discord.Interaction[DaguerreClient], file: discord.Attachment) -> None:
        await guarded(interaction, lambda: read_file(interaction, file))

    @group.command(name="panel", description=text("command.settings.panel"))
    async def panel(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: open_panel(interaction))


async def store(interaction: Asked, name: str, value: str) -> None:
    """Change one setting and say what it is now."""
    server, store = manager(interaction), interaction.client.services.settings
    new = typed(await store.get(server), name, value)
    await _keep(interaction, server, new)


async def _keep(interaction: Asked, server: str, new: ServerSettings) -> None:
    locale = speaks(interaction)
    change = await interaction.client.services.settings.put(server, new, str(interaction.user.id))
    await answer(interaction, text("settings.changed", locale, changes=differences(change.old, change.new) or "–"))


async def try_out(interaction: Asked, name: str, value: str) -> None:
    """What a change would have done to last week's requests; nothing is changed."""
    server, services = manager(interaction), interaction.client.services
    now = await services.settings.get(server)
    new = typed(now, name, value)
    await interaction.response.defer(ephemeral=True, thinking=True)
    rules = await services.queue.moderation.rules(server, new)
    told = await outlook(interaction, server, new, rules)
    await answer(interaction, text("settings.tried", speaks(interaction), changes=differences(now, new), told=told))


async def outlook(interaction: Asked, server: str, settings: ServerSettings, rules: tuple[Rule, ...]) -> str:
    """What settings and rules would have done to last week's requests, in words."""
    week = await last_week(interaction.client.services.queue.moderation.database, server)
    # In a thread: thousands of prompts take seconds, in which the gateway's heartbeat would be missed.
    told = await asyncio.to_thread(dry_run, week, settings, rules)
    return say_outlook(told, speaks(interaction))


def say_outlook(told: DryRun, locale: str) -> str:
    """A dry run in words, with the first prompts that it would have touched."""
    head = text("settings.outlook", locale, requests=told.requests, stopped=told.stopped, changed=told.changed)
    return "\n".join([head, *(f"- {shown(prompt, 100)}" for prompt in told.examples)])


def differences(old: ServerSettings, new: ServerSettings) -> str:
    """Each setting that differs, on a line: `steps`: 16 → 9."""
    lines = [
        shorten(f"`{name}`: {say(name, old)} → {say(name, new)}", LINE)
        for name in NAMES
        if getattr(old, name) != getattr(new, name)
    ]
    return "\n".join(lines)


async def show_history(interaction: Asked) -> None:
    """Who changed what, newest first."""
    server, locale = manager(interaction), speaks(interaction)
    changes = await interaction.client.services.settings.changes(server, LISTED)
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


async def take_back(interaction: Asked, version: int | None) -> None:
    """Go back to the settings before the last change, or before a given one; that is a change itself."""
    server, store = manager(interaction), interaction.client.services.settings
    changes = await store.changes(server, 10_000 if version is not None else 1)
    found = next((change for change in changes if version is None or change.version == version), None)
    if found is None:
        raise Refused("settings.history.gone")
    await _keep(interaction, server, found.old)


async def send_file(interaction: Asked) -> None:
    """All settings as TOML."""
    server = manager(interaction)
    settings = await interaction.client.services.settings.get(server)
    await answer(
        interaction,
        text("settings.exported", speaks(interaction)),
        file=(f"daguerre-{server}.toml", to_toml(settings).encode()),
    )


async def read_file(interaction: Asked, file: discord.Attachment) -> None:
    """Take over the settings of a file."""
    server = manager(interaction)
    if file.size > LONGEST_FILE:
        raise Refused("settings.file")
    await interaction.response.defer(ephemeral=True, thinking=True)
    await _keep(interaction, server, from_toml(await file.read()))


# ---- the panel: menus that open a form for each setting


class SettingMenu(discord.ui.DynamicItem[discord.ui.Select[discord.ui.View]], template=r"daguerre:settings:(?P<n>\d)"):
    """A menu of up to 25 settings."""

    def __init__(self, number: int, settings: ServerSettings | None = None, placeholder: str = "") -> None:
        names = NAMES[number * OPTIONS : (number + 1) * OPTIONS]
        known = settings or ServerSettings()
        super().__init__(
            discord.ui.Select(
                custom_id=f"daguerre:settings:{number}",
                placeholder=placeholder or None,
                options=[
                    discord.SelectOption(label=name, value=name, description=shorten(say(name, known), 100))
                    for name in names
                ],
            )
        )

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(int(match["n"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        data: Any = interaction.data
        chosen = str(next(iter(data.get("values", ())), ""))
        await guarded(interaction, lambda: open_form(interaction, chosen))


async def open_panel(interaction: Asked) -> None:
    """The menus, for who manages the server."""
    server, locale = manager(interaction), speaks(interaction)
    settings = await interaction.client.services.settings.get(server)
    view = discord.ui.View(timeout=None)
    for number in range(-(-len(NAMES) // OPTIONS)):
        view.add_item(SettingMenu(number, settings, text("settings.panel.choose", locale)))
    await answer(interaction, text("settings.panel", locale), view=view)


async def open_form(interaction: Asked, name: str) -> None:
    """A form with the value as it is."""
    server = manager(interaction)
    if name not in NAMES:
        raise Refused("settings.unknown", field=name[:100])
    settings = await interaction.client.services.settings.get(server)
    form = discord.ui.Modal(title=name[:45], custom_id=f"daguerre:set:{name}:{secrets.token_hex(4)}")
    form.add_item(
        discord.ui.TextInput(
            label=shorten(allowed(name), 45), custom_id="value", default=say(name, settings)[:4000], max_length=4000
        )
    )
    await interaction.response.send_modal(form)


async def settings_form(interaction: Asked, data: Any) -> bool:
    """Store what a form of the panel says; whether it was one."""
    found = FORM.fullmatch(str(data.get("custom_id", "")))
    if found is None:
        return False
    await store(interaction, found["name"], _value(data.get("components")))
    return True


def _value(parts: Any) -> str:
    """The first text input's value in a modal's components."""
    for part in parts or ():
        if "value" in part:
            return str(part["value"])
        if found := _value(part.get("components") or ([part["component"]] if "component" in part else ())):
            return found
    return ""


# ---- suggestions: none rather than an error


async def known_names(_: Asked, typed: str) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=name, value=name) for name in NAMES if typed.lower() in name][:OPTIONS]


async def known_values(interaction: Asked, typed: str) -> list[app_commands.Choice[str]]:
    name = str(getattr(interaction.namespace, "setting", "") or "")
    offered = choices(name) if name in NAMES else ()
    return [app_commands.Choice(name=value[:100], value=value[:100]) for value in offered if typed.lower() in value]
