"""/settings view and /settings set: a server's own defaults, for members who hold Manage Server.

Discord hides the commands from everybody else, but only by default: a server can change that, so every handler
asks `manager` first.
"""

from __future__ import annotations

from typing import Any, Literal

import discord
from discord import app_commands
from pydantic import ValidationError

from ...queue.records import Usual
from ...queue.store import ServerSettings
from ..errors import Refused
from ..interaction import (
    CommandTree,
    Interaction,
    answer,
    answer_pages,
    channel_list,
    command,
    locale_of,
    manager,
    queue_of,
    server_group,
    services_of,
)
from ..text import shorten, text
from .settings_change import add_changes
from .settings_panel import open_panel
from .settings_view import messages

#: The longest answer in characters.
LONGEST = 1_900
#: Channels on one server's list.
MAX_CHANNELS = 100
Size = Literal[128, 256, 512, 768, 1024]


class PlaceOption(app_commands.Transformer):
    """A channel option for places where messages can be written. Threads go by their channel, so they are left out."""

    @property
    def type(self) -> discord.AppCommandOptionType:
        return discord.AppCommandOptionType.channel

    @property
    def channel_types(self) -> list[discord.ChannelType]:
        kinds = discord.ChannelType
        return [kinds.text, kinds.news, kinds.voice, kinds.stage_voice, kinds.forum]

    async def transform(self, interaction: Interaction, value: Any, /) -> app_commands.AppCommandChannel:
        return value


Place = app_commands.Transform[app_commands.AppCommandChannel, PlaceOption]


def add_settings(tree: CommandTree) -> None:
    """The group /settings."""
    group = server_group(tree, "settings", discord.Permissions(manage_guild=True))
    command(group, "view", show, "command.settings.view")
    command(
        group, "set", store, "command.settings.set",
        steps="command.settings.set.steps", guidance="command.settings.set.guidance",
        size="command.settings.set.size", allow_channel="command.settings.set.allow_channel",
        remove_channel="command.settings.set.remove_channel", all_channels="command.settings.set.all_channels",
    )  # fmt: skip
    add_changes(group)
    command(group, "panel", open_panel, "command.settings.panel")


async def show(interaction: Interaction) -> None:
    """Answer with the settings as they are."""
    settings, locale = await services_of(interaction).settings.get(manager(interaction)), locale_of(interaction)
    usual = await queue_of(interaction).usual()
    first = shorten(describe(settings, usual, locale), LONGEST)
    await answer_pages(interaction, messages(first, settings, locale, usual))


async def store(
    interaction: Interaction,
    steps: app_commands.Range[int, 1, 50] | None = None,
    guidance: app_commands.Range[float, 1.0, 12.0] | None = None,
    size: Size | None = None,
    allow_channel: Place | None = None,
    remove_channel: Place | None = None,
    all_channels: bool | None = None,
) -> None:
    """Keep new settings and answer with them."""
    server, store = manager(interaction), services_of(interaction).settings
    new = changed(
        await store.get(server),
        {"steps": steps, "guidance": guidance, "size": size},
        allow=allow_channel.id if allow_channel else None,
        remove=remove_channel.id if remove_channel else None,
        everywhere=bool(all_channels),
    )
    await store.put(server, new, str(interaction.user.id))
    locale = locale_of(interaction)
    view = describe(new, await queue_of(interaction).usual(), locale)
    await answer(interaction, text("settings.saved", locale, view=view))


def changed(
    old: ServerSettings, values: dict[str, Any], *, allow: int | None, remove: int | None, everywhere: bool
) -> ServerSettings:
    """`old` with what a member gave (None: not given). Pure.

    Raises:
        Refused: nothing given, or a value out of range.
    """
    given = {name: value for name, value in values.items() if value is not None}
    if not given and allow is None and remove is None and not everywhere:
        raise Refused("settings.nothing")
    channels = set[str]() if everywhere else set(old.channels)
    if allow is not None:
        channels.add(str(allow))
    if remove is not None:
        channels.discard(str(remove))
    if len(channels) > MAX_CHANNELS:
        raise Refused("settings.too_many_channels", limit=MAX_CHANNELS)
    try:
        return ServerSettings.model_validate({**old.model_dump(), **given, "channels": frozenset(channels)})
    except ValidationError as problems:
        field = str(problems.errors()[0]["loc"][0])
        raise Refused("settings.range", field=field, allowed=text(f"settings.range.{field}")) from None


def describe(settings: ServerSettings, usual: Usual, locale: str) -> str:
    """The settings as a member reads them; what nobody set is as `usual` for the model."""
    here = settings.over(usual)

    def said(name: str, value: str) -> str:
        return value if getattr(settings, name) is not None else text("settings.view.model", locale, value=value)

    return text(
        "settings.view",
        locale,
        steps=said("steps", str(here.steps)),
        guidance=said("guidance", f"{here.guidance:g}"),
        size=said("size", text("settings.view.size", locale, size=here.size)),
        channels=channel_list(settings) or text("settings.all_channels", locale),
    )
