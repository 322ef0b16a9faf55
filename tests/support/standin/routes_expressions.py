"""Emoji and stickers of a server."""

from __future__ import annotations

import base64
import io

from PIL import Image

from . import payloads
from .errors import Refused
from .permissions import allows, bits
from .rest import Answer, Call, Route
from .world import Guild

EMOJI_BYTES, STICKER_BYTES, STICKER_SIDE = 256 * 1024, 512 * 1024, 320


def _guild(call: Call) -> Guild:
    guild = call.world.guilds.get(call.number("guild_id"))
    if guild is None or not guild.has_bot:
        raise Refused(50001)
    if not allows(guild.members[call.world.bot.id].extra, bits(["manage_expressions"])):
        raise Refused(50013)
    return guild


async def create_emoji(call: Call) -> Answer:
    guild, body = _guild(call), call.body.json
    data = base64.b64decode(body["image"].partition("base64,")[2])
    if len(data) > EMOJI_BYTES:
        raise Refused(50035, errors={"image": "File cannot be larger than 256.0 kb."})
    if len(guild.emojis) >= guild.slots:
        raise Refused(30008)
    made = {
        "id": str(call.world.ids.next()), "name": body["name"], "roles": [], "require_colons": True, "managed": False,
        "animated": False, "available": True, "user": payloads.user(call.world.bot),
    }  # fmt: skip
    guild.emojis.append(made)
    return Answer(201, made)


async def create_sticker(call: Call) -> Answer:
    guild, form = _guild(call), call.body.json
    data = call.body.files[0].data
    with Image.open(io.BytesIO(data)) as picture:
        if len(data) > STICKER_BYTES or picture.size != (STICKER_SIDE, STICKER_SIDE) or picture.format != "PNG":
            raise Refused(50035, errors={"file": f"Invalid Asset: {picture.size}, {len(data)} bytes"})
    if len(guild.stickers) >= guild.slots:
        raise Refused(30039)
    made = {
        "id": str(call.world.ids.next()), "name": form["name"], "tags": form["tags"], "type": 2, "format_type": 1,
        "description": form["description"], "available": True, "guild_id": str(guild.id),
        "user": payloads.user(call.world.bot),
    }  # fmt: skip
    guild.stickers.append(made)
    return Answer(201, made)


ROUTES = (
    Route("POST", "/guilds/{guild_id}/emojis", create_emoji),
    Route("POST", "/guilds/{guild_id}/stickers", create_sticker),
)
