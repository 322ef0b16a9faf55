"""Where something is asked for: its settings, and whether pictures may be (queue/moderation/gate.py judges words)."""

from __future__ import annotations

from typing import Any

import discord

from ...queue.store import ServerSettings
from ..errors import Refused
from .context import Interaction, services_of

#: Channels that a refusal names.
CHANNELS_SHOWN = 10


def check_place(settings: ServerSettings, interaction: Interaction) -> None:
    """Whether pictures may be asked for in this channel; a thread goes by the channel that it hangs in.

    Raises:
        Refused: not here; says where.
    """
    channel: Any = interaction.channel
    parent: Any = getattr(channel, "parent", None) if isinstance(channel, discord.Thread) else None
    ids = [str(number) for number in (interaction.channel_id, getattr(channel, "parent_id", None)) if number]
    if not isinstance(channel, discord.Thread):
        ids = ids[:1]
    category = str(getattr(parent or channel, "category_id", None) or "")
    denied = any(number in settings.denied_channels for number in ids)
    if denied or not any(settings.allows(number, category) for number in ids):
        raise Refused("refused.channel", channels=channel_list(settings) or "–")
    if settings.age_restricted == "only" and not is_age_restricted(interaction):
        raise Refused("refused.age")


def is_age_restricted(interaction: Interaction) -> bool:
    """Whether Discord lets only adults into this channel."""
    channel: Any = interaction.channel
    if isinstance(channel, discord.Thread):
        channel = channel.parent
    return bool(getattr(channel, "nsfw", False))


def is_relaxed(settings: ServerSettings, interaction: Interaction) -> bool:
    """Whether the shipped list and the output check do not hold in this channel."""
    return settings.age_restricted == "relaxed" and is_age_restricted(interaction)


def channel_list(settings: ServerSettings) -> str:
    """The allowed channels as Discord links them: `<#1>, <#2>`."""
    allowed = sorted(settings.channels, key=lambda channel: (len(channel), channel))
    named = [f"<#{channel}>" for channel in allowed[:CHANNELS_SHOWN]]
    return ", ".join([*named, "…"] if len(allowed) > CHANNELS_SHOWN else named)


async def server_settings(interaction: Interaction) -> ServerSettings:
    """The settings of the server where this was asked, once it is certain that an answer can arrive there.

    Raises:
        Refused: pictures cannot be sent here, or may not be asked for.
    """
    if interaction.guild_id is None:
        return ServerSettings()
    if not interaction.app_permissions.attach_files:
        raise Refused("refused.attach")
    settings = await settings_here(interaction)
    check_place(settings, interaction)
    return settings


async def settings_here(interaction: Interaction) -> ServerSettings:
    """The defaults where something is said."""
    if interaction.guild_id is None:
        return ServerSettings()
    return await services_of(interaction).settings.get(str(interaction.guild_id))
