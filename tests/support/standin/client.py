"""discord.py in the test's own process: pointed at a stand-in, and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import discord
import yarl
from discord.asset import Asset
from discord.gateway import DiscordWebSocket
from discord.http import Route

if TYPE_CHECKING:
    from .driver import StandIn


@contextmanager
def discord_py_at(standin: StandIn) -> Iterator[None]:
    """Within the block every discord.py client made in this process talks to `standin`."""
    before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY, Asset.BASE
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = standin.api_base, yarl.URL(standin.gateway)
    Asset.BASE = standin.cdn_base  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY, Asset.BASE = before


@asynccontextmanager
async def running(
    client: discord.Client, standin: StandIn, *, token: str | None = None
) -> AsyncIterator[discord.Client]:
    """`client`, logged in and connected to `standin` within the block, then closed.

    What `client.start` raises comes out at the end of the block.
    """
    with discord_py_at(standin):
        task = asyncio.create_task(client.start(token or standin.token))
        try:
            connected = asyncio.create_task(standin.connected())
            await asyncio.wait([task, connected], return_when=asyncio.FIRST_COMPLETED)
            connected.cancel()
            yield client
        finally:
            await client.close()
            await task
