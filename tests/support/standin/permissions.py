"""Discord's permission bits by name."""

from __future__ import annotations

from collections.abc import Iterable

_NAMES = """
create_instant_invite kick_members ban_members administrator manage_channels manage_guild add_reactions
view_audit_log priority_speaker stream view_channel send_messages send_tts_messages manage_messages
embed_links attach_files read_message_history mention_everyone use_external_emojis view_guild_insights connect
speak mute_members deafen_members move_members use_voice_activation change_nickname manage_nicknames
manage_roles manage_webhooks manage_expressions use_application_commands request_to_speak manage_events
manage_threads create_public_threads create_private_threads use_external_stickers send_messages_in_threads
use_embedded_activities moderate_members
"""

BITS = {name: 1 << place for place, name in enumerate(_NAMES.split())}
ALL = sum(BITS.values())


def bits(names: Iterable[str]) -> int:
    """The sum of the named permissions; KeyError names one that does not exist."""
    return sum(BITS[name] for name in set(names))


#: What @everyone may do in an ordinary server.
ORDINARY = bits(
    {
        "view_channel",
        "send_messages",
        "send_messages_in_threads",
        "create_public_threads",
        "embed_links",
        "attach_files",
        "add_reactions",
        "read_message_history",
        "use_external_emojis",
        "use_application_commands",
        "change_nickname",
        "connect",
        "speak",
        "use_voice_activation",
    }
)
#: What the bot's own role adds: nothing that its invitation would not ask for.
BOT_ROLE = bits(
    ["view_channel", "send_messages", "send_messages_in_threads", "embed_links", "attach_files", "read_message_history"]
)


def allows(permissions: int, needed: int) -> bool:
    return bool(permissions & BITS["administrator"]) or permissions & needed == needed
