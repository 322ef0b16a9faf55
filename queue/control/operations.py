"""What an owner and a server's moderators may do: look at the queue, pause it, drain workers, try jobs again."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence

from ..dispatch import Dispatcher, Intake, JobMemory
from ..errors import UnknownJob
from ..nats import EmbeddedServer, NatsControl
from ..options import QueueOptions
from ..records import Entry, Job, JobState, Limits, Standing, Usual, WorkerInfo, of_roles, parse_roles, usual_of
from ..store import Database, JobTable
from .health import Health
from .room import Room


class Operations:
    """The part of the queue that owners see; the constructor takes what all of the queue stands on."""

    _dispatcher: Dispatcher
    _intake: Intake
    _room: Room

    def __init__(
        self, table: JobTable, database: Database, memory: JobMemory, transport: NatsControl,
        server: EmbeddedServer | None, options: QueueOptions,
    ) -> None:  # fmt: skip
        #: Called with each job that is tried again.
        self.on_revived: list[Callable[[Job], None]] = []
        self._table = table
        self._database = database
        self._memory = memory
        self._line, self._registry, self._bus = memory.line, memory.registry, memory.bus
        self._transport = transport
        self._server = server
        self._limits = options.limits
        self._roles = parse_roles(options.roles)

    async def workers(self) -> tuple[WorkerInfo, ...]:
        return self._registry.workers(time.monotonic())

    async def usual(self, model: str = "") -> Usual:
        """What is usual just now for the model of that name; empty: for what the workers have."""
        return usual_of(await self.workers(), model)

    async def counts(self) -> Mapping[JobState, int]:
        """Number of jobs in each state."""
        return await self._table.counts()

    def healthy(self) -> Health:
        """As far as is known from the last use; asks nobody."""
        storage = self._database.problem or self._intake.problem or self._room.problem
        broker = None if self._transport.connected else self._transport.connection.problem or "nats-server is away"
        if self._server is not None and broker is not None:
            broker = self._server.problem or broker
        broker = broker or self._dispatcher.problem
        return Health(
            ok=storage is None and broker is None,
            storage=storage is None,
            broker=broker is None,
            workers=len(self._registry.workers(time.monotonic())),
            problem=storage or broker,
        )

    @property
    def paused(self) -> bool:
        """Whether nothing is handed to workers, by an owner's wish."""
        return self._line.paused

    @property
    def paused_servers(self) -> frozenset[str]:
        """Servers whose jobs wait by a moderator's wish."""
        return frozenset(self._line.paused_servers)

    def lined_up(self, limit: int) -> Sequence[Entry]:
        """The jobs that wait, in the order in which they would be sent; at most `limit`."""
        return self._line.lined_up(limit)

    def with_workers(self) -> Mapping[str, str | None]:
        """The jobs that are out, each with the group of workers that it was sent to."""
        return dict(self._line.out)

    def server_counts(self, server: str) -> tuple[int, int]:
        """Jobs of one server that wait, and that are with workers."""
        return self._line.server_counts(server)

    def standing(self, server: str, member: str, roles: Collection[str] = ()) -> tuple[Limits, Standing]:
        """What a member with these roles may ask for, and what counts against it now."""
        return of_roles(self._limits, roles, self._roles), self._line.standing(server, member, time.time())

    async def pause(self, server: str | None = None) -> None:
        """Hand out no more jobs (of one server), now and after restarts; what runs goes on."""
        await self._hold(True, server)

    async def resume(self, server: str | None = None) -> None:
        await self._hold(False, server)

    async def drain(self, worker: str | None = None) -> tuple[str, ...]:
        """Have a worker (by name or instance), or all, finish what runs, hand back the rest and end.

        Gives the instances that were told.

        Raises:
            UnknownJob: no living worker has this name.
        """
        now = time.monotonic()
        if worker is None:
            await self._transport.drain("")
            return tuple(info.instance for info in self._registry.workers(now))
        instances = self._registry.find(worker, now)
        if not instances:
            raise UnknownJob(f'no connected worker is called "{worker}"')
        for instance in instances:
            await self._transport.drain(instance)
        return tuple(instances)

    async def dead(self, limit: int = 50, *, server: str | None = None) -> list[Job]:
        """Jobs whose every attempt broke, or that a worker refused; newest first; of one server if given."""
        return await self._table.broken_jobs(limit, server)

    async def retry(self, job_id: str) -> bool:
        """Try a failed or dead job again; its asker hears of it in the same message. False if it did not end so."""
        job = await self._table.retry(job_id)
        if job is None:
            return False
        self._memory.changed(job)
        for revived in self.on_revived:
            revived(job)
        return True

    async def _hold(self, hold: bool, server: str | None) -> None:
        servers = set(self._line.paused_servers)
        if server is not None:
            (servers.add if hold else servers.discard)(server)
        everything = self._line.paused if server is not None else hold
        await self._table.remember("paused", {"all": everything, "servers": sorted(servers)})
        self._line.paused, self._line.paused_servers = everything, servers
        self._bus.moved()
        self._memory.wake.set()
