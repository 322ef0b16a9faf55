"""What a request makes of a message: created or edited, with Discord's rules applied in between."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import Refused
from .messages import ORDINARY, Attachment, Message, clean_filename, store_file
from .records import COMPONENTS_V2, EPHEMERAL, LOADING, Json, SentFile
from .rules import attachment_problems, flag_problems, message_problems
from .world import Channel, Thread, User, World

#: Flags that an edit may switch on; V2 can never be switched off.
EDITABLE_FLAGS = COMPONENTS_V2 | (1 << 2)


@dataclass(frozen=True, slots=True)
class Sent:
    """JSON and files of one request."""

    body: Mapping[str, Any]
    files: Mapping[int, SentFile]


def create_message(
    world: World,
    channel: Channel,
    author: User,
    sent: Sent,
    *,
    kind: int = ORDINARY,
    viewer: User | None = None,
    interaction: Json | None = None,
    extra_flags: int = 0,
) -> Message:
    """A new message, published.

    Raises:
        Refused: 50035, 50006, 40005.
    """
    flags = sent.body.get("flags") or 0
    if problems := flag_problems(flags, interaction=interaction is not None):
        raise Refused(50035, errors=problems)
    number = world.ids.next()
    message = Message(world, number, channel, author, world.clock.now(), type=kind, flags=flags | extra_flags)
    message.viewer = viewer
    message.interaction = interaction
    message.nonce = sent.body.get("nonce")
    reference = (sent.body.get("message_reference") or {}).get("message_id")
    message.reference = int(reference) if reference else None
    _apply(message, sent)
    message.publish()
    return message


def edit_message(message: Message, sent: Sent, *, by_author: bool = True) -> Message:
    """Change a message and publish its next state. A message that was still "thinking" stops doing so.

    Raises:
        Refused: 50035, 50006, 40005, 50083.
    """
    channel = message.channel
    if isinstance(channel, Thread) and channel.archived and not message.flags & EPHEMERAL:
        raise Refused(50083)
    before = message.flags
    filled = message.thinking
    message.flags = (before & ~LOADING) | ((sent.body.get("flags") or 0) & EDITABLE_FLAGS)
    try:
        _apply(message, sent)
    except Refused:
        message.flags = before
        raise
    if not filled and by_author:
        message.edited = message.world.clock.now()
    message.publish()
    return message


def _apply(message: Message, sent: Sent) -> None:
    """Check everything first, then change: a refused request leaves no trace."""
    world, body = message.world, sent.body
    _check_sizes(world, message.channel, sent)
    listed: Sequence[Mapping[str, Any]] | None = body.get("attachments")
    if listed is None and "attachments" in body:
        listed = []
    present = {each.id: each for each in message.attachments}
    abouts = {int(each["id"]): each for each in listed or ()}
    kept = [each for each in message.attachments if listed is None or each.id in abouts]
    problems = attachment_problems(listed, sent.files.keys(), present.keys())
    names = {each.filename for each in kept}
    for number, file in sent.files.items():
        name = abouts.get(number, {}).get("filename") or file.filename
        names |= {name, clean_filename(name)}
    content = (body["content"] or "") if "content" in body else message.content
    embeds = list(body["embeds"] or []) if "embeds" in body else message.embeds
    components = list(body["components"] or []) if "components" in body else message.components
    view: Json = {"content": content, "allowed_mentions": body.get("allowed_mentions")}
    view |= {"embeds": body.get("embeds"), "components": body.get("components")}
    problems |= message_problems(view, flags=message.flags, filenames=names)
    if message.flags & COMPONENTS_V2 and embeds and "embeds" not in body:
        problems["embeds"] = "The 'embeds' field cannot be used when using MessageFlags.IS_COMPONENTS_V2"
    if problems:
        raise Refused(50035, errors=problems)
    if not (content.strip() or embeds or components or kept or sent.files or body.get("poll")):
        raise Refused(50006)

    for attachment in set(message.attachments) - set(kept):
        world.attachments.pop(attachment.id, None)
    for attachment in kept:
        if "description" in abouts.get(attachment.id, {}):
            attachment.description = abouts[attachment.id]["description"]
    message.attachments = kept + _store(message, sent, abouts)
    message.content, message.embeds, message.components = content.strip(), embeds, components
    _blame_hidden(message)
    _ping(message, body.get("allowed_mentions"))


def _blame_hidden(message: Message) -> None:
    """A V2 message shows only those attachments that a component names; Discord takes the others and hides them."""
    named = json.dumps(message.components)
    for attachment in message.attachments if message.flags & COMPONENTS_V2 else ():
        if f"attachment://{attachment.filename}" not in named and f"/{attachment.id}/" not in named:
            message.world.blame("rule", "Components V2", f"no component shows the attachment {attachment.filename}")


def _store(message: Message, sent: Sent, abouts: Mapping[int, Mapping[str, Any]]) -> list[Attachment]:
    ephemeral = bool(message.flags & EPHEMERAL)
    return [
        store_file(message.world, message.channel, file, about=abouts.get(number, {}), ephemeral=ephemeral)
        for number, file in sorted(sent.files.items())
    ]


def _check_sizes(world: World, channel: Channel, sent: Sent) -> None:
    limit = world.limit_in(channel)
    if any(len(file.data) > limit for file in sent.files.values()):
        raise Refused(40005)
    if len(sent.files) > 10:
        raise Refused(50035, errors={"attachments": "Must be 10 or fewer in length."})


def _ping(message: Message, allowed: Mapping[str, Any] | None) -> None:
    """Whom the content's mentions really reach, given `allowed_mentions` (absent = all)."""
    users = {int(each) for each in re.findall(r"<@!?(\d+)>", message.content)}
    roles = {int(each) for each in re.findall(r"<@&(\d+)>", message.content)}
    everyone = re.search(r"@(everyone|here)\b", message.content) is not None
    if allowed is not None:
        parse = allowed.get("parse") or ()
        users = users if "users" in parse else users & {int(each) for each in allowed.get("users") or ()}
        roles = roles if "roles" in parse else roles & {int(each) for each in allowed.get("roles") or ()}
        everyone = everyone and "everyone" in parse
    message.mentions, message.mention_roles = tuple(sorted(users)), tuple(sorted(roles))
    message.mention_everyone = everyone
