"""In which language somebody is answered."""

from __future__ import annotations

from .context import Interaction, services_of


def locale_of(interaction: Interaction) -> str:
    """The locale of who sent this interaction, for `text`: chosen with /prefer, or their server's, or Discord's."""
    services = services_of(interaction)
    chosen = services.queue.members.known(str(interaction.user.id)).language
    servers = services.settings.known(str(interaction.guild_id)).language if interaction.guild_id else ""
    return chosen or servers or interaction.locale.value
