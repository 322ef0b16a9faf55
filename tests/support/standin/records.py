"""What a test gets to see: frozen snapshots, no behaviour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

# Bits of a message's `flags`.
SUPPRESS_EMBEDS = 1 << 2
EPHEMERAL = 1 << 6
LOADING = 1 << 7
SUPPRESS_NOTIFICATIONS = 1 << 12
COMPONENTS_V2 = 1 << 15


def walk(components: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Every component, with those inside rows, sections, containers and labels, in order."""
    for component in components:
        yield component
        yield from walk(component.get("components") or ())
        yield from walk([component[key] for key in ("accessory", "component") if component.get(key)])


@dataclass(frozen=True, slots=True)
class Button:
    label: str
    emoji: str
    custom_id: str | None
    #: 1 primary, 2 secondary, 3 success, 4 danger, 5 link.
    style: int
    disabled: bool
    url: str | None


@dataclass(frozen=True, slots=True)
class SeenAttachment:
    id: int
    filename: str
    #: Alt text.
    description: str | None
    content_type: str
    size: int
    url: str
    data: bytes = field(repr=False)
    spoiler: bool = False


@dataclass(frozen=True, slots=True)
class SeenMessage:
    """One state of a message, as somebody who may read it sees it."""

    id: int
    channel_id: int
    author_id: int
    content: str
    embeds: tuple[Json, ...]
    components: tuple[Json, ...]
    attachments: tuple[SeenAttachment, ...]
    flags: int
    nonce: str | int | None
    #: 0 for the first state, 1 after the first edit …
    state: int
    #: Clock time of this state.
    at: float
    edited: bool
    deleted: bool
    #: User ids that were really pinged, and roles; "everyone" is 0.
    mentions: tuple[int, ...] = ()
    #: Who alone can see it, if it is ephemeral.
    viewer_id: int | None = None
    reference: int | None = None

    @property
    def ephemeral(self) -> bool:
        return bool(self.flags & EPHEMERAL)

    @property
    def thinking(self) -> bool:
        """Whether it still shows "Daguerre is thinking…"."""
        return bool(self.flags & LOADING)

    @property
    def text(self) -> str:
        """Everything there is to read: content, embeds, text displays."""
        parts: list[str | None] = [self.content]
        for embed in self.embeds:
            parts += [embed.get("title"), embed.get("description"), (embed.get("author") or {}).get("name")]
            for row in embed.get("fields", ()):
                parts += [row["name"], row["value"]]
            parts.append((embed.get("footer") or {}).get("text"))
        parts += [part.get("content") for part in walk(self.components) if part["type"] == 10]
        return "\n".join(part for part in parts if part)

    @property
    def buttons(self) -> tuple[Button, ...]:
        return tuple(
            Button(
                label=part.get("label") or "",
                emoji=(part.get("emoji") or {}).get("name") or "",
                custom_id=part.get("custom_id"),
                style=part["style"],
                disabled=bool(part.get("disabled")),
                url=part.get("url"),
            )
            for part in walk(self.components)
            if part["type"] == 2
        )

    def button(self, label: str) -> Button:
        """The button with this label, emoji or custom_id.

        Raises:
            LookupError: names the buttons that are there.
        """
        for button in self.buttons:
            if label in (button.label, button.emoji, button.custom_id):
                return button
        raise LookupError(f"no button {label!r}; there are {[b.label or b.emoji for b in self.buttons]}")


@dataclass(frozen=True, slots=True)
class Ack:
    """The bot's first answer to an interaction."""

    #: 4 message, 5 deferred message, 6 deferred update, 7 update, 8 autocomplete, 9 modal.
    type: int
    ephemeral: bool
    #: Seconds since the interaction was sent, by the stand-in's clock.
    after: float


@dataclass(frozen=True, slots=True)
class Choice:
    name: str
    value: str | int | float


@dataclass(frozen=True, slots=True)
class Input:
    """One field of a modal: a text input, a select or a file upload."""

    custom_id: str
    label: str
    #: The component's type number: 4 is a text input.
    type: int
    value: str
    required: bool
    component: Json = field(repr=False)


@dataclass(frozen=True, slots=True)
class Modal:
    custom_id: str
    title: str
    inputs: tuple[Input, ...]


@dataclass(frozen=True, slots=True)
class SentFile:
    """One file of a multipart request."""

    filename: str
    content_type: str
    data: bytes = field(repr=False)


@dataclass(slots=True)
class Request:
    """One request the bot made, and the status it got (0 while none was sent, or the connection was cut)."""

    method: str
    #: Below the API's base: `/channels/123/messages`.
    path: str
    #: The template of Discord's OpenAPI: `/channels/{channel_id}/messages`; empty for an unknown route.
    route: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    at: float
    #: The parsed JSON (of `payload_json` where it was multipart).
    body: Any = None
    #: By number: `files[0]` is `files[0]`.
    files: dict[int, SentFile] = field(default_factory=dict[int, SentFile])
    status: int = 0
    #: What was answered.
    answer: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that real Discord would refuse, misread or ignore, or that the stand-in itself got wrong."""

    #: "request" or "response" (against the OpenAPI), "rule" (written by hand), "gateway", "standin" (its own fault).
    where: str
    route: str
    problem: str


class ClientRefused(Exception):
    """Discord's own client would not let the member do this."""
