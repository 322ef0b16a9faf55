"""How a bot comes into a server: the link, with exactly the permissions that something here needs. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import discord
import yarl

#: Each permission that is asked for, and for what.
NEEDED: Mapping[str, str] = {
    "view_channel": "to see the channel that it answers in",
    "send_messages": "for pictures whose request can be answered no more",
    "send_messages_in_threads": "the same in threads",
    "attach_files": "pictures are files",
    "read_message_history": "to find its own answer again after a crash, and to answer one with a mention",
    "create_expressions": "for the buttons that make an emoji or a sticker of a picture",
}
SCOPES = ("bot", "applications.commands")


def needed_permissions() -> discord.Permissions:
    return discord.Permissions(**dict.fromkeys(NEEDED, True))


def invite_link(application_id: int) -> str:
    """For who may add bots to a server; Discord shows them the permissions."""
    return discord.utils.oauth_url(application_id, permissions=needed_permissions(), scopes=SCOPES)


def permissions_of(link: str) -> discord.Permissions:
    """What a link asks for."""
    return discord.Permissions(int(yarl.URL(link).query["permissions"]))
