"""Everything that can go wrong in the queue.

QueueError
├── InvalidRequest        a field of the request is out of range; nothing was queued
├── InvalidPicture        what a member sent is no picture that can be used; nothing was stored
├── AsLargeAsCanBe        a picture cannot be enlarged any more; nothing was queued
├── UnknownJob            no job has this id
├── NotShown              a picture may not be shown to this member, or not here
├── QueueFull             a limit is reached; says what is allowed and when more is; nothing was queued
├── QueueUnavailable      the job table or NATS cannot be reached or written just now
│   ├── AlreadyRunning    another process works on this data folder
│   ├── Ousted            another process has taken this queue over
│   ├── StorageFull       the disk under the job table or the pictures is full or read-only
│   ├── PictureGone       a picture is not in the store any more
│   └── BrokerUnavailable nats-server does not answer, or cannot be started
└── RenderRefused         the worker will never be able to render this request; not tried again
"""

from __future__ import annotations

import time
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


class InvalidPicture(QueueError):
    """What a member sent is no picture that can be used; nothing was stored."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        #: `no_picture`, `heic`, `damaged`, `too_large` (bytes), `pixels`, `too_small` or `mask_empty`.
        self.kind = kind


class AsLargeAsCanBe(QueueError):
    """A picture cannot be enlarged any more."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"it is as large as can be: {limit} pixels a side")
        #: Longest side in pixels.
        self.limit = limit


class UnknownJob(QueueError):
    """No job has this id."""


class NotShown(QueueError):
    """A picture may not be shown to this member, or not here."""

    def __init__(self, why: str) -> None:
        super().__init__(f"this picture may not be shown: {why}")
        #: `showing.Why`: names the text that members see.
        self.why = why


class QueueFull(QueueError):
    """A limit is reached; nothing was queued."""

    def __init__(self, limit: float, scope: str = "member", *, resets: float | None = None) -> None:
        allowed = {
            "member": f"at most {limit:g} jobs of one member may wait at a time",
            "server": f"at most {limit:g} jobs of one server may wait at a time",
            "total": f"at most {limit:g} jobs may wait at a time",
            "daily": f"at most {limit:g} seconds of rendering a day",
        }[scope]
        # As a UTC time of day: quotas begin anew at midnight UTC.
        when = "one has ended" if resets is None else time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(resets))
        super().__init__(f"{allowed}; more can be asked for {'once' if resets is None else 'from'} {when}")
        #: What is allowed: jobs, or seconds of device time a day.
        self.limit: Any = limit
        #: Whose limit: `member`, `server`, `total` for waiting jobs; `daily` for a member's device time.
        self.scope = scope
        #: Unix time at which more is allowed; None: as soon as a job has ended.
        self.resets = resets


class QueueUnavailable(QueueError):
    """The job table or NATS cannot be reached or written just now."""


class AlreadyRunning(QueueUnavailable):
    """Another process works on this data folder."""


class Ousted(QueueUnavailable):
    """Another control process has taken this queue over; this one has stopped writing. Start it again to stand by."""


class StorageFull(QueueUnavailable):
    """The disk under the job table or the pictures is full or read-only."""


class PictureGone(QueueUnavailable):
    """A picture is not in the store any more."""


class BrokerUnavailable(QueueUnavailable):
    """nats-server does not answer, or cannot be started."""


class RenderRefused(QueueError):
    """The worker will never be able to render this request; it is not tried again.

    `code` names the text that the member sees (`texts` of the bot).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
