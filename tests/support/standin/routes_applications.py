"""The application: who it is, its commands, where its gateway is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import payloads
from .command_rules import CHAT_INPUT, command_problems, command_set_problems
from .errors import Refused
from .records import Json
from .rest import Answer, Call, Route
from .world import World

#: New commands of one scope in a day.
CREATES_A_DAY = 200
#: Emojis of an application.
APPLICATION_EMOJIS = 2_000


def _scope(call: Call) -> dict[int, Json]:
    """The commands of the path's scope: global, or of one server.

    Raises:
        Refused: 50001, another application's, or a server in which the bot is not.
    """
    if call.number("application_id") != call.world.application_id:
        raise Refused(50001)
    if "guild_id" not in call.params:
        return call.world.commands[None]
    guild = call.world.guilds.get(call.number("guild_id"))
    if guild is None or not guild.has_bot:
        raise Refused(50001)
    return call.world.commands.setdefault(guild.id, {})


def _written(call: Call) -> None:
    call.world.command_writes += 1
    call.world.changes.notify()


def _command(world: World, given: Mapping[str, Any], guild_id: str | None, old: Mapping[str, Any] | None) -> Json:
    """A command as Discord gives it back.

    Raises:
        Refused: 30034, two hundred new ones today.
    """
    if old is None:
        world.command_creates += 1
        if world.command_creates > CREATES_A_DAY:
            raise Refused(30034)
    permissions = given.get("default_member_permissions")
    whole: Json = {
        "id": old["id"] if old else str(world.ids.next()),
        "application_id": str(world.application_id),
        "version": str(world.ids.next()),
        "type": given.get("type") or CHAT_INPUT,
        "name": given["name"],
        "name_localizations": given.get("name_localizations"),
        "description": given.get("description") or "",
        "description_localizations": given.get("description_localizations"),
        "default_member_permissions": None if permissions is None else str(permissions),
        "nsfw": bool(given.get("nsfw")),
    }
    if given.get("options"):
        whole["options"] = [_option(option) for option in given["options"]]
    if guild_id is not None:
        return whole | {"guild_id": guild_id}
    contexts = given.get("contexts")
    if contexts is None and given.get("dm_permission") is False:
        contexts = [0]
    return whole | {
        "contexts": contexts,
        "integration_types": given.get("integration_types") or [0],
        "dm_permission": contexts is None or 1 in contexts,
    }


def _option(given: Mapping[str, Any]) -> Json:
    whole = {key: value for key, value in given.items() if value is not None and value != []}
    if "options" in whole:
        whole["options"] = [_option(option) for option in whole["options"]]
    if "choices" in whole:
        whole["choices"] = [
            {key: value for key, value in each.items() if value is not None} for each in whole["choices"]
        ]
    return whole


def _named(scope: Mapping[int, Json], given: Mapping[str, Any]) -> Json | None:
    kind = given.get("type") or CHAT_INPUT
    return next((each for each in scope.values() if (each["type"], each["name"]) == (kind, given["name"])), None)


async def get_commands(call: Call) -> Answer:
    return Answer(200, list(_scope(call).values()))


async def put_commands(call: Call) -> Answer:
    """Replaces the whole set; a command of the same type and name keeps its id."""
    scope, given = _scope(call), call.body.json or []
    if problems := command_set_problems(given):
        raise Refused(50035, errors=problems)
    made = [_command(call.world, each, call.params.get("guild_id"), _named(scope, each)) for each in given]
    scope.clear()
    scope.update({int(each["id"]): each for each in made})
    _written(call)
    return Answer(200, made)


async def post_command(call: Call) -> Answer:
    scope, given = _scope(call), call.body.json
    if problems := command_problems(given):
        raise Refused(50035, errors=problems)
    old = _named(scope, given)
    made = _command(call.world, given, call.params.get("guild_id"), old)
    scope[int(made["id"])] = made
    _written(call)
    return Answer(200 if old else 201, made)


async def get_command(call: Call) -> Answer:
    command = _scope(call).get(call.number("command_id"))
    if command is None:
        raise Refused(10063)
    return Answer(200, command)


async def delete_command(call: Call) -> Answer:
    if _scope(call).pop(call.number("command_id"), None) is None:
        raise Refused(10063)
    _written(call)
    return Answer(204)


async def get_application(call: Call) -> Answer:
    return Answer(200, payloads.application(call.world))


def _gateway(call: Call) -> str:
    return call.world.base_url.replace("http", "ws", 1) + "/gateway"


async def get_gateway(call: Call) -> Answer:
    return Answer(200, {"url": _gateway(call)})


async def get_gateway_bot(call: Call) -> Answer:
    start = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
    return Answer(200, {"url": _gateway(call), "shards": 1, "session_start_limit": start})


def _own(call: Call) -> dict[int, Json]:
    """The application's own emojis. Raises: Refused, another application's."""
    if call.number("application_id") != call.world.application_id:
        raise Refused(50001)
    return call.world.application_emojis


async def get_emojis(call: Call) -> Answer:
    return Answer(200, {"items": list(_own(call).values())})


async def post_emoji(call: Call) -> Answer:
    own = _own(call)
    if len(own) >= APPLICATION_EMOJIS:
        raise Refused(30008)
    made: Json = {
        "id": str(call.world.ids.next()), "name": call.body.json["name"], "roles": [], "require_colons": True,
        "managed": False, "animated": False, "available": True, "user": payloads.user(call.world.bot),
    }  # fmt: skip
    own[int(made["id"])] = made
    return Answer(201, made)


async def patch_emoji(call: Call) -> Answer:
    emoji = _own(call).get(call.number("emoji_id"))
    if emoji is None:
        raise Refused(10014)
    emoji["name"] = call.body.json["name"]
    return Answer(200, emoji)


async def delete_emoji(call: Call) -> Answer:
    if _own(call).pop(call.number("emoji_id"), None) is None:
        raise Refused(10014)
    return Answer(204)


EMOJIS = "/applications/{application_id}/emojis"
GLOBAL, SERVER = "/applications/{application_id}/commands", "/applications/{application_id}/guilds/{guild_id}/commands"
ROUTES = (
    Route("GET", "/oauth2/applications/@me", get_application),
    Route("GET", "/applications/@me", get_application),
    Route("GET", EMOJIS, get_emojis),
    Route("POST", EMOJIS, post_emoji),
    Route("PATCH", f"{EMOJIS}/{{emoji_id}}", patch_emoji),
    Route("DELETE", f"{EMOJIS}/{{emoji_id}}", delete_emoji),
    Route("GET", "/gateway", get_gateway, bot=False),
    Route("GET", "/gateway/bot", get_gateway_bot),
    *(
        Route(method, template, handler)
        for scope in (GLOBAL, SERVER)
        for method, template, handler in (
            ("GET", scope, get_commands),
            ("PUT", scope, put_commands),
            ("POST", scope, post_command),
            ("GET", f"{scope}/{{command_id}}", get_command),
            ("DELETE", f"{scope}/{{command_id}}", delete_command),
        )
    ),
)
