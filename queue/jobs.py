"""The life of one request: records and states. Pure.

queued ──▶ sent ──▶ running ──▶ rendered ──▶ delivered
   │         │         │
   │         │         ├──▶ failed     refused by the worker for good
   │         │         ├──▶ dead       three attempts broke
   └─────────┴─────────┴──▶ cancelled

A job goes back from `sent` or `running` to `queued` when its delivery message was lost; `generation` then rises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .requests import ImageRequest


class JobState(StrEnum):
    QUEUED = "queued"
    SENT = "sent"
    RUNNING = "running"
    RENDERED = "rendered"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    FAILED = "failed"
    DEAD = "dead"


#: States in which the job may still produce pictures.
LIVE = frozenset({JobState.QUEUED, JobState.SENT, JobState.RUNNING})
#: States after which the worker has nothing more to do.
FINISHED = frozenset(set(JobState) - LIVE)


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the job table."""

    #: 32 hexadecimal digits.
    id: str
    #: Idempotency key: the Discord interaction id, or what the HTTP client sent. Submitting it again gives this job.
    key: str
    #: Who asked, and where: opaque texts (Discord ids, or "local").
    member: str
    server: str
    #: Fair-share tag: rows are sent in the order (tag, id).
    tag: float
    state: JobState
    #: How often the job was handed to NATS.
    generation: int
    #: JetStream sequence of the message that carries it, when sent.
    sequence: int | None
    #: Attempts begun by workers.
    attempts: int
    request: ImageRequest
    #: Where the answer goes; only its writer (`bot`, `web`) reads it.
    reply: Mapping[str, Any] = field(default_factory=dict[str, Any])
    #: Whether the one who asked has been told how it ended.
    told: bool = False
    #: Why it failed: a code of the texts catalogue, never a traceback.
    error: str | None = None
    #: Names in the picture store, in order.
    pictures: tuple[str, ...] = ()
    #: What the worker said about the pictures: model digest, sampler, engine version.
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    #: Seconds of device time used.
    seconds: float = 0.0
    #: Unix times.
    created: float = 0.0
    changed: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Step k of n of a running job; lossy by design."""

    job: str
    step: int
    steps: int
    #: A small JPEG or WebP of the picture as it stands, or None.
    preview: bytes | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a worker hands back for one job."""

    #: PNG files, one for each seed, in order.
    pictures: tuple[bytes, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    seconds: float = 0.0
