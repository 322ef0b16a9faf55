"""The job table on a real PostgreSQL: the same semantics, one control process at a time, a server that goes away."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from queue_postgres import Postgres, a_postgres
from queuekit import QUICK, asked, state, submit, until, worker
from sqlalchemy import text

from daguerre.queue.control.service import open_queue
from daguerre.queue.errors import Ousted, QueueUnavailable
from daguerre.queue.moderation.gate import Forbidden
from daguerre.queue.moderation.rules import checked_rule
from daguerre.queue.options import QueueOptions
from daguerre.queue.records.jobs import JobState
from daguerre.queue.store.database import Database, database_url
from daguerre.queue.store.server_settings import ServerSettings

CONTROL_PROCESS = Path(__file__).parents[1] / "support" / "queue_control_process.py"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with a_postgres() as running:
        yield running


@pytest.fixture
async def options(server: Postgres, tmp_path: Path) -> QueueOptions:
    """Settings on an empty database."""
    database = Database(database_url(server.url, tmp_path))
    async with database.engine.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
    await database.close()
    return QUICK.model_copy(update={"database_url": server.url})


async def test_one_prompts_way(options: QueueOptions, tmp_path: Path) -> None:
    """Idempotent, rendered, delivered, each state recorded, as on SQLite; usage and a dead job's retry too."""
    async with open_queue(options, tmp_path) as queue:
        ticket = await queue.submit(asked(), key="k", member="m", server="s", reply={"a": 1})
        assert not (await queue.submit(asked(), key="k", member="m", server="s", reply={})).created
        async with worker(queue):
            await state(queue, ticket.job, JobState.RENDERED)
        assert await queue.mark_notified(ticket.job.id)
        steps = [step.after.value for step in await queue.history(ticket.job.id)]
        # "running" is passed over where the worker's end is heard before its beginning.
        assert [step for step in steps if step != "running"] == ["queued", "sent", "rendered", "delivered"]
        assert (await queue.job(ticket.job.id)).reply == {"a": 1}
        other = await submit(queue, "another")
        assert await queue._table.broken(other.id, state=JobState.DEAD, error="broken", attempts=3)
        assert await queue.retry(other.id)
    async with open_queue(options, tmp_path) as queue, worker(queue):
        await state(queue, other, JobState.RENDERED)


async def test_a_second_control_process_stands_by_and_takes_over(options: QueueOptions, tmp_path: Path) -> None:
    """kill -9 of the first: within five seconds the second has the queue, with what waited in it."""
    control = await asyncio.create_subprocess_exec(
        sys.executable, CONTROL_PROCESS, tmp_path / "first", "one", "two", stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "DATABASE_URL": options.database_url},
    )  # fmt: skip
    assert control.stdout is not None
    await asyncio.wait_for(control.stdout.readline(), 60)
    opened = asyncio.Event()

    async def second() -> None:
        async with open_queue(options, tmp_path / "second") as queue, worker(queue):
            opened.set()

            async def all_done() -> bool:
                return (await queue.counts())[JobState.RENDERED] == 2

            await until(all_done)

    waiting = asyncio.create_task(second())
    await asyncio.sleep(1.5)
    assert not opened.is_set(), "only one works at a time"
    control.kill()
    killed = time.monotonic()
    await asyncio.wait_for(opened.wait(), 30)
    took = time.monotonic() - killed
    await control.communicate()
    await waiting
    os.kill(int((tmp_path / "first" / "nats" / "nats-server.pid").read_text()), signal.SIGKILL)
    print(f"\ntaken over {took:.1f} s after kill -9, load {os.getloadavg()[0]:.1f}")
    assert took < 5, f"taken over after {took:.1f} s, load {os.getloadavg()[0]:.1f}"


async def test_a_standby_holds_to_what_the_first_decided(options: QueueOptions, tmp_path: Path) -> None:
    """Its memory of rules, bans, grants and settings begins when it has the lease; nothing older is in it."""

    async def second() -> None:
        async with open_queue(options, tmp_path / "second") as queue:
            with pytest.raises(Forbidden) as refused:
                await queue.submit(asked(), key="m", member="m", server="1", reply={})
            assert refused.value.code == "refused.banned"
            assert await queue.moderation.store.granted("1", "n") == 60
            assert [rule.pattern for rule in await queue.moderation.store.rules("1")] == ["vanish"]
            assert (await queue.server_settings.get("1")).steps == 7
            assert (await submit(queue, member="n")).state is JobState.QUEUED

    async with open_queue(options, tmp_path / "first") as first:
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.5)
        assert await first.moderation.store.ban_of("1", "m", ["7"]) is None
        await first.moderation.store.ban("1", "member", "m", "mona", until=None)
        await first.moderation.store.grant("1", "n", 60, "mona")
        await first.moderation.store.add_rule("1", checked_rule(pattern="vanish"), "mona")
        await first.server_settings.put("1", ServerSettings(steps=7), "mona")
        ban = await first.moderation.store.ban_of("1", "m", ["7"])
        assert ban is not None
        assert not waiting.done()
    await asyncio.wait_for(waiting, 30)


async def test_one_who_was_frozen_can_write_nothing_any_more(options: QueueOptions, tmp_path: Path) -> None:
    """The lease runs out meanwhile and another takes over. The first, back again, is fenced off by its epoch."""
    async with open_queue(options, tmp_path / "first") as first:
        job = await submit(first, "mine")
        database = Database(database_url(options.database_url, tmp_path))
        async with database.engine.begin() as connection:
            await connection.execute(text("UPDATE leases SET epoch = epoch + 1, expires = 0"))  # As the second would.
        await database.close()
        with pytest.raises(Ousted, match="taken"):
            await submit(first, "too late")
        await asyncio.wait_for(first.ousted.wait(), 10)
    async with open_queue(options, tmp_path / "second") as second:
        assert (await second.job(job.id)).state is JobState.QUEUED
        assert sum((await second.counts()).values()) == 1


@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.slow)])
async def test_gone_for_a_while(server: Postgres, options: QueueOptions, tmp_path: Path, seconds: int) -> None:
    """PostgreSQL goes away: who asks is told, what is rendered meanwhile waits in NATS, and all goes on afterwards."""
    let = asyncio.Event()

    async def handler(request: object, context: object) -> object:
        from queuekit import paint

        await let.wait()
        return await paint(request, context)  # type: ignore[arg-type]

    async with open_queue(options, tmp_path) as queue, worker(queue, handler):  # type: ignore[arg-type]
        job, waiting = await submit(queue, "running"), await submit(queue, "waiting")
        await state(queue, job, JobState.RUNNING)
        server.stop()
        let.set()
        with pytest.raises(QueueUnavailable, match="job table"):
            await submit(queue, "meanwhile")
        assert not queue.healthy().storage
        await asyncio.sleep(seconds)
        server.start()
        for one in (job, waiting):
            await state_despite_trouble(queue, one)
        assert not queue.ousted.is_set()
        await until(lambda: queue.healthy().ok)


async def state_despite_trouble(queue: object, job: object) -> None:
    """Rendered in the end, though asking may fail at first."""
    deadline = time.monotonic() + 60
    while True:
        try:
            await state(queue, job, JobState.RENDERED)  # type: ignore[arg-type]
        except QueueUnavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)
        else:
            return
