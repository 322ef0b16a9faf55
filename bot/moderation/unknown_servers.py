"""Leaving the servers that the operator does not serve."""

from __future__ import annotations

import logging

import discord

from ...queue.moderation import Moderation
from ..faults import FAILURES

log = logging.getLogger(__name__)


async def leave_unknown_server(moderation: Moderation, guild: discord.Guild) -> None:
    """Go out of a server that the operator does not serve, where he wants that."""
    if not moderation.options.leave_unknown_servers or moderation.serves(str(guild.id)):
        return
    try:
        await guild.leave()
    except FAILURES as error:
        log.warning("server %d could not be left (%s)", guild.id, type(error).__name__)
        return
    log.info("left server %d, which is not among [moderation] allowed_servers", guild.id)
    await moderation.audit.note(str(guild.id), "daguerre", "left")
