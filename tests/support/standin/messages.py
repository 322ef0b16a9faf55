"""Messages and their attachments, with every state they have had."""

from __future__ import annotations

import hashlib
import io
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, UnidentifiedImageError

from . import payloads
from .clock import iso
from .records import EPHEMERAL, LOADING, Json, SeenAttachment, SeenMessage, SentFile
from .world import DIRECT_MESSAGES, GUILD_MESSAGES, Channel, User, World

#: A CDN address is good for a day.
CDN_SECONDS = 24 * 3600
#: Types of messages: 0 ordinary, 19 reply, 20 answer to a slash command, 23 to a context-menu command.
ORDINARY, REPLY, SLASH_ANSWER, MENU_ANSWER = 0, 19, 20, 23


@dataclass(eq=False, slots=True)
class Attachment:
    """A stored file. It belongs to one message, and is gone from the CDN when that message drops it."""

    id: int
    channel_id: int
    filename: str
    content_type: str
    data: bytes = field(repr=False)
    description: str | None = None
    ephemeral: bool = False
    #: Pixels; None where it is no picture.
    size: tuple[int, int] | None = None

    @property
    def spoiler(self) -> bool:
        return self.filename.startswith("SPOILER_")

    def url(self, world: World) -> str:
        """Signed and dated, as Discord's are: it expires a day after it was written."""
        path = f"attachments/{self.channel_id}/{self.id}/{self.filename}"
        now = int(world.clock.now())
        expires = f"{now + CDN_SECONDS:x}"
        return f"{world.base_url}/cdn/{path}?ex={expires}&is={now:x}&hm={sign(path, expires)}&"

    def json(self, world: World) -> Json:
        url = self.url(world)
        whole: Json = {
            "id": str(self.id),
            "filename": self.filename,
            "size": len(self.data),
            "url": url,
            "proxy_url": url,
            "content_type": self.content_type,
        }
        if self.size is not None:
            whole |= {"width": self.size[0], "height": self.size[1], "placeholder": "", "placeholder_version": 1}
        if self.description is not None:
            whole["description"] = self.description
        if self.ephemeral:
            whole["ephemeral"] = True
        return whole


def sign(path: str, expires: str) -> str:
    return hashlib.sha256(f"{path} {expires} stand-in".encode()).hexdigest()


