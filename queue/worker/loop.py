"""The worker loop: takes jobs, gives them to a handler, reports how they ended. Knows the carrier and nothing else.

The handler runs on this event loop and must not block it: GPU work belongs into a thread. A loop that is blocked for
longer than the lease looks dead, and its jobs are then rendered twice.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from secrets import token_hex

from ..errors import BrokerUnavailable, PictureGone, RenderRefused
from ..logs import last_place, where
from ..nats import NatsWorker
from ..observe import about_job
from ..records import (
    HEARTBEAT_SECONDS,
    NOTHING,
    Capability,
    Delivery,
    Heartbeat,
    JobMessage,
    Outcome,
    Rendered,
    Started,
    WorkerTransport,
)
from ..tasks import end
from .running import Running, outcome_of
from .settings import Handler, JobContext, WorkerSettings, heartbeat_of

log = logging.getLogger(__name__)

#: Code of the texts catalogue for a job that broke in every attempt.
BROKEN = "broken"
#: Seconds until a broken attempt is followed by the next.
RETRY_SECONDS = 1.0
#: How many finished jobs are remembered, to recognise them when they are delivered again.
REMEMBERED = 1_000
#: Seconds that giving jobs back may take at the end.
STOP_TIMEOUT = 10.0


class Worker:
    """Up to `slots` jobs at a time."""

    def __init__(self, handler: Handler, settings: WorkerSettings) -> None:
        self._handler = handler
        self._settings = settings
        #: Two processes may bear one name; subjects allow few characters.
        self._instance = f"{re.sub(r'[^A-Za-z0-9_-]', '-', settings.name)[:60]}-{token_hex(4)}"
        self._capability = Capability(
            pool=settings.pool,
            models=tuple(settings.models),
            side=settings.side,
            line="\n".join((settings.name, *settings.models)) if settings.loaded is not None else "",
        )
        self._news = asyncio.Event()
        self._told_to_drain = asyncio.Event()
        self._nats = NatsWorker(
            settings.nats_url,
            settings.credentials or settings.nats_token,
            name=settings.name,
            on_cancel=self._cancel,
            on_lost=self._lose,
            on_drain=self._told_to_drain.set,
            group=self._capability.group,
            instance=self._instance,
        )
        self._transport: WorkerTransport = self._nats
        self._running: dict[str, Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        #: (job, generation) of jobs whose outcome is stored.
        self._finished: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._free = asyncio.Semaphore(settings.slots)
        self._drain_seconds = settings.drain_seconds
        self._meters, self._spans = settings.meters, settings.spans
        self._meters.slots.set(settings.slots)
        self._meters.running.set_function(lambda: len(self._running))
        self._meters.connected.set_function(lambda: float(self.connected))

    def hurry(self, seconds: float) -> None:
        """Let running jobs go on for so long at most, once told to stop."""
        self._drain_seconds = min(self._drain_seconds, seconds)

    @property
    def connected(self) -> bool:
        """Whether nats-server is there."""
        return self._nats.connection.session is not None

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None] | None = None) -> None:
        """Work until `stop` is set or the owner drains us; then finish what runs, within `drain_seconds`, and hand
        back the rest.

        Waits while nats-server is away. `on_ready` is called once it was reached.

        Raises:
            BrokerUnavailable: nats-server refuses the token or cannot be reached by TLS as set up, at the first
                connection.
        """
        self._nats.connection.start()
        stopping = asyncio.create_task(_either(stop, self._told_to_drain))
        background: list[asyncio.Task[None]] = []
        try:
            if not await self._connected(stopping):
                return
            if on_ready is not None:
                on_ready()
            taking = asyncio.create_task(self._take_jobs(), name="take jobs")
            background = [
                taking,
                asyncio.create_task(self._keep_leases(), name="keep leases"),
                asyncio.create_task(self._report_life(), name="report life"),
            ]
            done, _ = await asyncio.wait({stopping, *background}, return_when=asyncio.FIRST_COMPLETED)
            await end({taking})
            await self._drain()
            await self._transport.heartbeat(self._heartbeat(bye=True))
            for task in done & set(background):
                task.result()  # A bug ended it: let it be seen, after the jobs were put away.
        finally:
            await end({stopping, *background, *self._tasks})
            await self._nats.connection.close()

    def tell(self) -> None:
        """Say at once how things stand, as after a model was loaded. From the loop's thread."""
        self._news.set()

    async def _connected(self, stopping: asyncio.Task[None]) -> bool:
        """Wait for the first connection; False when told to stop before."""
        ready = asyncio.create_task(self._nats.connection.ready())
        refused = asyncio.create_task(self._nats.connection.refusal())
        try:
            await asyncio.wait({ready, refused, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                return True
            if stopping.done():
                return False
            if self._nats.connection.mismatched:
                raise BrokerUnavailable(self._nats.connection.problem)
            raise BrokerUnavailable("nats-server refuses the token: give this worker the token of the control process")
        finally:
            await end({ready, refused})

    # Taking jobs

    async def _take_jobs(self) -> None:
        while True:
            await self._free.acquire()
            if not await self._begin(await self._transport.fetch()):
                self._free.release()

    async def _begin(self, delivery: Delivery) -> bool:
        """Start the job of a delivery; False when it needs no slot."""
        job, generation = delivery.message.job, delivery.message.generation
        running = self._running.get(job)
        if running is not None and running.lost:
            await self._transport.retry(delivery, RETRY_SECONDS)  # Once the old attempt has stopped.
            return False
        if running is not None:
            # Our connection or the server broke: the same job again. Go on, and keep the new lease.
            log.info("job %s was delivered again while it runs; going on", job)
            running.adopt(delivery)
            await self._transport.keep(delivery)
            return False
        if (job, generation) in self._finished:
            await self._transport.acknowledge(delivery)
            return False
        if delivery.attempt > delivery.message.max_attempts:
            # Each attempt took its worker down with it.
            log.error("job %s broke %d workers; given up", job, delivery.attempt - 1)
            over = Running(delivery=delivery, attempt=delivery.attempt - 1)
            detail = f"{over.attempt} attempts ended without a word: each killed its worker, or the worker vanished"
            await self._finish(over, outcome_of(over, "dead", error=BROKEN, detail=detail))
            return False
        self._running[job] = Running(delivery=delivery, attempt=delivery.attempt)
        task = asyncio.create_task(self._work(self._running[job]), name=f"job {job}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    # Working

    async def _work(self, running: Running) -> None:
        job = running.delivery.message.job
        try:
            with about_job(job), self._spans.within(job, "attempt", attempt=running.attempt):
                log.info("job %s begins attempt=%d", job, running.attempt)
                await self._transport.keep(running.delivery)
                await self._transport.started(
                    Started(job=job, worker=self._settings.name, attempt=running.attempt, instance=self._instance)
                )
                await self._render(running)
        except Exception as error:
            # A bug of this loop, not of the handler. The lease runs out and the job is tried again.
            log.error("job %s: the worker failed: %s", job, where(error))  # noqa: TRY400 (its text may quote a prompt)
        finally:
            self._running.pop(job, None)
            self._free.release()

    async def _render(self, running: Running) -> None:
        """Run the handler and report what came of it."""
        message, attempt = running.delivery.message, running.attempt
        began = time.monotonic()
        running.rendering = asyncio.ensure_future(self._handle(message, attempt))
        if running.cancelled or running.returning or running.lost:
            running.interrupt()
        try:
            rendered = await running.rendering
        except asyncio.CancelledError:
            await self._interrupted(running)
        except PictureGone:
            # Given back, so that it comes again with its pictures, or ends if those are gone altogether.
            log.warning("job %s: its pictures are not in nats-server; handed back", message.job)
            await self._finish(running, outcome_of(running, "returned"))
        except RenderRefused as refusal:
            log.info("job %s is refused: %s", message.job, refusal.code)
            await self._finish(
                running, outcome_of(running, "failed", error=refusal.code, detail=f"refused by {self._settings.name}")
            )
        except Exception as error:
            log.error(  # noqa: TRY400 (its text may quote a prompt)
                "job %s: attempt %d of %d broke: %s", message.job, attempt, message.max_attempts, where(error)
            )
            await self._broke(running, f"{type(error).__name__} at {last_place(error)}, on {self._settings.name}")
        else:
            outcome = outcome_of(running, "rendered").model_copy(
                update={"metadata": rendered.metadata, "seconds": rendered.seconds or time.monotonic() - began}
            )
            await self._finish(running, outcome, rendered.pictures)

    async def _handle(self, message: JobMessage, attempt: int) -> Rendered:
        sources = await self._transport.files(message) if message.enclosed else NOTHING
        return await self._handler(message.request, JobContext(message.job, attempt, self._transport, sources))

    async def _interrupted(self, running: Running) -> None:
        """The handler was cancelled: by the member, by our shutdown, or by itself."""
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError  # We are being torn down.
        if running.lost:
            return  # Its message is another's now: nothing is said about it any more.
        if running.cancelled:
            await self._acknowledge(running)
        elif running.returning:
            await self._finish(running, outcome_of(running, "returned"))
        else:
            log.error("job %s: attempt %d cancelled itself", running.delivery.message.job, running.attempt)
            await self._broke(running, f"the renderer cancelled itself, on {self._settings.name}")

    async def _broke(self, running: Running, detail: str) -> None:
        if running.attempt >= running.delivery.message.max_attempts:
            await self._finish(running, outcome_of(running, "dead", error=BROKEN, detail=detail))
        else:
            await self._transport.retry(running.delivery, RETRY_SECONDS)

    async def _finish(self, running: Running, outcome: Outcome, pictures: Sequence[bytes] = ()) -> None:
        """The outcome first, the acknowledgement second: a crash between them repeats, and loses nothing."""
        self._meters.outcomes.labels(outcome.kind).inc()
        await self._transport.report(outcome.model_copy(update={"worker": self._settings.name}), pictures)
        await self._acknowledge(running)

    async def _acknowledge(self, running: Running) -> None:
        """Every message that brought the job, those that come while we do so too."""
        done: set[str] = set()
        while left := [delivery for delivery in running.deliveries if delivery.handle not in done]:
            for delivery in left:
                self._remember(delivery)
                await self._transport.acknowledge(delivery)
                done.add(delivery.handle)

    def _remember(self, delivery: Delivery) -> None:
        self._finished[(delivery.message.job, delivery.message.generation)] = None
        while len(self._finished) > REMEMBERED:
            self._finished.popitem(last=False)

    def _cancel(self, job: str) -> None:
        running = self._running.get(job)
        if running is not None:
            running.cancelled = True
            running.interrupt()

    def _lose(self, job: str) -> None:
        running = self._running.get(job)
        if running is not None:
            log.warning("job %s: our lease ran out and another worker has it; stopped here", job)
            running.lost = True
            running.interrupt()

    # Living

    async def _keep_leases(self) -> None:
        while True:
            for running in list(self._running.values()):
                for delivery in () if running.lost else running.deliveries:
                    await self._transport.keep(delivery)
            await asyncio.sleep(self._transport.ack_wait / 3)

    async def _report_life(self) -> None:
        while True:
            self._news.clear()
            await self._transport.heartbeat(self._heartbeat())
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await self._news.wait()

    def _heartbeat(self, *, bye: bool = False) -> Heartbeat:
        return heartbeat_of(
            self._settings, self._capability, self._instance, draining=self._draining, bye=bye,
            running={job: running.attempt for job, running in self._running.items()},
        )  # fmt: skip

    # Stopping

    async def _drain(self) -> None:
        """Give back what was fetched but not begun, let the rest finish within the limit, hand back what does not."""
        self._draining = True
        await self._transport.heartbeat(self._heartbeat())
        # Without nats-server nothing can be given back: the leases then run out and the jobs are tried again.
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT):
                for delivery in await self._transport.leftovers():
                    unbegun = Running(delivery=delivery, attempt=delivery.attempt)
                    await self._finish(unbegun, outcome_of(unbegun, "returned"))
        if self._tasks:
            log.info("stopping: %d running jobs may take %.0f s", len(self._tasks), self._drain_seconds)
            await asyncio.wait(self._tasks, timeout=self._drain_seconds)
        if not self._tasks:
            return
        for running in self._running.values():
            running.returning = True
            running.interrupt()
        await asyncio.wait(self._tasks, timeout=STOP_TIMEOUT)


async def _either(*events: asyncio.Event) -> None:
    """Wait until one of them is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
