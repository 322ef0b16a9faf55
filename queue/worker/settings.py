"""What a worker is told: its settings, and what a handler knows about its job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..nats import Credentials
from ..observe import NoSpans, Spans, WorkerMeters
from ..records import (
    NOTHING,
    POOL,
    Capability,
    Heartbeat,
    ImageRequest,
    Progress,
    Rendered,
    Usual,
    WorkerTransport,
)


class JobContext:
    """What a handler knows about its job beyond the request."""

    def __init__(
        self, job: str, attempt: int, transport: WorkerTransport, sources: Mapping[str, bytes] = NOTHING
    ) -> None:
        self.job = job
        #: 1 for the first attempt.
        self.attempt = attempt
        #: Files that the request begins from, by the names that its `source` says: WebP or PNG.
        self.sources = sources
        self._transport = transport

    async def progress(self, step: int, steps: int, preview: bytes | None = None) -> None:
        """Tell that `step` of `steps` is done, with a small JPEG or WebP. Never waits; may be dropped."""
        await self._transport.progress(Progress(self.job, step, steps, preview))


#: Renders one request. `asyncio.CancelledError` inside it means that the job was cancelled or is handed back.
#: Raising RenderRefused fails the job for good; any other exception breaks this attempt.
Handler = Callable[[ImageRequest, JobContext], Awaitable[Rendered]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a worker with several models says of them just now."""

    #: The model that it has loaded, and jobs of it at a time.
    active: str
    slots: int
    #: All that it can draw with; what names no model is drawn by the first.
    models: tuple[str, ...]
    #: Seconds until another one is loaded.
    swaps: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker is: where it dials in, its name, and what it can do."""

    nats_url: str
    name: str
    nats_token: str = ""
    #: In place of `nats_token` where a token is not all.
    credentials: Credentials | None = None
    #: Jobs at a time, at most.
    slots: int = 1
    device: str = ""
    #: With `models` and `side`, the longest side in pixels that it renders (0: any), it decides which jobs come here.
    pool: str = POOL
    models: Sequence[str] = ()
    side: int = 0
    #: Gives the names of the fine-tunes that may be asked for just now.
    adapters: Callable[[], Sequence[str]] | None = None
    #: Gives the words that these listen to, by name, and the names of the embeddings that prompts may name.
    triggers: Callable[[], Mapping[str, str]] | None = None
    embeddings: Callable[[], Sequence[str]] | None = None
    #: Gives the names of the ControlNets that may be asked for just now.
    controls: Callable[[], Sequence[str]] | None = None
    #: What is usual for its models, by name.
    usual: Mapping[str, Usual] = field(default_factory=dict[str, Usual])
    #: Digests of its models' weights, by name.
    digests: Mapping[str, str] = field(default_factory=dict[str, str])
    #: Those of its models that read pictures as prompts.
    image_prompts: Sequence[str] = ()
    #: Of one with several models: how they stand. It then has a line of its own.
    loaded: Callable[[], Loaded] | None = None
    #: How long running jobs may go on once the worker is told to stop.
    drain_seconds: float = 30.0
    #: Of this program, told to the control process.
    version: str = ""
    meters: WorkerMeters = field(default_factory=WorkerMeters)
    spans: Spans = field(default_factory=NoSpans)


def heartbeat_of(
    settings: WorkerSettings,
    capability: Capability,
    instance: str,
    *,
    running: Mapping[str, int],
    draining: bool = False,
    bye: bool = False,
) -> Heartbeat:
    """What a worker says of itself just now; `running`: the attempt of each job that it works on."""
    several = settings.loaded
    loaded = Loaded("", settings.slots, capability.models, {}) if several is None else several()
    return Heartbeat(
        name=settings.name,
        instance=instance,
        slots=0 if draining else min(loaded.slots, settings.slots),
        device=settings.device,
        models=loaded.models,
        line=capability.line,
        active=loaded.active,
        swaps=loaded.swaps,
        pool=capability.pool,
        side=capability.side,
        adapters=None if settings.adapters is None else tuple(settings.adapters()),
        triggers={} if settings.triggers is None else settings.triggers(),
        embeddings=() if settings.embeddings is None else tuple(settings.embeddings()),
        controls=None if settings.controls is None else tuple(settings.controls()),
        usual=settings.usual,
        digests=settings.digests,
        image_prompts=tuple(settings.image_prompts),
        running=running,
        version=settings.version,
        bye=bye,
    )
