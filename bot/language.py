"""In which language somebody is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord

if TYPE_CHECKING:
    from .client import DaguerreClient


def speaks(interaction: discord.Interaction[Any]) -> str:
    """The locale of who sent this interaction, for `text`: chosen with /prefer, or their server's, or Discord's."""
    client: DaguerreClient = interaction.client
    chosen = client.services.queue.members.known(str(interaction.user.id)).language
    servers = client.services.settings.known(str(interaction.guild_id)).language if interaction.guild_id else ""
    return chosen or servers or interaction.locale.value
