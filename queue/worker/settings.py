"""What a worker is told: its settings, and what a handler knows about its job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..nats import Credentials
from ..observe import NoSpans, Spans, WorkerMeters
from ..records import NOTHING, POOL, ImageRequest, Progress, Rendered, Usual, WorkerTransport


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
class WorkerSettings:
    """What a worker is: where it dials in, its name, and what it can do."""

    nats_url: str
    name: str
    nats_token: str = ""
    #: In place of `nats_token` where a token is not all.
    credentials: Credentials | None = None
    #: Jobs at a time.
    slots: int = 1
    device: str = ""
    #: With `models` and `side`, the longest side in pixels that it renders (0: any), it decides which jobs come here.
    pool: str = POOL
    models: Sequence[str] = ()
    side: int = 0
    #: Gives the names of the fine-tunes that may be asked for just now.
    adapters: Callable[[], Sequence[str]] | None = None
    #: What is usual for its models, by name.
    usual: Mapping[str, Usual] = field(default_factory=dict[str, Usual])
    #: How long running jobs may go on once the worker is told to stop.
    drain_seconds: float = 30.0
    #: Of this program, told to the control process.
    version: str = ""
    meters: WorkerMeters = field(default_factory=WorkerMeters)
    spans: Spans = field(default_factory=NoSpans)