def clean_filename(given: str) -> str:
    """The name that Discord makes of the one it was given."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", given).strip("_") or "unknown"


def store_file(
    world: World, channel: Channel, sent: SentFile, *, about: Mapping[str, Any], ephemeral: bool
) -> Attachment:
    """Put a file onto the CDN."""
    filename = clean_filename(about.get("filename") or sent.filename)
    if about.get("is_spoiler") and not filename.startswith("SPOILER_"):
        filename = f"SPOILER_{filename}"
    guessed = mimetypes.guess_type(filename)[0]
    try:
        with Image.open(io.BytesIO(sent.data)) as picture:
            size: tuple[int, int] | None = picture.size
    except (UnidentifiedImageError, OSError):
        size = None
    stored = Attachment(
        id=world.ids.next(),
        channel_id=channel.id,
        filename=filename,
        content_type=guessed or sent.content_type,
        data=sent.data,
        description=about.get("description"),
        ephemeral=ephemeral,
        size=size,
    )
    world.attachments[stored.id] = stored
    return stored


@dataclass(eq=False, slots=True)
class Message:
    """A message as it is now; `states` has what it was."""

    world: World
    id: int
    channel: Channel
    author: User
    created: float
    type: int = ORDINARY
    content: str = ""
    embeds: list[Json] = field(default_factory=list[Json])
    components: list[Json] = field(default_factory=list[Json])
    attachments: list[Attachment] = field(default_factory=list[Attachment])
    flags: int = 0
    nonce: str | int | None = None
    mentions: tuple[int, ...] = ()
    mention_roles: tuple[int, ...] = ()
    mention_everyone: bool = False
    #: The only one who sees it, if it is ephemeral.
    viewer: User | None = None
    #: `interaction_metadata`, if it answers an interaction.
    interaction: Json | None = None
    reference: int | None = None
    edited: float | None = None
    deleted: bool = False
    states: list[SeenMessage] = field(default_factory=list[SeenMessage])

    @property
    def thinking(self) -> bool:
        return bool(self.flags & LOADING)

    def publish(self) -> None:
        """Make the present state the one that is seen, and announce it."""
        first = not self.states
        self.states.append(self._seen())
        if first:
            self.channel.messages.append(self)
            self.world.messages[self.id] = self
        if not self.flags & EPHEMERAL:
            if first:
                self.channel.wake()
            self._announce("MESSAGE_CREATE" if first else "MESSAGE_UPDATE", self.json() | self._place())
        self.world.changes.notify()

    def remove(self) -> None:
        self.deleted = True
        self.states.append(self._seen())
        for attachment in self.attachments:
            self.world.attachments.pop(attachment.id, None)
        self.channel.messages.remove(self)
        if not self.flags & EPHEMERAL:
            self._announce("MESSAGE_DELETE", {"id": str(self.id), "channel_id": str(self.channel.id)} | self._place())
        self.world.changes.notify()

    def _place(self) -> Json:
        return {"guild_id": str(self.channel.guild.id)} if self.channel.guild else {}

    def _announce(self, event: str, payload: Json) -> None:
        guild = self.channel.guild
        self.world.announce(event, payload, GUILD_MESSAGES if guild else DIRECT_MESSAGES, guild)

    def _seen(self) -> SeenMessage:
        return SeenMessage(
            id=self.id,
            channel_id=self.channel.id,
            author_id=self.author.id,
            content=self.content,
            embeds=tuple(dict(embed) for embed in self.embeds),
            components=tuple(dict(component) for component in self.components),
            attachments=tuple(
                SeenAttachment(
                    each.id,
                    each.filename,
                    each.description,
                    each.content_type,
                    len(each.data),
                    each.url(self.world),
                    each.data,
                    each.spoiler,
                )
                for each in self.attachments
            ),
            flags=self.flags,
            nonce=self.nonce,
            state=len(self.states),
            at=self.world.clock.now(),
            edited=self.edited is not None,
            deleted=self.deleted,
            mentions=self.mentions + self.mention_roles + ((0,) if self.mention_everyone else ()),
            viewer_id=self.viewer.id if self.viewer else None,
            reference=self.reference,
        )

    def json(self) -> Json:
        """As REST gives it: fresh CDN addresses, `attachment://` names resolved."""
        world = self.world
        from .answers import answered_components, answered_embed

        whole: Json = {
            "id": str(self.id),
            "type": self.type,
            "channel_id": str(self.channel.id),
            "author": payloads.user(self.author),
            "content": self.content,
            "timestamp": iso(self.created),
            "edited_timestamp": iso(self.edited) if self.edited is not None else None,
            "tts": False,
            "mention_everyone": self.mention_everyone,
            "mentions": [payloads.user(world.users[each]) for each in self.mentions if each in world.users],
            "mention_roles": [str(each) for each in self.mention_roles],
            "attachments": [each.json(world) for each in self._listed()],
            "embeds": [answered_embed(embed, self) for embed in self.embeds],
            "components": answered_components(self.components, self),
            "pinned": False,
            "flags": self.flags,
        }
        if self.nonce is not None:
            whole["nonce"] = self.nonce
        if self.interaction is not None:
            whole |= {
                "interaction_metadata": self.interaction,
                "webhook_id": str(world.application_id),
                "application_id": str(world.application_id),
            }
        if self.reference is not None:
            whole["message_reference"] = {
                "type": 0,
                "channel_id": str(self.channel.id),
                "message_id": str(self.reference),
                **self._place(),
            }
        return whole

    def _listed(self) -> list[Attachment]:
        """Attachments shown by an embed are not listed again."""
        in_embeds = {(embed.get(key) or {}).get("url") for embed in self.embeds for key in ("image", "thumbnail")}
        return [each for each in self.attachments if f"attachment://{each.filename}" not in in_embeds]

    def media_url(self, url: str) -> tuple[str, Attachment | None]:
        """What an address in an embed or component becomes, and the attachment it names."""
        if url.startswith("attachment://"):
            filename = clean_filename(url.removeprefix("attachment://"))
            for attachment in self.attachments:
                if attachment.filename == filename:
                    return attachment.url(self.world), attachment
        return url, None
