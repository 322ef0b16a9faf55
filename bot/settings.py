"""/settings view and /settings set: a server's own defaults, for members who hold Manage Server.

Discord hides the commands from everybody else, but only by default: a server can change that, so every handler
checks again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import discord
from discord import app_commands
from pydantic import ValidationError

from ..queue.store import ServerSettings
from .cards import shorten
from .checks import channel_list
from .errors import Refused
from .guard import guarded
from .language import speaks
from .settings_more import add_more
from .settings_view import messages
from .texts import text

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

#: The longest answer in characters.
LONGEST = 1_900
#: Channels on one server's list.
MAX_CHANNELS = 100
Size = Literal[128, 256, 512]


class PlaceOption(app_commands.Transformer):
    """A channel option for places where messages can be written. Threads go by their channel, so they are left out."""

    @property
    def type(self) -> discord.AppCommandOptionType:
        return discord.AppCommandOptionType.channel

    @property
    def channel_types(self) -> list[discord.ChannelType]:
        kinds = discord.ChannelType
        return [kinds.text, kinds.news, kinds.voice, kinds.stage_voice, kinds.forum]

    async def transform(self, interaction: discord.Interaction[Any], value: Any, /) -> app_commands.AppCommandChannel:
        return value


Place = app_commands.Transform[app_commands.AppCommandChannel, PlaceOption]


def add_settings(tree: app_commands.CommandTree[DaguerreClient]) -> None:
    """The command group as Discord shows it."""
    group = app_commands.Group(
        name="settings",
        description=text("command.settings"),
        default_permissions=discord.Permissions(manage_guild=True),
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False),
        allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
    )

    @group.command(name="view", description=text("command.settings.view"))
    async def view(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: show(interaction))

    @group.command(name="set", description=text("command.settings.set"))
    @app_commands.describe(
        steps=text("command.settings.set.steps"),
        guidance=text("command.settings.set.guidance"),
        size=text("command.settings.set.size"),
        allow_channel=text("command.settings.set.allow_channel"),
        remove_channel=text("command.settings.set.remove_channel"),
        all_channels=text("command.settings.set.all_channels"),
    )
    async def change(
        interaction: discord.Interaction[DaguerreClient],
        steps: app_commands.Range[int, 1, 50] | None = None,
        guidance: app_commands.Range[float, 1.0, 12.0] | None = None,
        size: Size | None = None,
        allow_channel: Place | None = None,
        remove_channel: Place | None = None,
        all_channels: bool | None = None,
    ) -> None:
        await guarded(
            interaction,
            lambda: store(
                interaction,
                {"steps": steps, "guidance": guidance, "size": size},
                allow=allow_channel.id if allow_channel else None,
                remove=remove_channel.id if remove_channel else None,
                everywhere=bool(all_channels),
            ),
        )

    add_more(group)
    tree.add_command(group)


async def show(interaction: Asked) -> None:
    """Answer with the settings as they are."""
    server = _server(interaction)
    settings = await interaction.client.services.settings.get(server)
    told = messages(shorten(describe(settings), LONGEST), settings, speaks(interaction))
    await _reply(interaction, told[0])
    for more in told[1:]:
        await interaction.followup.send(more, ephemeral=True, allowed_mentions=discord.AllowedMentions.none())


async def store(
    interaction: Asked, values: dict[str, Any], *, allow: int | None, remove: int | None, everywhere: bool
) -> None:
    """Keep new settings and answer with them."""
    server = _server(interaction)
    services = interaction.client.services
    old = await services.settings.get(server)
    new = changed(old, values, allow=allow, remove=remove, everywhere=everywhere)
    await services.settings.put(server, new, str(interaction.user.id))
    await _reply(interaction, text("settings.saved", view=describe(new)))


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


def describe(settings: ServerSettings) -> str:
    """The settings as a member reads them."""
    return text(
        "settings.view",
        steps=settings.steps,
        guidance=f"{settings.guidance:g}",
        size=settings.size,
        channels=channel_list(settings) or text("settings.all_channels"),
    )


def _server(interaction: Asked) -> str:
    """The server's id, once it is certain that this member may see and change its settings."""
    if interaction.guild_id is None:
        raise Refused("settings.server_only")
    if not (interaction.permissions.manage_guild or interaction.permissions.administrator):
        raise Refused("settings.not_allowed")
    return str(interaction.guild_id)


async def _reply(interaction: Asked, words: str) -> None:
    await interaction.response.send_message(words, ephemeral=True, allowed_mentions=discord.AllowedMentions.none())
