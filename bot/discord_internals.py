"""All that is used of discord.py beyond its documented interface, each with the reason why no public way will do.

tests/bot/test_internals.py asserts that the pinned version still has every one of them in this shape.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route, handle_message_parameters
from discord.webhook.async_ import async_context


def role_ids(member: discord.Member) -> list[int]:
    """The roles that came with an interaction. `Member.roles` looks them up in a cache, which lacks unknown guilds."""
    return list(member._roles)  # pyright: ignore[reportPrivateUsage]


@contextmanager
def endpoints(api_base: str, gateway: str) -> Generator[None]:
    """Point discord.py at other addresses ("": its own). It keeps them in class attributes, so they are put back."""
    before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    if api_base:
        Route.BASE = api_base.rstrip("/")
    if gateway:
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway)
    try:
        yield
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = before


def expect_no_voice() -> None:
    """Nothing is said here, so nobody misses the libraries for it. Without this discord.py warns at each start."""
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False


def api_address() -> str:
    return Route.BASE


def gateway_address() -> str:
    return str(DiscordWebSocket.DEFAULT_GATEWAY)


def failed_first_connection(client: discord.Client, error: AttributeError) -> BaseException | None:
    """Why the very first connection failed, if `error` is what discord.py 2.7 makes of it; else None.

    It wants to resume a connection that never was. The public `Client.connect` lets the AttributeError through.
    """
    return None if client.ws else error.__context__


async def edit_by_token(
    client: discord.Client,
    application: int,
    token: str,
    message: int | None,
    *,
    content: str,
    attachments: Sequence[discord.File],
    view: discord.ui.View | None,
) -> int:
    """Edit the answer to an interaction by its token alone; gives the message's id. `message` None: its first answer.

    What `Interaction.edit_original_response` does, for an interaction that may be of an earlier process: Discord knows
    its first answer by the name @original, which the public `Webhook.edit_message` does not take for an id.
    """
    webhook = discord.Webhook.partial(application, token, client=client)
    nobody = discord.AllowedMentions.none()
    with handle_message_parameters(
        content=content, attachments=attachments, view=view, allowed_mentions=nobody
    ) as parameters:
        given: dict[str, Any] = {
            "session": webhook.session,
            "payload": parameters.payload,
            "multipart": parameters.multipart,
            "files": parameters.files,
        }
        adapter = async_context.get()
        if message is None:
            edited: Any = await adapter.edit_original_interaction_response(application, token, **given)
        else:
            edited = await adapter.edit_webhook_message(application, token, message, **given)
    return int(edited["id"])
