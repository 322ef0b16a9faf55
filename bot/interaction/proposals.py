"""What awaits a member's yes: kept in the database under a name, so that it works after a restart, and once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import discord

from ..errors import Refused
from .context import Interaction, queue_of

#: In custom ids: the name of a proposal.
PROPOSAL = r"(?P<proposal>[0-9a-f]{16})"


async def keep_proposal(interaction: Interaction, content: Mapping[str, Any]) -> str:
    """The name under which it is kept."""
    return await queue_of(interaction).members.keep_draft(str(interaction.user.id), content)


async def take_proposal(interaction: Interaction, name: str) -> Mapping[str, Any]:
    """What this member was asked about. Raises: Refused when that was taken before."""
    content = await queue_of(interaction).members.take_draft(name, str(interaction.user.id))
    if content is None:
        raise Refused("confirm.gone")
    return content


def proposal_button(
    action: str, name: str, label: str, style: discord.ButtonStyle = discord.ButtonStyle.primary
) -> discord.ui.Button[Any]:
    """A button that takes a proposal up."""
    return discord.ui.Button(label=label, style=style, custom_id=f"daguerre:{action}:{name}")
