"""What travels between the control process and the workers, and what either side asks of the carrier.

The records are checked on arrival: a worker on another host may run other code. NATS is the one carrier.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, field_validator

from .capability import POOL, Capability
from .jobs import Progress
from .requests import ImageRequest
from .usual import Usual

JobId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
#: How often a worker reports that it lives.
HEARTBEAT_SECONDS = 1.0
NOTHING: Mapping[str, bytes] = MappingProxyType({})


class _Message(BaseModel):
    # Unknown fields are ignored, so that newer code may add some.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Enclosed(_Message):
    """A file that lies in the carrier for a job."""

    name: str
    #: Bytes, and messages that carry them.
    size: int
    parts: int


class JobMessage(_Message):
    """One job on its way to a worker."""

    job: JobId
    #: Generation of the job that this message carries.
    generation: int
    #: Attempts begun before this message was sent.
    attempts: int
    #: The last attempt that may be made.
    max_attempts: int
    request: ImageRequest
    #: The pictures that the request begins from, in the order in which they are stored.
    enclosed: tuple[Enclosed, ...] = ()


class Started(_Message):
    """A worker begins an attempt."""

    job: JobId
    worker: str
    attempt: int
    #: Which of the workers of that name.
    instance: str = ""


class Heartbeat(_Message):
    """A worker lives; sent every second."""

    #: Name for people, and a part that differs between two processes of one name.
    name: str
    instance: str
    #: 0 while it finishes its last jobs.
    slots: int
    device: str
    models: tuple[str, ...]
    #: The pool that it belongs to, and the longest side that it renders (0: any).
    pool: str = POOL
    side: int = 0
    #: Names of the fine-tunes that it can draw with; None: it does not say, as workers of an earlier version.
    adapters: tuple[str, ...] | None = None
    #: Words that these listen to, by name; names of the embeddings that prompts may name.
    triggers: Mapping[str, str] = Field(default_factory=dict[str, str])
    embeddings: tuple[str, ...] = ()
    #: Names of its ControlNets; None: it does not say.
    controls: tuple[str, ...] | None = None
    #: What is usual for its models, by name; workers of an earlier version do not say.
    usual: Mapping[str, Usual] = Field(default_factory=dict[str, Usual])
    #: Digests of its models' weights, by name.
    digests: Mapping[str, str] = Field(default_factory=dict[str, str])
    #: Those of its models that read pictures as prompts.
    image_prompts: tuple[str, ...] = ()
    #: Of one with several models: its own line, the model that it has loaded, and the seconds that it takes to have
    #: each of the others loaded.
    line: str = ""
    active: str = ""
    swaps: Mapping[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict[str, float])
    #: The attempt of each job that it works on.
    running: Mapping[str, int]
    #: Of its program; workers of an earlier version do not say.
    version: str = ""
    #: It is going away and takes nothing more.
    bye: bool = False

    @field_validator("usual", mode="wrap")
    @classmethod
    def _or_nothing(cls, told: Any, read: ValidatorFunctionWrapHandler) -> Mapping[str, Usual]:
        """A worker whose numbers cannot be used lives all the same."""
        try:
            return read(told)
        except ValidationError:
            return {}

    @property
    def capability(self) -> Capability:
        return Capability(pool=self.pool, models=self.models, side=self.side, line=self.line)


class Outcome(_Message):
    """How a job ended at a worker. The pictures follow it."""

    job: JobId
    generation: int
    #: Sequence of the message that carried the job.
    sequence: int
    attempt: int
    #: `returned`: a worker that shuts down gives the job back unfinished.
    kind: Literal["rendered", "failed", "dead", "returned"]
    #: Code of the texts catalogue, for `failed` and `dead`.
    error: str | None = None
    #: What happened, for the owner; never a prompt.
    detail: str | None = None
    worker: str = ""
    metadata: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    seconds: float = 0.0
    #: Length of each picture in bytes; they follow one another.
    sizes: tuple[int, ...] = ()
    #: Sequences of the messages that carry the pictures when they do not fit into this one.
    parts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker that was heard of lately."""

    name: str
    slots: int
    #: Jobs that it works on.
    busy: int
    device: str
    models: tuple[str, ...]
    #: Unix time of its last sign of life.
    seen: float
    pool: str = POOL
    #: Longest side that it renders, in pixels; 0: any.
    side: int = 0
    #: Tells it from others of its name.
    instance: str = ""
    #: Names of its fine-tunes; None: it does not say.
    adapters: tuple[str, ...] | None = None
    #: Words that these listen to, by name; names of the embeddings that prompts may name.
    triggers: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    embeddings: tuple[str, ...] = ()
    #: Names of its ControlNets; None: it does not say.
    controls: tuple[str, ...] | None = None
    #: What is usual for its models, by name; empty: it does not say.
    usual: Mapping[str, Usual] = field(default_factory=dict[str, Usual], hash=False)
    #: Digests of its models' weights, by name.
    digests: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    #: Those of its models that read pictures as prompts.
    image_prompts: tuple[str, ...] = ()
    #: The model that it has loaded, of several.
    active: str = ""
    #: Of its program; empty: it does not say.
    version: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """A job message as it lies in the carrier."""

    sequence: int
    job: str
    generation: int
    #: Group of workers that it waits for.
    group: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """An outcome that waits to be acknowledged by `handle`."""

    outcome: Outcome
    pictures: tuple[bytes, ...]
    handle: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A job that a worker received and must acknowledge, keep alive or hand back by `handle`."""

    message: JobMessage
    sequence: int
    #: 1 for the first attempt of this job.
    attempt: int
    handle: str


class ControlListener(Protocol):
    """What the control process hears. Called in the order of arrival; all of it lossy."""

    def on_connected(self) -> None: ...
    async def on_started(self, started: Started) -> None: ...
    async def on_progress(self, progress: Progress) -> None: ...
    async def on_heartbeat(self, heartbeat: Heartbeat) -> None: ...

    def on_trouble(self) -> None:
        """A worker cannot store an outcome, though nats-server is connected."""
        ...

    async def on_question(self, question: bytes) -> bytes:
        """Somebody steers the queue from another process (control/steering.py); gives the answer."""
        ...


class ControlTransport(Protocol):
    """The carrier as the control process sees it. Methods raise BrokerUnavailable when it does not answer."""

    @property
    def connected(self) -> bool: ...

    async def repair(self, groups: Collection[str]) -> None:
        """Put back, and log, what another hand has removed or changed at the carrier.

        `groups` of living workers have a line of their own.
        """
        ...

    async def send(self, message: JobMessage, group: str = POOL, files: Mapping[str, bytes] = NOTHING) -> int:
        """Store a job for a group of workers, with its files by name; gives its sequence.

        The same generation is stored once.
        """
        ...

    async def enclosing(self) -> Collection[str]:
        """Ids of the jobs that files are stored for."""
        ...

    async def discard_files(self, job_id: str) -> None:
        """Remove the files of a job."""
        ...

    async def stored(self) -> Sequence[Stored]:
        """Every job message that no worker has acknowledged."""
        ...

    async def discard(self, sequence: int) -> None:
        """Remove a job message."""
        ...

    async def has_outcome(self, job_id: str) -> bool:
        """Whether an outcome of the job waits to be read."""
        ...

    def outcomes(self) -> AsyncGenerator[Arrived]:
        """Every outcome, until acknowledged, across lost connections. Never returns."""
        ...

    async def acknowledge(self, arrived: Arrived) -> None: ...

    async def postpone(self, arrived: Arrived, seconds: float) -> None:
        """Have it delivered again later."""
        ...

    async def cancel(self, job_id: str) -> None:
        """Tell the worker that has the job, if any, to stop. Lossy."""
        ...

    async def stop(self, job_id: str, instance: str) -> None:
        """Tell one worker that its lease on a job is lost: another works on it. Lossy."""
        ...

    async def drain(self, instance: str) -> None:
        """Tell a worker to finish what runs and go; empty: all of them. Lossy."""
        ...


class WorkerTransport(Protocol):
    """The carrier as a worker sees it."""

    #: Seconds without `keep` after which a job goes to another worker.
    ack_wait: float

    async def fetch(self) -> Delivery:
        """Wait for the next job, across lost connections. May be cancelled without losing a job."""
        ...

    async def leftovers(self) -> Sequence[Delivery]:
        """Fetch no more; gives what had arrived unasked for."""
        ...

    async def files(self, message: JobMessage) -> Mapping[str, bytes]:
        """What lies in the carrier for a job, by name; across lost connections.

        Raises:
            PictureGone: it is not there, or not whole.
            BrokerUnavailable: nats-server is there and does not give it.
        """
        ...

    async def keep(self, delivery: Delivery) -> None:
        """Say that the job is being worked on. Lossy."""
        ...

    async def acknowledge(self, delivery: Delivery) -> None:
        """The job needs no more work. Lossy: it may be delivered again."""
        ...

    async def retry(self, delivery: Delivery, seconds: float) -> None:
        """Have it delivered again later, as another attempt. Lossy: without it that takes `ack_wait`."""
        ...

    async def report(self, outcome: Outcome, pictures: Sequence[bytes]) -> None:
        """Store an outcome durably; tries until it is stored."""
        ...

    async def started(self, started: Started) -> None:
        """Lossy."""
        ...

    async def progress(self, progress: Progress) -> None:
        """Lossy: dropped when the connection is behind."""
        ...

    async def heartbeat(self, heartbeat: Heartbeat) -> None:
        """Lossy."""
        ...
