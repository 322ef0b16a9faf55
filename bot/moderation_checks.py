"""What a server allows, asked before a request is queued; queue/moderation/gate.py asks about its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import discord

from ..queue.store import ServerSettings
from .checks import channel_list
from .errors import Refused


def check_place(settings: ServerSettings, interaction: discord.Interaction[Any]) -> None:
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


def is_age_restricted(interaction: discord.Interaction[Any]) -> bool:
    """Whether Discord lets only adults into this channel."""
    channel: Any = interaction.channel
    if isinstance(channel, discord.Thread):
        channel = channel.parent
    return bool(getattr(channel, "nsfw", False))


def is_relaxed(settings: ServerSettings, interaction: discord.Interaction[Any]) -> bool:
    """Whether the shipped list and the output check do not hold in this channel."""
    return settings.age_restricted == "relaxed" and is_age_restricted(interaction)


def check_amount(settings: ServerSettings, count: int, options: Mapping[str, Any]) -> None:
    """Requests that one prompt becomes, by permutations and by repeating. Raises: Refused."""
    repeat = int(options.get("repeat") or 1)
    if repeat > settings.most_repeat:
        raise Refused("refused.amount", count=repeat, limit=settings.most_repeat)
    if count > settings.most_permutations * repeat:
        raise Refused("refused.amount", count=count, limit=settings.most_permutations)
