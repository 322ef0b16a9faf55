"""Messages sent with the bot's own token, channels, direct messages, users, servers."""

from __future__ import annotations

from . import payloads
from .drafts import create_message, edit_message
from .errors import Refused
from .messages import ORDINARY, REPLY, Message
from .permissions import allows, bits
from .records import EPHEMERAL
from .rest import Answer, Call, Route
from .world import FORUM, Channel, Thread

#: Seconds for which `enforce_nonce` remembers a nonce.
NONCE_SECONDS = 300.0


def _channel(call: Call, *needed: str) -> Channel:
    """The channel of the path, if the bot may see it and do what is named.

    Raises:
        Refused: 10003 there is none, 50001 not visible, 50013 not allowed.
    """
    channel = call.world.channels.get(call.number("channel_id"))
    if channel is None or channel.deleted:
        raise Refused(10003)
    permissions = channel.bot_permissions
    if not allows(permissions, bits(["view_channel"])):
        raise Refused(50001)
    if isinstance(channel, Thread):
        needed = tuple("send_messages_in_threads" if each == "send_messages" else each for each in needed)
    if not allows(permissions, bits(needed)):
        raise Refused(50013)
    return channel


def _write_in(channel: Channel) -> None:
    """Whether the bot may send a new message here.

    Raises:
        Refused: 50008 a forum takes threads only, 160005 locked.
    """
    if channel.kind == FORUM:
        raise Refused(50008)
    if isinstance(channel, Thread) and channel.locked and not allows(channel.bot_permissions, bits(["manage_threads"])):
        raise Refused(160005)


def _message(call: Call, channel: Channel) -> Message:
    """Ephemeral messages cannot be reached with the bot's token."""
    message = call.world.messages.get(call.number("message_id"))
    if message is None or message.deleted or message.channel is not channel or message.flags & EPHEMERAL:
        raise Refused(10008)
    return message


async def get_channel(call: Call) -> Answer:
    return Answer(200, payloads.channel(_channel(call)))


async def create(call: Call) -> Answer:
    body = call.sent.body
    needed = ["send_messages"]
    if call.sent.files:
        needed.append("attach_files")
    if body.get("embeds"):
        needed.append("embed_links")
    channel = _channel(call, *needed)
    if channel.recipient is not None and not channel.recipient.accepts_dms:
        raise Refused(50007)
    _write_in(channel)
    nonce = body.get("nonce")
    if nonce is not None and body.get("enforce_nonce"):
        now = call.world.clock.now()
        for message in channel.messages:
            if message.nonce == nonce and message.author is call.world.bot and now - message.created < NONCE_SECONDS:
                return Answer(200, message.json())
    kind = REPLY if body.get("message_reference") else ORDINARY
    return Answer(200, create_message(call.world, channel, call.world.bot, call.sent, kind=kind).json())


async def get_messages(call: Call) -> Answer:
    """Newest first. Without Read Message History there are none to see."""
    channel = _channel(call)
    if not allows(channel.bot_permissions, bits(["read_message_history"])):
        return Answer(200, [])
    limit = int(call.query.get("limit", "50"))
    visible = [each for each in reversed(channel.messages) if not each.flags & EPHEMERAL]
    if "before" in call.query:
        visible = [each for each in visible if each.id < int(call.query["before"])]
    if "after" in call.query:
        visible = [each for each in visible if each.id > int(call.query["after"])][-limit:]
    return Answer(200, [message.json() for message in visible[:limit]])


async def get_message(call: Call) -> Answer:
    return Answer(200, _message(call, _channel(call, "read_message_history")).json())


async def patch_message(call: Call) -> Answer:
    message = _message(call, _channel(call))
    if message.author is not call.world.bot:
        raise Refused(50005)
    if call.sent.files and not allows(message.channel.bot_permissions, bits(["attach_files"])):
        raise Refused(50013)
    return Answer(200, edit_message(message, call.sent).json())


async def delete_message(call: Call) -> Answer:
    channel = _channel(call)
    message = _message(call, channel)
    if message.author is not call.world.bot and not allows(channel.bot_permissions, bits(["manage_messages"])):
        raise Refused(50013)
    message.remove()
    return Answer(204)


async def typing(call: Call) -> Answer:
    _channel(call, "send_messages")
    return Answer(204)


async def open_dm(call: Call) -> Answer:
    recipient = call.world.users.get(int(call.body.json.get("recipient_id") or 0))
    if recipient is None:
        raise Refused(10013)
    return Answer(200, payloads.channel(call.world.dm(recipient)))


async def get_me(call: Call) -> Answer:
    return Answer(200, payloads.me(call.world))


async def get_user(call: Call) -> Answer:
    user = call.world.users.get(call.number("user_id"))
    if user is None:
        raise Refused(10013)
    return Answer(200, payloads.user(user))


async def leave_guild(call: Call) -> Answer:
    guild = call.world.guilds.get(call.number("guild_id"))
    if guild is None or not guild.has_bot:
        raise Refused(10004)
    guild.leave()
    return Answer(204)


async def get_guild(call: Call) -> Answer:
    guild = call.world.guilds.get(call.number("guild_id"))
    if guild is None:
        raise Refused(10004)
    if not guild.has_bot:
        raise Refused(50001)
    return Answer(200, payloads.guild(guild))


MESSAGES = "/channels/{channel_id}/messages"
ROUTES = (
    Route("GET", "/users/@me", get_me),
    Route("POST", "/users/@me/channels", open_dm),
    Route("GET", "/users/{user_id}", get_user),
    Route("DELETE", "/users/@me/guilds/{guild_id}", leave_guild),
    Route("GET", "/guilds/{guild_id}", get_guild),
    Route("GET", "/channels/{channel_id}", get_channel),
    Route("POST", "/channels/{channel_id}/typing", typing),
    Route("POST", MESSAGES, create),
    Route("GET", MESSAGES, get_messages),
    Route("GET", f"{MESSAGES}/{{message_id}}", get_message),
    Route("PATCH", f"{MESSAGES}/{{message_id}}", patch_message),
    Route("DELETE", f"{MESSAGES}/{{message_id}}", delete_message),
)
