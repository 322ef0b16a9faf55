"""Opening the queue: lock, lease, job table, nats-server, in the order in which each needs the one before.

What `bot`, `web` and `app` import of the queue is here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from ..dispatch import Why
from ..moderation import ModerationOptions
from ..nats import Credentials, EmbeddedServer
from ..observe import Spans
from ..options import QueueOptions
from ..pictures import PictureStore, local_folder
from ..records import WorkerInfo
from ..store import COPIES_BEFORE, Database, JobTable, Lease, Ticket, database_url, folder_lock, make_private, upgrade
from ..tasks import end
from .health import Health
from .queue import Queue
from .room import Room

__all__ = ["Health", "Queue", "Ticket", "Why", "WorkerInfo", "open_queue"]


@asynccontextmanager
async def open_queue(
    options: QueueOptions, data_dir: Path, *, nats_token: str = "", moderation: ModerationOptions | None = None,
    spans: Spans | None = None, log_prompts: bool = False, version: str = "",
) -> AsyncGenerator[Queue]:  # fmt: skip
    """The queue of a data folder (an absolute path): `async with open_queue(options, data_dir) as queue`.

    Starts or adopts the embedded nats-server, unless `options.nats_url` names another (whose token is `nats_token`),
    brings the job table to the present revision and mends what a crash left behind. Leaving stops the embedded
    server; workers should be gone by then. On a PostgreSQL database that another control process works on, it waits
    until that one is gone. `spans` get the times of each job's way; `log_prompts`: the log quotes what is asked for.
    `version`: of this program; a change of it is told, and workers of another one.

    Raises:
        AlreadyRunning: another process works on this folder.
        StorageFull: the folder cannot be written.
        BrokerUnavailable: the embedded server cannot be started. Another server may be away: jobs then wait.
        QueueUnavailable: the database cannot be reached, or a setting is wrong.
    """
    copies = data_dir / COPIES_BEFORE
    async with AsyncExitStack() as stack:
        stack.enter_context(folder_lock(data_dir))
        url = database_url(options.database_url, data_dir)
        make_private(url)
        database = Database(url)
        stack.push_async_callback(database.close)
        pictures = PictureStore(options.pictures_url or data_dir / "pictures")
        stack.callback(pictures.close)
        table = JobTable(database)
        credentials = Credentials(
            token=nats_token,
            creds_file=options.nats_creds_file,
            ca_file=options.nats_ca_file,
            cert_file=options.nats_cert_file if options.nats_url else "",
            key_file=options.nats_key_file if options.nats_url else "",
        )
        credentials.check()
        ousted = asyncio.Event()
        if url.get_backend_name() == "postgresql":
            ousted = await _hold_lease(stack, database)

        # The server starts while the table is brought up to date.
        server = None
        if not options.nats_url:
            files = (options.nats_cert_file, options.nats_key_file)
            server = EmbeddedServer(data_dir / "nats", port=options.nats_port, host=options.nats_host, tls=files)
        starting: list[Awaitable[None]] = [upgrade(database, copies)]
        if server is not None:
            stack.push_async_callback(server.stop)
            starting.append(server.start())
        for problem in await asyncio.gather(*starting, return_exceptions=True):
            if problem is not None:
                raise problem

        elsewhere = local_folder(options.pictures_url or data_dir / "pictures")
        folders = [data_dir, *([elsewhere] if elsewhere is not None else [])]
        queue = Queue(
            table,
            database,
            pictures,
            options=options,
            nats_url=options.nats_url if server is None else server.url,
            credentials=credentials if server is None else replace(credentials, token=server.token, creds_file=""),
            server=server,
            copies=copies,
            room=Room(folders, options.min_free_megabytes),
            ousted=ousted,
            moderation=moderation,
            spans=spans,
            log_prompts=log_prompts,
            version=version,
        )
        stack.push_async_callback(queue.stop)
        await queue.start()
        yield queue


async def _hold_lease(stack: AsyncExitStack, database: Database) -> asyncio.Event:
    """Be the one who writes; gives the event that is set when that is over."""
    lease = Lease(database)
    await lease.acquire()
    stack.push_async_callback(lease.release)
    keeping = asyncio.create_task(lease.keep(), name="queue lease")

    async def let_go() -> None:
        await end([keeping])

    stack.push_async_callback(let_go)
    database.fence = lease.fence
    return lease.lost
