"""A job in work at a worker."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal

from ..records import Delivery, Outcome, Rendered


@dataclass(slots=True)
class Running:
    """A job in work."""

    #: Replaced when its message is delivered again meanwhile.
    delivery: Delivery
    attempt: int
    #: Other messages with the same job, by sequence: kept and acknowledged like the first.
    others: dict[int, Delivery] = field(default_factory=dict[int, Delivery])
    #: The handler's call, once it was made.
    rendering: asyncio.Future[Rendered] | None = None
    #: The member cancelled it.
    cancelled: bool = False
    #: Our lease ran out, and another worker has the job now.
    lost: bool = False
    #: The worker shuts down and gives it back.
    returning: bool = False

    def adopt(self, delivery: Delivery) -> None:
        """The same job again."""
        if delivery.sequence == self.delivery.sequence:
            self.delivery = delivery
        else:
            self.others[delivery.sequence] = delivery

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        return (self.delivery, *self.others.values())

    def interrupt(self) -> None:
        """Stop the handler; without effect when it is done."""
        if self.rendering is not None:
            self.rendering.cancel()


def outcome_of(
    running: Running,
    kind: Literal["rendered", "failed", "dead", "returned"],
    *,
    error: str | None = None,
    detail: str | None = None,
) -> Outcome:
    """How a job in work ended."""
    message = running.delivery.message
    return Outcome(
        job=message.job,
        generation=message.generation,
        sequence=running.delivery.sequence,
        attempt=running.attempt,
        kind=kind,
        error=error,
        detail=detail,
    )
