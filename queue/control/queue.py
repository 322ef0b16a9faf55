"""The queue as `bot`, `web` and `app` see it: one facade in the control process, opened by service.py."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from ..dispatch import (
    Dispatcher,
    Intake,
    JobMemory,
    Why,
    WorkerEvents,
    explain,
    follow,
)
from ..errors import BrokerUnavailable, InvalidRequest, NotShown, QueueError, QueueFull
from ..moderation import Asker, Forbidden, Moderation, ModerationOptions, Permit, Place, Privacy, Showing
from ..nats import Credentials, EmbeddedServer, NatsControl
from ..observe import Meters, NoSpans, Spans, about_job
from ..options import QueueOptions
from ..pictures import PictureStore, Sources
from ..records import (
    ImageRequest,
    Job,
    Limits,
    Priority,
    Progress,
    Transition,
    check,
    check_size,
    of_roles,
    parse_roles,
    work,
)
from ..store import Database, GalleryStore, JobTable, MemberStore, ServerSettingsStore, Statistics, Ticket
from ..tasks import end, for_ever
from .alike import Alike
from .housekeeping import Housekeeping
from .operations import Operations
from .room import Room
from .steering import Steering

log = logging.getLogger(__name__)

#: Seconds that opening waits for nats-server: one that we started must come, another may be away for now.
OWN_SERVER_TIMEOUT = 15.0
OTHER_SERVER_TIMEOUT = 1.0


class Queue(Operations):
    """Submit, follow, cancel, steer. Made by `open_queue`.

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
        credentials: Credentials,
        server: EmbeddedServer | None,
        ousted: asyncio.Event,
        copies: Path,
        room: Room,
        version: str = "",
        moderation: ModerationOptions | None = None,
        spans: Spans | None = None,
        log_prompts: bool = False,
    ) -> None:
        transport = NatsControl(nats_url, credentials, ack_wait=options.ack_wait_seconds)
        #: What Prometheus reads, and what OpenTelemetry gets; the bot adds to both.
        self.meters = Meters()
        self.spans: Spans = spans or NoSpans()
        self._log_prompts = log_prompts
        self._version = version
        #: Reads the settings again; set by who has read them.
        self.on_reload: Callable[[], Mapping[str, Any]] | None = None
        self._room = room
        super().__init__(table, database, JobMemory(table, options, self.meters), transport, server, options)
        #: What a worker process needs to dial in; the token is a secret.
        self.nats_url = nats_url
        self.nats_token = credentials.token
        self.credentials = credentials
        self.server_settings = ServerSettingsStore(database)
        self.members = MemberStore(database)
        self.gallery = GalleryStore(database)
        self.statistics = Statistics(database)
        self.moderation = Moderation(database, self.server_settings, moderation or ModerationOptions(), self.meters)
        self.showing = Showing(table, self.moderation, pictures, self.server_settings)
        self.privacy = Privacy(database, pictures, self.members, self.moderation.options, self.showing)
        #: Set when another control process has taken over: nothing can be written any more.
        self.ousted = ousted
        self._pictures = pictures
        self._sources = Sources(table, pictures)
        self._dispatcher = Dispatcher(
            table, self._transport, self._memory, self._sources, options, self._restart_server, self.spans
        )
        self._worker_events = WorkerEvents(
            table, self._transport, self._dispatcher, self._memory, Steering(self).answer, version
        )
        self._housekeeping = Housekeeping(
            table, self._sources, self.privacy, copies, transitions_days=options.keep_transitions_days
        )
        self._intake = Intake(table, pictures, self._transport, self._memory, self.spans)
        #: Submissions on their way into the table, by member: they count against the limits already.
        self._entering: Counter[str] = Counter()
        self._alike = Alike()
        self._tasks: list[asyncio.Task[None]] = []

    # For those who ask for pictures

    async def submit(
        self,
        request: ImageRequest,
        *,
        key: str,
        member: str,
        server: str,
        reply: Mapping[str, Any],
        priority: Priority = "fast",
        roles: Collection[str] = (),
        pool: str = "",
        relaxed: bool = False,
        moderates: bool = False,
        brought: Collection[str] = (),
        blurred: bool = False,
    ) -> Ticket:
        """Queue a request, durably, as moderation/gate.py admits it. The same `key` again gives the same job, for ever.

        `roles` of the member may change weight and limits ([queue] roles); only workers of `pool` render it if given.
        `brought` are pictures that the member sent for it; any other that it names has to be theirs, or of a server
        that they moderate. `blurred`: what comes of it is shown behind a spoiler, as what it begins from is.

        Raises:
            Forbidden: it may not be asked for here; says why.
            NotShown: a picture that it begins from may not be used, or not here; says why.
            InvalidRequest: a picture that it begins from is not in the store, or another's.
            QueueFull: a limit is reached; says which, what is allowed and when more is.
        """
        async with self._alike.turn(key) as waited:
            if waited and (earlier := await self._table.find_key(key)) is not None:
                return Ticket(earlier, created=False)
            limits = of_roles(self._limits, roles, self._roles)
            self._room.check()
            try:
                admitted = await self.moderation.admit(
                    request, key=key, member=member, server=server, roles=roles, relaxed=relaxed, limits=limits
                )
                request, limits, priority = admitted.request, admitted.limits, admitted.priority(priority)
                check_size(request, self._registry.workers(time.monotonic()))
                cost = max(work(request) * self._memory.pace, 1e-3)
                self._check(limits, server, member, cost)
                place, asker = Place(server, adult=relaxed), Asker(member, roles, moderates)
                begun = self.showing.beginning(request, place, asker, brought)
                await self._sources.check(request, begun.usable)
            except (Forbidden, QueueFull, InvalidRequest, NotShown):
                if (earlier := await self._table.find_key(key)) is None:
                    raise
                return Ticket(earlier, created=False)
            self._entering[member] += 1
            try:
                ticket = await self._table.add(
                    request, key=key, member=member, server=server, reply=reply, priority=priority,
                    weight=limits.weight, cost=cost, pool=pool,
                    marks=admitted.job_marks(blurred=blurred or begun.blurred),
                )  # fmt: skip
                if ticket.created:
                    self._entered(ticket.job)
            finally:
                self._entering[member] -= 1
                if not self._entering[member]:
                    del self._entering[member]
            return ticket

    def _entered(self, job: Job) -> None:
        with about_job(job.id):
            log.info("job %s is queued server=%s pictures=%d", job.id, job.server, job.request.count)
            if self._log_prompts:
                log.info("it asks for %s", job.request.prompt)
        self._memory.entered(job)

    async def keep_source(self, data: bytes) -> str:
        """Store a picture to begin from, as `uploads` makes it; gives its name. Raises: InvalidPicture, says why."""
        return await self._sources.keep(data)

    async def source(self, name: str) -> bytes:
        """The file of a picture that somebody sent. Raises: QueueUnavailable; for what was drawn, ask `showing`."""
        return await self._sources.sent(name)

    def adopt(self, options: QueueOptions, moderation: ModerationOptions, *, log_prompts: bool) -> None:
        """Go by changed settings from the next job on: limits, rules, times. What needs a restart is not looked at."""
        self._limits, self._roles = options.limits, parse_roles(options.roles)
        self._line.limits = options.limits
        self._room.least = options.min_free_megabytes
        self._housekeeping.transitions_days = options.keep_transitions_days
        self._dispatcher.adopt(options)
        self.moderation.adopt(moderation)
        self.privacy.options = moderation
        self._log_prompts = log_prompts
        self._memory.wake.set()

    def reload(self) -> Mapping[str, Any]:
        """Have the settings read again, by whoever opened this queue. Raises: QueueError; says what is wrong."""
        if self.on_reload is None:
            raise QueueError("this process does not read its settings again; start it anew")
        return self.on_reload()

    async def cancel(self, job_id: str) -> Literal["queued", "running", "gone"]:
        """Cancel; tells whether it had begun. "gone": it was over before, or there is no such job."""
        begun = job_id in self._memory.running
        job = await self._table.cancel(job_id)
        if job is None:
            return "gone"
        was_out = self._line.is_out(job_id)
        self._memory.changed(job)
        if was_out:
            # Both are lossy; a worker that did not hear is told again when it reports the job, and what is left
            # of the message goes at the next reconcile.
            with suppress(BrokerUnavailable):
                await self._transport.cancel(job_id)
                if job.sequence is not None:
                    await self._transport.discard(job.sequence)
        return "running" if begun else "queued"

    async def job(self, job_id: str) -> Job:
        """Raises: UnknownJob."""
        return await self._table.job(job_id)

    async def look_up(self, start: str) -> Job | None:
        """The one job whose id begins so; None when there is none, or more than one."""
        if not re.fullmatch(r"[0-9a-f]{4,32}", start):
            return None
        found = await self._table.beginning_with(start)
        return found[0] if len(found) == 1 else None

    async def position(self, job_id: str) -> int:
        """Number of jobs before it; 0 when it is next, runs or is over. Raises: UnknownJob."""
        ahead = self._line.ahead(job_id)
        if ahead is not None:
            return ahead.jobs
        await self._table.job(job_id)
        return 0

    async def why(self, job_id: str | Job) -> Why:
        """What a job waits for, and for how long; a `Job` given as it is now is not read again. Raises: UnknownJob."""
        job = await self._table.job(job_id) if isinstance(job_id, str) else job_id
        return explain(job, self._line, self._registry, self._bus.share_done, time.monotonic())

    async def history(self, job_id: str) -> tuple[Transition, ...]:
        """Every state that the job has been in, with its time."""
        return await self._table.history(job_id)

    async def events(self, job_id: str, *, taught: bool = False) -> AsyncGenerator[Job | Progress]:
        """The job as it is now with its latest progress, then each change and progress; ends after a finished job.

        A queued job is yielded again when its position may have changed. Progress is lossy; whoever joins late gets
        the latest, with the latest preview where one may be seen (`Showing.preview`, which explains `taught`).

        Raises:
            UnknownJob: there is no such job.
            QueueUnavailable: the queue is being closed.
        """
        async with aclosing(follow(self._bus, self._table, job_id)) as events:
            async for event in events:
                yield event if isinstance(event, Job) else await self.showing.progress(event, taught=taught)

    async def pictures(self, permit: Permit) -> tuple[bytes, ...]:
        """The PNG files that `showing` gave leave to show, in order. Raises: QueueUnavailable (they may be gone)."""
        return await self.showing.pictures(permit)

    # For those who answer

    async def update_reply(self, job_id: str, reply: Mapping[str, Any]) -> None:
        """Replace what is kept about where the answer goes. Raises: UnknownJob."""
        await self._table.update_reply(job_id, reply)
        self._bus.forget(job_id)

    async def mark_notified(self, job_id: str) -> bool:
        """The asker has been told the end. False if somebody was first, or the job is not over. Raises: UnknownJob."""
        job = await self._table.mark_notified(job_id)
        if job is not None:
            self._bus.changed(job)
        return job is not None

    async def pending_notifications(self) -> list[Job]:
        """Jobs whose asker does not know the end yet, oldest first; live ones too."""
        return await self._table.pending_notifications()

    def _check(self, limits: Limits, server: str, member: str, cost: float) -> None:
        now = time.time()
        standing = self._line.standing(server, member, now)
        entering = self._entering[member]
        check(limits, replace(standing, member=standing.member + entering), cost, now)

    async def _restart_server(self) -> None:
        if self._server is not None:
            await self._server.restart()

    async def start(self) -> None:
        """Called once, by who opened it."""
        await self._memory.recall()
        await self._note_version()
        self._transport.start(self._worker_events)
        own = self._server is not None
        try:
            async with asyncio.timeout(OWN_SERVER_TIMEOUT if own else OTHER_SERVER_TIMEOUT):
                await self._transport.connection.ready()
        except TimeoutError:
            problem = self._transport.connection.problem or "nats-server does not answer"
            if own:
                raise BrokerUnavailable(problem) from None
            log.warning("%s; jobs wait until it can", problem)
        for name, run in (
            ("dispatcher", self._dispatcher.run),
            ("intake", self._intake.run),
            ("memory", self._memory.keep_pace),
            ("housekeeping", self._housekeeping.run),
        ):
            self._tasks.append(asyncio.create_task(for_ever(name, run), name=f"queue {name}"))

    async def _note_version(self) -> None:
        """Say so when this is the first start of another version."""
        before = await self._table.recall("version")
        if not self._version or before == self._version:
            return
        if before:
            log.warning("daguerre %s starts; %s ran here before. CHANGELOG.md says what is new", self._version, before)
        await self._table.remember("version", self._version)

    async def stop(self) -> None:
        await end(self._tasks)
        self._bus.close()
        await self._transport.connection.close()
