"""One interaction: what a member did, and what the bot answered. The server's side; the test's side is tracks.py."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import payloads
from .drafts import Sent, create_message, edit_message
from .errors import Refused
from .messages import MENU_ANSWER, ORDINARY, SLASH_ANSWER, Message
from .permissions import ALL
from .records import EPHEMERAL, LOADING, Choice, Input, Json, Modal
from .rules import modal_problems
from .world import Channel, Guild, Member, User, World

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
#: Callback types.
MESSAGE, DEFER, DEFER_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9
#: Seconds in which the first answer has to come, and in which the token works.
ACK_SECONDS, TOKEN_SECONDS = 3.0, 900.0
#: Follow-ups where the bot is not in the server (user-installed).
FOLLOWUPS_OUTSIDE = 5


@dataclass(eq=False, slots=True)
class Interaction:
    world: World
    id: int
    type: int
    channel: Channel
    user: User
    member: Member | None
    data: Json
    #: When it was made (its id says so too, and its token counts from here), and when it was sent (3 s from here).
    created: float
    sent: float
    locale: str
    token: str = ""
    #: The message whose component was used.
    source: Message | None = None
    #: The interaction that opened the modal.
    parent: Interaction | None = None
    #: First answer: callback type, and when.
    answered: int | None = None
    answered_at: float = 0.0
    ephemeral: bool = False
    original: Message | None = None
    #: States of `original` that were there before this interaction touched it.
    before: int = 0
    followups: list[Message] = field(default_factory=list[Message])
    modal: Modal | None = None
    choices: tuple[Choice, ...] | None = None

    def __post_init__(self) -> None:
        raw = f"interaction:{self.id}:{self.user.id:x}".encode()
        self.token = base64.urlsafe_b64encode(raw + b"." * 60).decode().rstrip("=")
        self.world.interactions[self.id] = self
        self.world.tokens[self.token] = self

    @property
    def guild(self) -> Guild | None:
        return self.channel.guild

    @property
    def outside(self) -> bool:
        """Whether the bot is here only because a member installed it for themselves."""
        return self.guild is not None and not self.guild.has_bot

    @property
    def name(self) -> str:
        return self.data.get("name") or self.data.get("custom_id") or ""

    def owners(self) -> dict[str, str]:
        if self.guild is not None and self.guild.has_bot:
            return {"0": str(self.guild.id)}
        return {"1": str(self.user.id)} if self.outside else {"0": "0"}

    def payload(self) -> Json:
        """INTERACTION_CREATE."""
        bot_may = self.channel.bot_permissions or payloads.APP_PERMISSIONS_OUTSIDE
        whole: Json = {
            "id": str(self.id),
            "application_id": str(self.world.application_id),
            "type": self.type,
            "data": self.data,
            "channel_id": str(self.channel.id),
            "channel": payloads.partial_channel(
                self.channel, self.member.permissions(self.channel) if self.member else ALL
            ),
            "token": self.token,
            "version": 1,
            "app_permissions": str(bot_may),
            "locale": self.locale,
            "entitlements": [],
            "entitlement_sku_ids": [],
            "authorizing_integration_owners": self.owners(),
            "context": 0 if self.guild else 1,
            "attachment_size_limit": self.world.limit_in(self.channel),
        }
        if self.guild is not None and self.member is not None:
            whole |= {
                "guild_id": str(self.guild.id),
                "guild": {"id": str(self.guild.id), "locale": "en-US", "features": []},
                "guild_locale": "en-US",
                "member": payloads.interaction_member(self.member, self.channel),
            }
        else:
            whole["user"] = payloads.user(self.user)
        if self.source is not None:
            whole["message"] = self.source.json()
        return whole

    def metadata(self, *, original: Message | None = None) -> Json:
        """`interaction_metadata` of a message that answers this."""
        whole: Json = {
            "id": str(self.id),
            "type": self.type,
            "user": payloads.user(self.user),
            "authorizing_integration_owners": self.owners(),
        }
        if self.type == COMPONENT and self.source is not None:
            whole["interacted_message_id"] = str(self.source.id)
        if self.type == MODAL_SUBMIT and self.parent is not None:
            whole["triggering_interaction_metadata"] = self.parent.metadata()
        if original is not None:
            whole["original_response_message_id"] = str(original.id)
        return whole

    # ---- what the bot does with it

    def answer(self, kind: int, sent: Sent) -> None:
        """The callback.

        Raises:
            Refused: 10062 too late, 40060 answered before, 50035 this type does not fit.
        """
        now = self.world.clock.now()
        if self.answered is not None:
            raise Refused(40060)
        if now - self.sent > ACK_SECONDS or now - self.created > TOKEN_SECONDS:
            raise Refused(10062)
        self._fitting(kind)
        data: Mapping[str, Any] = sent.body.get("data") or {}
        if kind == MODAL:
            if problems := modal_problems(data):
                raise Refused(50035, errors=problems)
            self.modal = _modal(data)
        elif kind == CHOICES:
            self.choices = tuple(Choice(each["name"], each["value"]) for each in data.get("choices") or ())
        elif kind == DEFER:
            self.ephemeral = bool((data.get("flags") or 0) & EPHEMERAL)
            self.original = self._thinking()
        elif kind == MESSAGE:
            self.ephemeral = bool((data.get("flags") or 0) & EPHEMERAL)
            self.original = self._new(Sent(data, sent.files))
        else:
            assert self.source is not None
            self.original, self.before = self.source, len(self.source.states)
            if kind == UPDATE:
                edit_message(self.source, Sent(data, sent.files))
        self.answered, self.answered_at = kind, now
        self.world.changes.notify()

    def follow_up(self, sent: Sent) -> Message:
        """POST on the webhook. The first one after a deferral fills the deferred message."""
        if self.answered == DEFER and self.original is not None and self.original.thinking:
            return edit_message(self.original, sent)
        if self.outside and len(self.followups) >= FOLLOWUPS_OUTSIDE:
            raise Refused(40094)
        message = self._new(sent, original=self.original)
        self.followups.append(message)
        self.world.changes.notify()
        return message

    def reachable(self) -> None:
        """Raises:
        Refused: 50027 after fifteen minutes, 10015 before the first answer.
        """
        if self.world.clock.now() - self.created > TOKEN_SECONDS:
            raise Refused(50027)
        if self.answered is None:
            raise Refused(10015)

    def _fitting(self, kind: int) -> None:
        updates = self.source is not None and self.type in (COMPONENT, MODAL_SUBMIT)
        fits = {
            MESSAGE: self.type != AUTOCOMPLETE,
            DEFER: self.type != AUTOCOMPLETE,
            DEFER_UPDATE: updates,
            UPDATE: updates,
            CHOICES: self.type == AUTOCOMPLETE,
            MODAL: self.type in (COMMAND, COMPONENT),
        }
        if not fits.get(kind, False):
            raise Refused(50035, errors={"type": f"callback type {kind} does not fit interaction type {self.type}"})

    def _answer_type(self) -> int:
        if self.type != COMMAND:
            return ORDINARY
        return SLASH_ANSWER if self.data.get("type", 1) == 1 else MENU_ANSWER

    def _new(self, sent: Sent, *, original: Message | None = None) -> Message:
        ephemeral = bool((sent.body.get("flags") or 0) & EPHEMERAL)
        return create_message(
            self.world,
            self.channel,
            self.world.bot,
            sent,
            kind=self._answer_type() if original is None else ORDINARY,
            viewer=self.user if ephemeral else None,
            interaction=self.metadata(original=original),
        )

    def _thinking(self) -> Message:
        now = self.world.clock.now()
        message = Message(self.world, self.world.ids.next(), self.channel, self.world.bot, now)
        message.type = self._answer_type()
        message.flags = LOADING | (EPHEMERAL if self.ephemeral else 0)
        message.viewer = self.user if self.ephemeral else None
        message.interaction = self.metadata()
        message.publish()
        return message


def _modal(data: Mapping[str, Any]) -> Modal:
    inputs: list[Input] = []
    for row in data["components"]:
        inner = [row["component"]] if row["type"] == 18 else row.get("components", ())
        for part in inner:
            label = row.get("label") or part.get("label") or ""
            required = part.get("required")
            needed = True if required is None else bool(required)
            inputs.append(Input(part["custom_id"], label, part["type"], part.get("value") or "", needed, dict(row)))
    return Modal(data["custom_id"], data["title"], tuple(inputs))
