"""In which language somebody is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord

if TYPE_CHECKING:
    from .client import DaguerreClient


def speaks(interaction: discord.Interaction[Any]) -> str:
    """The locale of the member who sent this interaction, for `text`: what they chose with /prefer, else Discord's."""
    client: DaguerreClient = interaction.client
    return client.services.queue.members.known(str(interaction.user.id)).language or interaction.locale.value
