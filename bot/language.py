"""In which language somebody is answered."""

from __future__ import annotations

from typing import Any

import discord


def speaks(interaction: discord.Interaction[Any]) -> str:
    """The locale of the member who sent this interaction, for `text`."""
    return interaction.locale.value
