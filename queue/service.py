"""The queue as `bot`, `web` and `app` see it: one facade, living in the control process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .database import Database, database_url, make_private
from .dispatch import Dispatcher
from .embedded import EmbeddedServer
from .errors import BrokerUnavailable, QueueUnavailable
from .folder_lock import folder_lock
from .intake import Intake
from .jobs import FINISHED, Job, JobState, Progress
from .logs import where
from .nats_control import NatsControl
from .news import News
from .options import QueueOptions
from .pictures import PictureStore
from .requests import ImageRequest
from .roster import Roster
from .schema import migrate
from .server_settings import ServerSettingsStore
from .table import JobTable, Ticket
from .tasks import end
from .transport import Heartbeat, Started, WorkerInfo

__all__ = ["Health", "Queue", "Ticket", "WorkerInfo", "open_queue"]

log = logging.getLogger(__name__)

#: Seconds that opening waits for nats-server: one that we started must come, another may be away for now.
OWN_SERVER_PATIENCE = 15.0
OTHER_SERVER_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class Health:
    """How the queue is."""

    #: Jobs are accepted, kept, and handed to workers when there are any.
    ok: bool
    #: The job table and the picture store can be written.
    storage: bool
    #: nats-server is connected and takes jobs.
    broker: bool
    #: Workers heard of lately.
    workers: int
    #: What is wrong and what to do, for the owner; None if nothing is.
    problem: str | None


class Queue:
    """Submit, follow, cancel. Made by `open_queue`.

    Methods that touch the job table raise StorageFull or QueueUnavailable when it fails. NATS being away never fails
    a call: jobs then wait in the table.
    """

    def __init__(
        self,
        table: JobTable,
        database: Database,
        pictures: PictureStore,
        *,
        options: QueueOptions,
        nats_url: str,
        nats_token: str,
        server: EmbeddedServer | None,
    ) -> None:
        #: What a worker process needs to dial in; the token is a secret.
        self.nats_url = nats_url
        self.nats_token = nats_token
        self.server_settings = ServerSettingsStore(database)
        self._table = table
        self._database = database
        self._pictures = pictures
        self._server = server
        self._news = News()
        self._roster = Roster(options.worker_timeout_seconds)
        self._transport = NatsControl(nats_url, nats_token, self, ack_wait=options.ack_wait_seconds)
        self._dispatcher = Dispatcher(
            table,
            self._transport,
            self._roster,
            self._news,
            max_attempts=options.max_attempts,
            reconcile_seconds=options.reconcile_seconds,
            on_stuck=self._restart_server,
        )
        self._intake = Intake(table, pictures, self._transport, self._changed)
        #: The attempt of each job that is known to run, so that heartbeats cost no look-up.
        self._known: dict[str, int] = {}
        self._tasks: list[asyncio.Task[None]] = []

    # For those who ask for pictures

    async def submit(
        self, request: ImageRequest, *, key: str, member: str, server: str, reply: Mapping[str, Any]
    ) -> Ticket:
        """Queue a request, durably. The same `key` again gives the same job, for ever.

        Raises:
            QueueFull: the member has as many jobs waiting as are allowed.
        """
        ticket = await self._table.add(request, key=key, member=member, server=server, reply=reply)
        if ticket.created:
            self._news.moved()
            self._dispatcher.wake()
        return ticket

    async def cancel(self, job_id: str) -> Literal["queued", "running", "gone"]:
        """Cancel; tells whether it had begun. "gone": it was over before, or there is no such job."""
        cancelled = await self._table.cancel(job_id)
        if cancelled is None:
            return "gone"
        job, before = cancelled
        self._changed(job)
        if before is not JobState.QUEUED:
            # Both are lossy; a worker that did not hear is told again when it reports the job, and what is left
            # of the message goes at the next reconcile.
            with suppress(BrokerUnavailable):
                await self._transport.cancel(job_id)
                if job.sequence is not None:
                    await self._transport.discard(job.sequence)
        return "running" if before is JobState.RUNNING else "queued"

    async def job(self, job_id: str) -> Job:
        """Raises: UnknownJob."""
        return await self._table.job(job_id)

    async def position(self, job_id: str) -> int:
        """Number of jobs before it; 0 when it is next, runs or is over. Raises: UnknownJob."""
        return await self._table.position(job_id)

    async def events(self, job_id: str) -> AsyncGenerator[Job | Progress]:
        """The job as it is now, then each change and the latest progress; ends after a finished job.

        A queued job is yielded again when its position may have changed.

        Raises:
            UnknownJob: there is no such job.
            QueueUnavailable: the queue is being closed.
        """
        with self._news.watch(job_id) as watch:
            last = await self._table.job(job_id)
            yield last
            while last.state not in FINISHED:
                await watch.wait()
                while watch.changes:
                    job = watch.changes.popleft()
                    # What `last` tells already is passed over; the end never is, whatever the clock does.
                    if job.changed > last.changed or job.state in FINISHED:
                        last = job
                        yield job
                if last.state in FINISHED:
                    return
                if watch.closed:
                    raise QueueUnavailable("the queue is being closed")
                if watch.moved:
                    watch.moved = False
                    if last.state is JobState.QUEUED:
                        yield last
                if watch.progress is not None:
                    progress, watch.progress = watch.progress, None
                    yield progress

    async def pictures(self, job_id: str) -> tuple[bytes, ...]:
        """The PNG files of a rendered job, in order; none for another.

        Raises:
            UnknownJob: there is no such job.
            QueueUnavailable: they are gone or the store does not answer.
        """
        job = await self._table.job(job_id)
        return tuple([await self._pictures.get(name) for name in job.pictures])

    # For those who answer

    async def update_reply(self, job_id: str, reply: Mapping[str, Any]) -> None:
        """Replace what is kept about where the answer goes. Raises: UnknownJob."""
        await self._table.update_reply(job_id, reply)

    async def mark_told(self, job_id: str) -> bool:
        """The asker has been told the end. False if somebody was first, or the job is not over. Raises: UnknownJob."""
        return await self._table.mark_told(job_id)

    async def untold(self) -> list[Job]:
        """Jobs whose asker has not been told the end, oldest first; live ones too."""
        return await self._table.untold()

    # For the owner

    async def workers(self) -> tuple[WorkerInfo, ...]:
        return self._roster.workers(time.monotonic())

    async def counts(self) -> Mapping[JobState, int]:
        """Number of jobs in each state."""
        return await self._table.counts()

    def healthy(self) -> Health:
        """As far as is known from the last use; asks nobody."""
        storage = self._database.problem or self._intake.problem
        broker = None if self._transport.connected else self._transport.connection.problem or "nats-server is away"
        if self._server is not None and broker is not None:
            broker = self._server.problem or broker
        broker = broker or self._dispatcher.problem
        return Health(
            ok=storage is None and broker is None,
            storage=storage is None,
            broker=broker is None,
            workers=len(self._roster.workers(time.monotonic())),
            problem=storage or broker,
        )

    # What the workers say (ControlListener)

    def on_connected(self) -> None:
        self._dispatcher.wake(reconcile=True)

    async def on_started(self, started: Started) -> None:
        await self._job_runs(started.job, started.attempt)

    async def on_heartbeat(self, heartbeat: Heartbeat) -> None:
        if self._roster.hear(heartbeat, now=time.monotonic(), seen=time.time()):
            self._dispatcher.wake()
        # Starts are announced lossily; heartbeats make up for the lost ones.
        for job_id, attempt in heartbeat.running.items():
            await self._job_runs(job_id, attempt)

    async def on_progress(self, progress: Progress) -> None:
        self._news.progress(progress)

    # Inside

    async def _job_runs(self, job_id: str, attempt: int) -> None:
        if self._known.get(job_id, 0) >= attempt:
            return
        try:
            job = await self._table.running(job_id, attempt=attempt)
            if job is None:
                job = await self._table.find(job_id)
                if job is None or job.state in FINISHED:
                    await self._transport.cancel(job_id)  # Cancelled too late for its worker to hear, or long over.
                    return
            else:
                self._changed(job)
            if job.state is JobState.RUNNING:
                self._known[job_id] = attempt
        except QueueUnavailable as problem:
            log.warning("job %s: its start cannot be noted: %s", job_id, problem)

    def _changed(self, job: Job) -> None:
        if job.state is not JobState.RUNNING:
            self._known.pop(job.id, None)
            self._dispatcher.wake()  # A slot may be free.
        if job.state is JobState.QUEUED or job.state is JobState.CANCELLED:
            self._news.moved()
        self._news.changed(job)

    async def _restart_server(self) -> None:
        if self._server is not None:
            await self._server.restart()

    async def _start(self) -> None:
        self._transport.connection.start()
        own = self._server is not None
        try:
            async with asyncio.timeout(OWN_SERVER_PATIENCE if own else OTHER_SERVER_PATIENCE):
                await self._transport.connection.ready()
        except TimeoutError:
            problem = self._transport.connection.problem or "nats-server does not answer"
            if own:
                raise BrokerUnavailable(problem) from None
            log.warning("%s; jobs wait until it can", problem)
        for name, run in (("dispatcher", self._dispatcher.run), ("intake", self._intake.run)):
            self._tasks.append(asyncio.create_task(_for_ever(name, run), name=f"queue {name}"))

    async def _stop(self) -> None:
        await end(self._tasks)
        self._news.close()
        await self._transport.connection.close()


@asynccontextmanager
async def open_queue(options: QueueOptions, data_dir: Path, *, nats_token: str = "") -> AsyncGenerator[Queue]:
    """The queue of a data folder (an absolute path): `async with open_queue(options, data_dir) as queue`.

    Starts or adopts the embedded nats-server, unless `options.nats_url` names another (whose token is `nats_token`),
    brings the job table to the present revision and mends what a crash left behind. Leaving stops the embedded
    server; workers should be gone by then.

    Raises:
        AlreadyRunning: another process works on this folder.
        StorageFull: the folder cannot be written.
        BrokerUnavailable: the embedded server cannot be started. Another server may be away: jobs then wait.
        QueueUnavailable: the database cannot be reached, or a setting is wrong.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(folder_lock(data_dir))
        url = database_url(options.database_url, data_dir)
        make_private(url)
        database = Database(url)
        stack.push_async_callback(database.close)
        pictures = PictureStore(options.pictures_url or data_dir / "pictures")
        table = JobTable(database, max_queued_per_member=options.max_queued_per_member)

        # The server starts while the table is brought up to date.
        server = None if options.nats_url else EmbeddedServer(data_dir / "nats", port=options.nats_port)
        starting: list[Awaitable[None]] = [_open_table(database, table)]
        if server is not None:
            stack.push_async_callback(server.stop)
            starting.append(server.start())
        for problem in await asyncio.gather(*starting, return_exceptions=True):
            if problem is not None:
                raise problem

        queue = Queue(
            table,
            database,
            pictures,
            options=options,
            nats_url=options.nats_url if server is None else server.url,
            nats_token=nats_token if server is None else server.token,
            server=server,
        )
        stack.push_async_callback(queue._stop)  # pyright: ignore[reportPrivateUsage]  (only its maker stops it)
        await queue._start()  # pyright: ignore[reportPrivateUsage]
        yield queue


async def _open_table(database: Database, table: JobTable) -> None:
    await migrate(database)
    await table.restore_clocks()


async def _for_ever(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """A bug in one round must not stop the queue silently."""
    while True:
        try:
            await run()
        except Exception as error:
            log.error("the %s failed and begins again: %s", name, where(error))  # noqa: TRY400 (may quote a prompt)
            await asyncio.sleep(1)
