"""`InteractionRecord`: a test's view of one interaction, and waiting for what the bot does with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .interactions import ACK_SECONDS, Interaction
from .messages import Message
from .records import Ack, Choice, Modal, SeenMessage

Predicate = Callable[[SeenMessage], Any]


def arrivals(states: Sequence[SeenMessage]) -> tuple[SeenMessage, ...]:
    """The states in which attachments appeared that the state before did not have."""
    found: list[SeenMessage] = []
    had: set[int] = set()
    for state in states:
        has = {attachment.id for attachment in state.attachments}
        if has - had:
            found.append(state)
        had = has
    return tuple(found)


def describe(states: Sequence[SeenMessage]) -> str:
    """The last states in a few words, for the text of a TimeoutError."""
    told: list[str] = []
    for state in states[-4:]:
        kind = "deleted" if state.deleted else "thinking" if state.thinking else repr(state.text[:160])
        told.append(f"[{state.state}] {kind}, {len(state.attachments)} attachments")
    return "; ".join(told) or "no message"


class InteractionRecord:
    """What became of one interaction."""

    def __init__(self, interaction: Interaction) -> None:
        self.interaction = interaction
        self._changes = interaction.world.changes

    def __repr__(self) -> str:
        return f"<InteractionRecord {self.interaction.name!r} answered={self.interaction.answered} {self._told()}>"

    @property
    def id(self) -> int:
        return self.interaction.id

    @property
    def token(self) -> str:
        return self.interaction.token

    @property
    def acked(self) -> bool:
        return self.interaction.answered is not None

    @property
    def failed(self) -> bool:
        """Whether the member reads "The application did not respond"."""
        world = self.interaction.world
        return not self.acked and world.clock.now() - self.interaction.sent > ACK_SECONDS

    @property
    def history(self) -> tuple[SeenMessage, ...]:
        """Every state of the response message since this interaction, in order."""
        original = self.interaction.original
        return tuple(original.states[self.interaction.before :]) if original else ()

    @property
    def current(self) -> SeenMessage | None:
        return self.history[-1] if self.history else None

    @property
    def thinking(self) -> bool:
        return self.current is not None and self.current.thinking

    @property
    def arrivals(self) -> tuple[SeenMessage, ...]:
        """States in which pictures arrived: "exactly once" is `len(record.arrivals) == 1`."""
        original = self.interaction.original
        if original is None:
            return ()
        return tuple(each for each in arrivals(original.states) if each.state >= self.interaction.before)

    @property
    def followups(self) -> tuple[SeenMessage, ...]:
        """The present state of each follow-up message."""
        return tuple(message.states[-1] for message in self.interaction.followups)

    async def ack(self, timeout: float = 5) -> Ack:
        """The bot's first answer."""

        def probe() -> Ack | None:
            interaction = self.interaction
            if interaction.answered is None:
                return None
            return Ack(interaction.answered, interaction.ephemeral, interaction.answered_at - interaction.sent)

        return await self._until(probe, timeout, "a first answer")

    async def message(self, timeout: float = 5) -> SeenMessage:
        """The response message as it is, once there is one that is not "thinking…"."""
        return await self.wait_for(lambda state: not state.thinking, timeout)

    async def wait_for(self, predicate: Predicate, timeout: float = 10) -> SeenMessage:
        """The present state of the response message or a later one, as soon as it satisfies `predicate`."""
        present = max(len(self.history) - 1, 0)

        def probe() -> SeenMessage | None:
            return next((state for state in self.history[present:] if predicate(state)), None)

        return await self._until(probe, timeout, "a state of the message")

    async def saw(self, predicate: Predicate, timeout: float = 10) -> SeenMessage:
        """The first state that satisfies `predicate`, among those there were and those to come."""

        def probe() -> SeenMessage | None:
            return next((state for state in self.history if predicate(state)), None)

        return await self._until(probe, timeout, "a state of the message, at any time")

    async def followup(
        self,
        n: int = 0,
        predicate: Predicate = bool,
        timeout: float = 10,
    ) -> SeenMessage:
        """The n-th follow-up message (from 0) in its present state, once it satisfies `predicate`."""

        def probe() -> SeenMessage | None:
            states = self.followups
            return states[n] if len(states) > n and predicate(states[n]) else None

        return await self._until(probe, timeout, f"follow-up {n}")

    async def modal(self, timeout: float = 5) -> Modal:
        return await self._until(lambda: self.interaction.modal, timeout, "a modal")

    async def choices(self, timeout: float = 3) -> tuple[Choice, ...]:
        return await self._until(lambda: self.interaction.choices, timeout, "autocomplete choices")

    async def _until(self, probe: Callable[[], Any], timeout: float, what: str) -> Any:
        return await self._changes.until(probe, timeout=timeout, what=lambda: f"no {what}; {self._told()}")

    def _told(self) -> str:
        answered = self.interaction.answered
        first = f"callback type {answered}" if answered else "no callback yet"
        return f"/{self.interaction.name}: {first}; {describe(self.history)}"


def message_of(thing: SeenMessage | InteractionRecord | Message, messages: dict[int, Message]) -> Message:
    """The live message behind what a test holds.

    Raises:
        LookupError: it is gone.
    """
    if isinstance(thing, Message):
        return thing
    if isinstance(thing, InteractionRecord):
        if thing.interaction.original is None:
            raise LookupError(f"{thing!r} has no message")
        return thing.interaction.original
    return messages[thing.id]
