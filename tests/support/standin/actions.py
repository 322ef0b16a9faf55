"""What Discord's own client does before a bot hears of it: finds the command, checks options, builds the data.

Raises `ClientRefused` where the client would not let the member send it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import payloads
from .interactions import Interaction
from .messages import Message, store_file
from .permissions import allows
from .records import ClientRefused, Input, Json, SentFile, walk
from .tracks import InteractionRecord
from .world import Channel, Member, Upload, User, World

SUBCOMMAND, GROUP, STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, MENTIONABLE, NUMBER, ATTACHMENT = range(1, 12)
#: Python types of an option's value.
TYPES: Mapping[int, tuple[type, ...]] = {
    STRING: (str,),
    INTEGER: (int,),
    BOOLEAN: (bool,),
    USER: (Member, User),
    CHANNEL: (Channel,),
    MENTIONABLE: (Member, User),
    NUMBER: (int, float),
    ATTACHMENT: (Upload,),
}
SLASH, USER_MENU, MESSAGE_MENU = 1, 2, 3
#: Component of a modal.
FILE_UPLOAD = 19


@dataclass(frozen=True, slots=True)
class Typed:
    """What a member typed: option values by name, and the one that is being completed, if one is."""

    values: Mapping[str, Any]
    focused: str | None = None
    #: Whether the client's own checks are made.
    checked: bool = True


def find_command(world: World, channel: Channel, member: Member | None, name: str, kind: int, *, checked: bool) -> Json:
    """The registered command, the server's own before the global one."""
    guild = channel.guild
    scopes = [guild.id if guild else None, None]
    found = next(
        (each for scope in scopes for each in world.commands.get(scope, {}).values()
         if each["type"] == kind and each["name"] == name),
        None,
    )  # fmt: skip
    if found is None:
        known = sorted(each["name"] for scope in world.commands.values() for each in scope.values())
        raise ClientRefused(f"no command {name!r} of type {kind} is registered; there are {known}")
    if not checked:
        return found
    contexts = found.get("contexts")
    here = 0 if guild else 1
    if contexts is not None and here not in contexts:
        raise ClientRefused(f"/{name} is not offered in {'a server' if guild else 'a direct message'}")
    if guild and not guild.has_bot and 1 not in found.get("integration_types", [0]):
        raise ClientRefused(f"/{name} cannot be installed by a user, and the bot is not in {guild.name}")
    needed = found["default_member_permissions"]
    if member is not None and needed is not None and not allows(member.permissions(channel), int(needed) or -1):
        raise ClientRefused(f"/{name} is hidden from {member.name}: it needs the permissions {needed}")
    return dict(found)


def command_data(world: World, channel: Channel, command: Json, path: Sequence[str], typed: Typed) -> Json:
    """`data` of a slash command or autocomplete; `path` names sub-command group and sub-command."""
    data: Json = {"id": command["id"], "name": command["name"], "type": SLASH}
    if "guild_id" in command:
        data["guild_id"] = command["guild_id"]
    described: list[Json] = command.get("options", [])
    place: Json = data
    for name in path:
        inner = next((each for each in described if each["name"] == name and each["type"] in (SUBCOMMAND, GROUP)), None)
        if inner is None:
            raise ClientRefused(f"/{command['name']} has no sub-command {name!r}")
        below: Json = {"name": name, "type": inner["type"]}
        place["options"] = [below]
        place, described = below, inner.get("options", [])
    if any(each["type"] in (SUBCOMMAND, GROUP) for each in described):
        raise ClientRefused(f"/{command['name']} needs one of {[each['name'] for each in described]}")
    resolved: Json = {}
    place["options"] = _options(world, channel, described, typed, resolved)
    if resolved:
        data["resolved"] = resolved
    return data


def _options(world: World, channel: Channel, described: Sequence[Json], typed: Typed, resolved: Json) -> list[Json]:
    unknown = set(typed.values) - {each["name"] for each in described}
    if unknown:
        raise ClientRefused(f"no option {sorted(unknown)}; there are {[each['name'] for each in described]}")
    found: list[Json] = []
    for option in described:
        name = option["name"]
        if name not in typed.values:
            if option.get("required") and typed.checked and typed.focused is None:
                raise ClientRefused(f"option {name!r} is required")
            continue
        value = typed.values[name]
        if typed.checked and name != typed.focused:
            _check_value(option, value)
        entry: Json = {
            "name": name,
            "type": option["type"],
            "value": _sent_value(world, channel, option, value, resolved),
        }
        if name == typed.focused:
            entry["focused"] = True
        found.append(entry)
    return found


def _check_value(option: Json, value: Any) -> None:
    name, kind = option["name"], option["type"]
    fitting = isinstance(value, TYPES[kind]) and (kind == BOOLEAN or not isinstance(value, bool))
    if not fitting:
        raise ClientRefused(f"option {name!r} of type {kind} cannot be {type(value).__name__}")
    choices = [choice["value"] for choice in option.get("choices", ())]
    if choices and value not in choices:
        raise ClientRefused(f"option {name!r} is one of {choices}, not {value!r}")
    if kind in (INTEGER, NUMBER):
        if not option.get("min_value", value) <= value <= option.get("max_value", value):
            raise ClientRefused(f"option {name!r}: {value} is not in the range that the command allows")
        if abs(value) > 2**53:
            raise ClientRefused(f"option {name!r}: {value} is beyond 2**53")
    if kind == STRING:
        length = len(str(value))
        if not option.get("min_length", 0) <= length <= option.get("max_length", 6_000):
            raise ClientRefused(f"option {name!r}: {length} characters are too few or too many")
        if length == 0:
            raise ClientRefused(f"option {name!r} is empty")


