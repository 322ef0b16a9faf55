"""Users, servers, channels, members and the application as Discord writes them in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from .clock import iso
from .permissions import BITS, BOT_ROLE, ORDINARY, bits
from .records import Json

if TYPE_CHECKING:
    from .world import Channel, Guild, Member, Thread, User, World


def user(someone: User) -> Json:
    return {
        "id": str(someone.id),
        "username": someone.name.lower().replace(" ", "_"),
        "global_name": None if someone.bot else someone.name,
        "discriminator": "0000" if someone.bot else "0",
        "avatar": None,
        "banner": None,
        "accent_color": None,
        "avatar_decoration_data": None,
        "collectibles": None,
        "primary_guild": None,
        "public_flags": 0,
        "flags": 0,
        **({"bot": True} if someone.bot else {}),
    }


def me(world: World) -> Json:
    return user(world.bot) | {"mfa_enabled": False, "locale": "en-US", "verified": True, "email": None}


def application(world: World) -> Json:
    return {
        "id": str(world.application_id),
        "name": world.name,
        "icon": None,
        "description": "",
        "type": None,
        "bot": user(world.bot),
        "bot_public": True,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "flags": 0,
        "flags_new": "0",
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "owner": user(world.owner),
        "approximate_guild_count": sum(guild.has_bot for guild in world.guilds.values()),
        "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0,
        "explicit_content_filter": 0,
        "team": None,
        "eligible_oauth2_scopes": ["bot", "applications.commands"],
        "integration_types_config": {"0": {}, "1": {}},
    }


def role(number: int, name: str, permissions: int, *, tags: Json | None = None) -> Json:
    return {
        "id": str(number),
        "name": name,
        "permissions": str(permissions),
        "position": 0 if tags is None else 1,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "managed": tags is not None,
        "mentionable": False,
        "icon": None,
        "unicode_emoji": None,
        "flags": 0,
        **({"tags": tags} if tags is not None else {}),
    }


def roles(guild: Guild) -> list[Json]:
    everyone = role(guild.id, "@everyone", ORDINARY)
    if not guild.has_bot:
        return [everyone]
    return [everyone, role(guild.bot_role_id, guild.world.name, BOT_ROLE, tags={"bot_id": str(guild.world.bot.id)})]


def member(someone: Member) -> Json:
    """Without `user`: as it lies under `resolved` and beside a `user` elsewhere."""
    return {
        "nick": None,
        "avatar": None,
        "banner": None,
        "roles": [str(someone.guild.bot_role_id)] if someone.user.bot else [],
        "joined_at": iso(someone.joined),
        "premium_since": None,
        "communication_disabled_until": None,
        "pending": False,
        "flags": 0,
    }


def channel(some: Channel) -> Json:
    if some.recipient is not None:
        return {
            "id": str(some.id),
            "type": 1,
            "last_message_id": None,
            "flags": 0,
            "recipients": [user(some.recipient)],
        }
    assert some.guild is not None
    if some.kind in (11, 12):
        return thread(cast("Thread", some))
    overwrites: list[Json] = []
    if some.bot_lacks:
        deny = str(bits(some.bot_lacks))
        overwrites.append({"id": str(some.world.bot.id), "type": 1, "allow": "0", "deny": deny})
    return {
        "id": str(some.id),
        "type": some.kind,
        "guild_id": str(some.guild.id),
        "name": some.name,
        "topic": None,
        "position": 0,
        "parent_id": None,
        "nsfw": some.nsfw,
        "rate_limit_per_user": 0,
        "last_message_id": None,
        "flags": 0,
        "permission_overwrites": overwrites,
        **(_FORUM if some.kind == 15 else {}),
    }


_FORUM: Json = {
    "available_tags": [],
    "default_reaction_emoji": None,
    "default_sort_order": None,
    "default_forum_layout": 0,
    "default_thread_rate_limit_per_user": 0,
}


def thread(some: Thread) -> Json:
    """A thread or a forum's post. It has no permissions of its own."""
    assert some.guild is not None
    metadata: Json = {
        "archived": some.archived,
        "locked": some.locked,
        "auto_archive_duration": 4320,
        "archive_timestamp": iso(some.created),
        "create_timestamp": iso(some.created),
    }
    if some.kind == 12:
        metadata["invitable"] = True
    return {
        "id": str(some.id),
        "type": some.kind,
        "guild_id": str(some.guild.id),
        "parent_id": str(some.parent.id),
        "owner_id": str(some.guild.owner.id),
        "name": some.name,
        "rate_limit_per_user": 0,
        "last_message_id": None,
        "flags": 0,
        "message_count": len(some.messages),
        "total_message_sent": len(some.messages),
        "member_count": 1,
        "thread_metadata": metadata,
    }


def guild(some: Guild) -> Json:
    """As REST gives it."""
    return {
        "id": str(some.id),
        "name": some.name,
        "icon": None,
        "description": None,
        "home_header": None,
        "splash": None,
        "discovery_splash": None,
        "features": [],
        "banner": None,
        "owner_id": str(some.owner.id),
        "application_id": None,
        "region": "deprecated",
        "afk_channel_id": None,
        "afk_timeout": 300,
        "system_channel_id": None,
        "system_channel_flags": 0,
        "widget_enabled": False,
        "widget_channel_id": None,
        "verification_level": 0,
        "roles": roles(some),
        "default_message_notifications": 0,
        "mfa_level": 0,
        "explicit_content_filter": 0,
        "max_presences": None,
        "max_members": 500_000,
        "max_stage_video_channel_users": 50,
        "max_video_channel_users": 25,
        "vanity_url_code": None,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "preferred_locale": "en-US",
        "rules_channel_id": None,
        "safety_alerts_channel_id": None,
        "public_updates_channel_id": None,
        "premium_progress_bar_enabled": False,
        "nsfw": False,
        "nsfw_level": 0,
        "emojis": list(some.emojis),
        "stickers": list(some.stickers),
        "incidents_data": None,
    }


def guild_create(some: Guild) -> Json:
    """As the gateway gives it after READY, or when the bot is invited: with channels and the bot as a member."""
    own = some.members.get(some.world.bot.id)
    return guild(some) | {
        "joined_at": iso(some.created),
        "large": False,
        "unavailable": False,
        "member_count": len(some.members),
        "members": [member(own) | {"user": user(own.user), "deaf": False, "mute": False}] if own else [],
        "channels": [channel(each) for each in _there(some) if each.kind not in (11, 12)],
        "threads": [thread(cast("Thread", each)) for each in _there(some) if each.kind in (11, 12) and _open(each)],
        "presences": [],
        "voice_states": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def _there(some: Guild) -> list[Channel]:
    return [each for each in some.channels.values() if not each.deleted]


def _open(some: Channel) -> bool:
    """Whether the gateway names this thread: archived ones, and private ones of others, are left out."""
    one = cast("Thread", some)
    return one.bot_inside and not one.archived


def interaction_member(someone: Member, where: Channel) -> Json:
    return member(someone) | {
        "user": user(someone.user),
        "deaf": False,
        "mute": False,
        "permissions": str(someone.permissions(where)),
    }


def partial_channel(some: Channel, permissions: int) -> Json:
    """As INTERACTION_CREATE carries it."""
    whole: dict[str, Any] = channel(some)
    whole.pop("permission_overwrites", None)
    return whole | {"permissions": str(permissions)}


#: Bits that an application may use in an interaction's response when it is not in the server.
APP_PERMISSIONS_OUTSIDE = BITS["embed_links"] | BITS["attach_files"] | BITS["use_external_emojis"]
