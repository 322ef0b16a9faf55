"""Everything that can go wrong in the queue.

QueueError
├── InvalidRequest        a field of the request is out of range; nothing was queued
├── UnknownJob            no job has this id
├── QueueFull             this member has as many jobs waiting as are allowed; nothing was queued
├── QueueUnavailable      the job table or NATS cannot be reached or written just now
│   ├── AlreadyRunning    another process works on this data folder
│   ├── StorageFull       the disk under the job table or the pictures is full or read-only
│   └── BrokerUnavailable nats-server does not answer, or cannot be started
└── RenderRefused         the worker will never be able to render this request; not tried again
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class QueueError(Exception):
    """Something went wrong in the queue."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__class__.__doc__ or "")


class InvalidRequest(QueueError):
    """A field of the request is out of range."""

    def __init__(self, *, field: str, kind: str, limits: Mapping[str, Any]) -> None:
        super().__init__(f"{field}: {kind} {dict(limits)}" if limits else f"{field}: {kind}")
        #: Name of the field of `ImageRequest`.
        self.field = field
        #: pydantic's error type, such as `string_too_short`, `less_than_equal`, `missing`.
        self.kind = kind
        #: The allowed range as pydantic gives it: `{"le": 4}`, `{"max_length": 1000}`.
        self.limits = dict(limits)


class UnknownJob(QueueError):
    """No job has this id."""


class QueueFull(QueueError):
    """This member has as many jobs waiting as are allowed."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"at most {limit} jobs of one member may wait at a time")
        #: Most jobs of one member that may wait.
        self.limit = limit


class QueueUnavailable(QueueError):
    """The job table or NATS cannot be reached or written just now."""


class AlreadyRunning(QueueUnavailable):
    """Another process works on this data folder."""


class StorageFull(QueueUnavailable):
    """The disk under the job table or the pictures is full or read-only."""


class BrokerUnavailable(QueueUnavailable):
    """nats-server does not answer, or cannot be started."""


class RenderRefused(QueueError):
    """The worker will never be able to render this request; it is not tried again.

    `code` names the text that the member sees (`texts` of the bot).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
