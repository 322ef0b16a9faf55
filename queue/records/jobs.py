"""The life of one request: records. Pure. States, and the ways between them, are drawn in life.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .life import BROKEN, FINISHED, LIVE, OUT, JobState
from .requests import ImageRequest
from .waiting import Lane

__all__ = ["BROKEN", "FINISHED", "LIVE", "OUT", "Job", "JobState", "Progress", "Rendered", "Transition"]


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
    state: JobState
    #: How often the job was handed to NATS.
    generation: int
    #: JetStream sequence of the message that carries it, when sent.
    sequence: int | None
    #: Attempts begun by workers.
    attempts: int
    request: ImageRequest
    #: Where the answer goes; only its writer (`bot`, `web`) reads it, but for `private`: its member alone sees it.
    reply: Mapping[str, Any] = field(default_factory=dict[str, Any])
    #: Whether the one who asked has been told how it ended.
    told: bool = False
    #: Why it failed: a code of the texts catalogue, never a traceback.
    error: str | None = None
    #: What happened, for the owner: kind of the last error, the worker; never a prompt.
    detail: str | None = None
    #: Names in the picture store, in order.
    pictures: tuple[str, ...] = ()
    #: What the worker said about the pictures: model digest, sampler, engine version.
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    #: Seconds of device time used.
    seconds: float = 0.0
    lane: Lane = "fast"
    #: The member's share beside others of the server.
    weight: float = 1.0
    #: Device time in seconds, as estimated when it was queued.
    cost: float = 0.0
    #: Only workers of this pool may render it; empty: any.
    pool: str = ""
    #: Group of workers that it was sent to last, and the worker that began it last.
    group: str | None = None
    worker: str | None = None
    #: Unix times. `changed` grows with each change, whatever the clock does.
    created: float = 0.0
    changed: float = 0.0


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of a job's life, as recorded with it."""

    #: None for its beginning.
    before: JobState | None
    after: JobState
    #: Unix time.
    at: float
    generation: int
    attempts: int


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
