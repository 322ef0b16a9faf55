"""Who may decide what in a server, and answering them privately. Every handler of moderators asks here first.

Discord hides commands from others only by default, and a server can change that: so the handler decides.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from ..queue.moderation import Forbidden
from .cancel import may_moderate
from .errors import Refused
from .texts import ENGLISH, text

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

#: Where commands of moderators are offered.
IN_SERVERS = app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False)
BY_SERVERS = app_commands.AppInstallationType(guild=True, user=False)


def manager(interaction: discord.Interaction[Any]) -> str:
    """The server's id, once it is certain that this member manages it. Raises: Refused."""
    if interaction.guild_id is None:
        raise Refused("settings.server_only")
    if not (interaction.permissions.manage_guild or interaction.permissions.administrator):
        raise Refused("settings.not_allowed")
    return str(interaction.guild_id)


def moderator(interaction: discord.Interaction[Any]) -> str:
    """The server's id, once it is certain that this member moderates it. Raises: Refused."""
    if interaction.guild_id is None:
        raise Refused("settings.server_only")
    if not may_moderate(interaction):
        raise Refused("queue.not_allowed")
    return str(interaction.guild_id)


async def answer(
    interaction: discord.Interaction[Any],
    words: str,
    *,
    file: tuple[str, bytes] | None = None,
    view: discord.ui.View | None = None,
) -> None:
    """Answer privately, also when the answer was deferred; `file` is a name and what is in it."""
    given: dict[str, Any] = {"allowed_mentions": discord.AllowedMentions.none()}
    if view is not None:
        given["view"] = view
    attached = None if file is None else discord.File(io.BytesIO(file[1]), filename=file[0])
    if interaction.response.is_done():
        more: dict[str, Any] = {} if attached is None else {"attachments": [attached]}
        await interaction.edit_original_response(content=words, **given, **more)
        return
    if attached is not None:
        given["file"] = attached
    await interaction.response.send_message(words, ephemeral=True, **given)


def forbidden(error: Forbidden, locale: str = ENGLISH) -> str:
    """What a member reads who asked for what may not be asked for."""
    values = error.values
    match error.code:
        case "refused.server":
            return text("refused.server", locale)
        case "refused.banned":
            return text("refused.banned", locale)
        case "refused.banned.until":
            return text("refused.banned.until", locale, until=str(values["until"]))
        case "refused.warned":
            return text("refused.warned", locale, count=values["count"], limit=values["limit"])
        case "refused.warned.out":
            return text("refused.warned.out", locale, count=values["count"], until=str(values["until"]))
        case "refused.model":
            return text("refused.model", locale, allowed=values["allowed"])
        case "refused.style":
            return text("refused.style", locale, allowed=values["allowed"])
        case _:
            return text("refused.rule", locale)
