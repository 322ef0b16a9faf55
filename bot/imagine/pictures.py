"""Pictures that members bring: attachments, links to Discord's own files, and pictures of earlier jobs.

Only Discord's file servers are asked: a bot that fetched any address would fetch those of its owner's network too.
"""

from __future__ import annotations

import asyncio

import aiohttp
import discord
import yarl

from ...queue.errors import InvalidPicture
from ...queue.pictures import MAX_PIXELS, MAX_SCALED, SHORTEST
from ..errors import Refused
from ..faults import FAILURES
from ..interaction import Interaction, queue_of, services_of

#: Largest file that is fetched, in bytes.
LARGEST = 20 * 2**20
#: Seconds that fetching may take.
FETCH_SECONDS = 20.0
#: What is said of a file that cannot be used (`InvalidPicture.kind`).
UNUSABLE = {
    "no_picture": "picture.none",
    "damaged": "picture.damaged",
    "heic": "picture.heic",
    "too_large": "picture.too_large",
    "pixels": "picture.pixels",
    "too_small": "picture.too_small",
    "mask_empty": "picture.mask_empty",
}
#: Where Discord keeps what members send.
DISCORD_HOSTS = ("https://cdn.discordapp.com", "https://media.discordapp.net", "https://images-ext-1.discordapp.net")


async def keep_attachment(interaction: Interaction, attachment: discord.Attachment) -> str:
    """Name in the picture store of what a member attached.

    Raises:
        Refused: it is too large, no picture, or cannot be fetched.
    """
    if attachment.size > LARGEST:
        raise Refused("picture.too_large", limit=LARGEST // 2**20)
    return await keep_link(interaction, attachment.url)


async def keep_link(interaction: Interaction, link: str) -> str:
    """Name in the picture store of what lies behind a link. Raises: Refused."""
    return await keep_bytes(interaction, await fetch(interaction, link))


async def keep_emoji(interaction: Interaction, emoji: str, moving: bool) -> str:
    """Name in the picture store of a custom emoji, by its id; of a moving one its first picture. Raises: Refused."""
    host = (services_of(interaction).picture_hosts or DISCORD_HOSTS)[0]
    return await keep_link(interaction, f"{host}/emojis/{emoji}.{'gif' if moving else 'png'}")


def is_blurred(link: str) -> bool:
    """Whether a file is behind a spoiler where it lies: Discord says so in its name. Pure."""
    return link.partition("?")[0].rpartition("/")[2].startswith("SPOILER_")


async def keep_bytes(interaction: Interaction, data: bytes) -> str:
    """Raises: Refused."""
    try:
        return await queue_of(interaction).keep_source(data)
    except InvalidPicture as problem:
        raise unusable(problem) from None


def unusable(problem: InvalidPicture) -> Refused:
    """What a member is told about a file that cannot be used."""
    limits = {"limit": LARGEST // 2**20, "pixels": MAX_PIXELS // 10**6, "scaled": MAX_SCALED // 10**6}
    return Refused(UNUSABLE.get(problem.kind, "picture.none"), **limits, least=SHORTEST)


async def fetch(interaction: Interaction, link: str) -> bytes:
    """A file from Discord's own servers, at most `LARGEST` bytes. Raises: Refused."""
    try:
        url = yarl.URL(link)
    except ValueError:
        raise Refused("picture.elsewhere") from None
    hosts = services_of(interaction).picture_hosts or DISCORD_HOSTS
    if str(url.origin() if url.is_absolute() else "") not in hosts:
        raise Refused("picture.elsewhere")
    try:
        async with (
            asyncio.timeout(FETCH_SECONDS),
            aiohttp.ClientSession() as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise Refused("picture.gone")
            found = bytearray()
            async for chunk in answer.content.iter_chunked(1 << 16):
                found += chunk
                if len(found) > LARGEST:
                    raise Refused("picture.too_large", limit=LARGEST // 2**20)
            return bytes(found)
    except FAILURES:
        raise Refused("picture.gone") from None
