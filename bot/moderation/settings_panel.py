"""/settings panel: menus of all settings, which open a form for each."""

from __future__ import annotations

import re
import secrets
from typing import Any

import discord

from ...queue.store import ServerSettings
from ..errors import Refused
from ..interaction import Component, Interaction, answer, locale_of, manager, services_of, typed_value
from ..message import view_with
from ..text import shorten, text
from .settings_change import change
from .settings_values import NAMES, allowed, value_text

#: Options of one select menu.
OPTIONS = 25
FORM = re.compile(r"daguerre:set:(?P<name>[a-z_]{1,40}):[0-9a-f]{8}")


class SettingMenu(Component, discord.ui.DynamicItem[discord.ui.Select[Any]], template=r"daguerre:settings:(?P<n>\d)"):
    """A menu of up to 25 settings."""

    async def used(self, interaction: Interaction) -> None:
        data: Any = interaction.data
        await open_form(interaction, str(next(iter(data.get("values", ())), "")))


async def open_panel(interaction: Interaction) -> None:
    """The menus, for who manages the server."""
    server, locale = manager(interaction), locale_of(interaction)
    settings = await services_of(interaction).settings.get(server)
    menus = [_menu(number, settings, locale) for number in range(-(-len(NAMES) // OPTIONS))]
    await answer(interaction, text("settings.panel", locale), view=view_with(menus))


def _menu(number: int, settings: ServerSettings, locale: str) -> discord.ui.Select[Any]:
    return discord.ui.Select(
        custom_id=f"daguerre:settings:{number}",
        placeholder=text("settings.panel.choose", locale),
        options=[
            discord.SelectOption(label=name, value=name, description=shorten(value_text(name, settings), 100))
            for name in NAMES[number * OPTIONS : (number + 1) * OPTIONS]
        ],
    )


async def open_form(interaction: Interaction, name: str) -> None:
    """A form with the value as it is."""
    server = manager(interaction)
    if name not in NAMES:
        raise Refused("settings.unknown", field=name[:100])
    settings = await services_of(interaction).settings.get(server)
    form = discord.ui.Modal(title=name[:45], custom_id=f"daguerre:set:{name}:{secrets.token_hex(4)}")
    form.add_item(
        discord.ui.TextInput(
            label=shorten(allowed(name), 45),
            custom_id="value",
            default=value_text(name, settings)[:4000],
            max_length=4000,
        )
    )
    await interaction.response.send_modal(form)


async def submit_setting(interaction: Interaction, data: Any) -> bool:
    """Store what a form of the panel says; whether it was one."""
    found = FORM.fullmatch(str(data.get("custom_id", "")))
    if found is None:
        return False
    await change(interaction, found["name"], typed_value(data, "value"))
    return True