def _sent_value(world: World, channel: Channel, option: Json, value: Any, resolved: Json) -> Any:
    """Value as the wire has it; what it refers to goes to `resolved`."""
    kind = option["type"]
    if isinstance(value, (Member, User)):
        user = value.user if isinstance(value, Member) else value
        resolve(resolved, "users", user.id, payloads.user(user))
        if isinstance(value, Member):
            about = payloads.member(value) | {"permissions": str(value.permissions(channel))}
            resolve(resolved, "members", user.id, about)
        return str(user.id)
    if isinstance(value, Channel):
        resolve(resolved, "channels", value.id, payloads.partial_channel(value, value.bot_permissions))
        return str(value.id)
    if isinstance(value, Upload):
        sent = SentFile(value.filename, value.content_type, value.data)
        stored = store_file(world, channel, sent, about={}, ephemeral=True)
        resolve(resolved, "attachments", stored.id, stored.json(world))
        return str(stored.id)
    return float(value) if kind == NUMBER else value


def resolve(resolved: Json, kind: str, number: int, about: Json) -> None:
    resolved.setdefault(kind, {})[str(number)] = about


def menu_data(world: World, channel: Channel, command: Json, target: Message | Member) -> Json:
    """`data` of a context-menu command."""
    resolved: Json = {}
    if isinstance(target, Member):
        _sent_value(world, channel, {"type": USER}, target, resolved)
        number = target.id
    else:
        resolve(resolved, "messages", target.id, target.json())
        number = target.id
    return {
        "id": command["id"],
        "name": command["name"],
        "type": command["type"],
        "target_id": str(number),
        "resolved": resolved,
    }


def find_component(message: Message, viewer: User, name: str, kinds: Sequence[int]) -> Json:
    """The button or select with this label, emoji or custom_id, if `viewer` can use it."""
    if message.deleted:
        raise ClientRefused("the message is gone")
    if message.viewer is not None and message.viewer is not viewer:
        raise ClientRefused(f"the message is ephemeral: {viewer.name} does not see it")
    parts = [part for part in walk(message.json()["components"]) if part["type"] in kinds]
    for part in parts:
        if name in (part.get("custom_id"), part.get("label"), (part.get("emoji") or {}).get("name")):
            if part.get("disabled"):
                raise ClientRefused(f"{name!r} is disabled")
            if "custom_id" not in part:
                raise ClientRefused(f"{name!r} is a link")
            return dict(part)
    there = [part.get("label") or part.get("custom_id") or part.get("emoji") for part in parts]
    raise ClientRefused(f"no component {name!r}; there are {there}")


def select_data(part: Json, values: Sequence[str]) -> Json:
    least, most = part.get("min_values", 1), part.get("max_values", 1)
    if not least <= len(values) <= most:
        raise ClientRefused(f"{least} to {most} values can be chosen, not {len(values)}")
    offered = [option["value"] for option in part.get("options", ())]
    if part["type"] == 3 and not set(values) <= set(offered):
        raise ClientRefused(f"{values} are not among {offered}")
    return {"component_type": part["type"], "custom_id": part["custom_id"], "id": part["id"], "values": list(values)}


def modal_data(opener: Interaction, values: Mapping[str, str | Sequence[str | Upload]], *, checked: bool) -> Json:
    """`data` of a submitted modal: each input gets what was typed, or keeps what was filled in."""
    modal = opener.modal
    if modal is None:
        raise ClientRefused("this interaction has opened no modal")
    left = dict(values)
    rows: list[Json] = []
    resolved: Json = {}
    for number, field in enumerate(modal.inputs, start=1):
        given = left.pop(field.custom_id, left.pop(field.label, field.value))
        if checked:
            _check_input(field, given)
        part: Json = {"type": field.type, "custom_id": field.custom_id, "id": 100 + number}
        if field.type == FILE_UPLOAD:
            given = [_uploaded(opener, each, resolved) for each in given if isinstance(each, Upload)]
        part |= {"value": given} if field.type == 4 else {"values": list(given)}
        if field.component["type"] == 18:
            rows.append({"type": 18, "id": number, "component": part})
        else:
            rows.append({"type": 1, "id": number, "components": [part]})
    if left:
        raise ClientRefused(f"no input {sorted(left)}; there are {[field.label for field in modal.inputs]}")
    return {"custom_id": modal.custom_id, "components": rows} | ({"resolved": resolved} if resolved else {})


def _uploaded(opener: Interaction, upload: Upload, resolved: Json) -> str:
    """Put what a member uploads in a modal onto the CDN; gives its id."""
    sent = SentFile(upload.filename, upload.content_type, upload.data)
    stored = store_file(opener.world, opener.channel, sent, about={}, ephemeral=True)
    resolve(resolved, "attachments", stored.id, stored.json(opener.world))
    return str(stored.id)


def _check_input(field: Input, given: str | Sequence[str | Upload]) -> None:
    if not given:
        if field.required:
            raise ClientRefused(f"input {field.label!r} is required")
        return
    part = field.component.get("component") or field.component["components"][0]
    if field.type == 4 and not (part.get("min_length") or 0) <= len(given) <= (part.get("max_length") or 4_000):
        raise ClientRefused(f"input {field.label!r}: {len(given)} characters are too few or too many")


def opener_of(thing: InteractionRecord | Interaction) -> Interaction:
    return thing.interaction if isinstance(thing, InteractionRecord) else thing
