"""Watching and steering: why a job waits, late joiners, pause over restarts, dead letters, the command line."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from queuekit import QUICK, paint, state, stored_pictures, submit, until, worker
from sqlalchemy import text
from typer.testing import CliRunner

from daguerre.app.queue_cli import app
from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.control.steering import ask
from daguerre.queue.dispatch.fair import Ahead
from daguerre.queue.errors import BrokerUnavailable, QueueError
from daguerre.queue.nats.credentials import Credentials
from daguerre.queue.records.jobs import Job, JobState, Progress, Rendered
from daguerre.queue.records.requests import ImageRequest
from daguerre.queue.records.usual import Usual
from daguerre.queue.worker.settings import JobContext


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QUICK, tmp_path) as opened:
        yield opened


class Hold:
    """A handler that tells a step with a preview and waits."""

    def __init__(self) -> None:
        self.let = asyncio.Event()

    async def __call__(self, request: ImageRequest, context: JobContext) -> Rendered:
        await context.progress(1, 4, b"a small picture")
        await context.progress(2, 4)
        await self.let.wait()
        return await paint(request, context)


async def test_why_a_job_waits(queue: Queue) -> None:
    """No worker; then its place, whose jobs go before it by class, and for how long; then that it runs."""
    hold = Hold()
    mine = await submit(queue, "running", member="me")
    assert (await queue.why(mine.id)).reason == "no_worker"
    async with worker(queue, hold):
        await state(queue, mine, JobState.RUNNING)
        second = await submit(queue, "second", member="me")
        await submit(queue, "theirs", member="other")
        third = await submit(queue, "third", member="me")
        why = await queue.why(third.id)
        assert (why.reason, why.place) == ("line", 2)
        assert why.ahead == Ahead(own=1, server=1, cost=why.ahead.cost)
        assert why.begins_in is not None
        assert why.done_in is not None
        assert 0 < why.begins_in < why.done_in
        assert (await queue.why(second.id)).begins_in < why.begins_in  # type: ignore[operator]
        assert (await queue.why(mine.id)).reason == "running"
        await queue.pause()
        assert (await queue.why(third.id)).reason == "paused"
        await queue.resume()
        hold.let.set()
        await state(queue, third, JobState.RENDERED)
    assert (await queue.why(third.id)).reason == "over"


async def test_a_flood_of_five_hundred_against_one(tmp_path: Path) -> None:
    """End to end: one member queues 500 jobs, another one. It is the next to begin, behind what runs."""
    begun: list[str] = []
    let = asyncio.Event()

    async def note(request: ImageRequest, context: JobContext) -> Rendered:
        begun.append(request.prompt)
        await let.wait()
        return await paint(request, context)

    options = QUICK.model_copy(update={"max_queued_per_member": 500})
    async with open_queue(options, tmp_path) as queue, worker(queue, note):
        await submit(queue, "flood", member="flooder")
        await until(lambda: begun)
        await asyncio.gather(*(submit(queue, "flood", key=f"f{n}", member="flooder") for n in range(499)))
        quiet = await submit(queue, "quiet", member="quiet")
        assert await queue.position(quiet.id) == 0
        let.set()
        await until(lambda: len(begun) > 2)
    assert begun[:2] == ["flood", "quiet"]


async def test_late_joiners_get_the_latest(queue: Queue) -> None:
    """State first, then the latest step with the latest preview, without waiting for the next."""
    hold = Hold()
    async with worker(queue, hold):
        job = await submit(queue)
        await state(queue, job, JobState.RUNNING)
        await until(lambda: queue._bus.share_done(job.id) == 0.5)
        events = queue.events(job.id, taught=True)
        first, second = await anext(events), await asyncio.wait_for(anext(events), 5)
        assert isinstance(first, Job)
        assert (first.state, second) == (JobState.RUNNING, Progress(job.id, 2, 4, b"a small picture"))
        hold.let.set()
        rest = [event async for event in events]
        assert isinstance(rest[-1], Job)
        assert rest[-1].state is JobState.RENDERED


async def test_what_was_erased_is_not_told_from_memory(queue: Queue) -> None:
    """A request that is replaced in the table once its job is over, and a reply that is replaced before that."""
    async with worker(queue):
        job = await state(queue, await submit(queue, "a private wish"), JobState.RENDERED)
    async with queue._database.write() as connection:
        bare = '{"version": 1, "prompt": "-", "seed": 0}'
        await connection.execute(text("UPDATE jobs SET request = :bare WHERE id = :id"), {"bare": bare, "id": job.id})
    (told,) = [event async for event in queue.events(job.id) if isinstance(event, Job)]
    assert told.request.prompt == "-"
    waiting = await submit(queue, "later")
    await queue.update_reply(waiting.id, {"somewhere": "else"})
    event = await anext(queue.events(waiting.id))
    assert isinstance(event, Job)
    assert event.reply == {"somewhere": "else"}


async def test_a_pause_holds_over_restarts(tmp_path: Path) -> None:
    """Of one server or of all: nothing is handed out until resumed; other servers go on."""
    async with open_queue(QUICK, tmp_path) as queue:
        await queue.pause("s")
        held = await submit(queue)
    async with open_queue(QUICK, tmp_path) as queue, worker(queue):
        assert queue.paused_servers == {"s"}
        other = await queue.submit(held.request, key="t", member="m", server="t", reply={})
        await state(queue, other.job, JobState.RENDERED)
        assert (await queue.job(held.id)).state is JobState.QUEUED
        assert (await queue.why(held.id)).reason == "server_paused"
        await queue.resume("s")
        await state(queue, held, JobState.RENDERED)


async def test_a_dead_job_can_be_retried(queue: Queue) -> None:
    """With its reason on the list; retried it has all attempts again, and whoever answers hears of it."""
    broken = [True]

    async def handler(request: ImageRequest, context: JobContext) -> Rendered:
        if broken[0]:
            raise ValueError(request.prompt)
        return await paint(request, context)

    revived: list[str] = []
    queue.on_revived.append(lambda job: revived.append(job.id))
    async with worker(queue, handler):
        job = await submit(queue, "my secret wish")
        await state(queue, job, JobState.DEAD)
        await queue.mark_notified(job.id)
        (listed,) = await queue.dead()
        assert listed.detail is not None
        assert listed.detail.startswith("ValueError at test_steering.py:")
        assert "secret" not in listed.detail
        broken[0] = False
        assert await queue.retry(job.id)
        done = await state(queue, job, JobState.RENDERED)
        assert (done.attempts, done.told, done.error, revived) == (1, False, None, [job.id])
        assert not await queue.retry(job.id)
        assert await queue.dead() == []


async def test_a_damaged_job_is_given_up_and_told(queue: Queue) -> None:
    """A row that nobody understands ends as failed, with a reason for the member; the others go on."""
    damaged, newer, good = await submit(queue, "1"), await submit(queue, "2"), await submit(queue, "3")
    async with queue._database.write() as connection:
        for job, request in ((damaged, "{broken"), (newer, '{"version": 9}')):
            change = text("UPDATE jobs SET request = :request WHERE id = :id")
            await connection.execute(change, {"request": request, "id": job.id})
    queue._memory.forget_recent()
    async with worker(queue):
        assert (await state(queue, damaged, JobState.FAILED)).error == "unreadable"
        assert (await state(queue, newer, JobState.FAILED)).error == "other_version"
        await state(queue, good, JobState.RENDERED)


async def test_nine_megabytes_are_no_trouble(queue: Queue) -> None:
    """A picture of 9 MB arrives in parts; a preview of 9 MB is dropped; 9 MB of metadata are left out."""

    async def handler(request: ImageRequest, context: JobContext) -> Rendered:
        await context.progress(1, 2, bytes(9_000_000))
        return Rendered((bytes(9_000_000),), {"notes": "x" * 9_000_000})

    async with worker(queue, handler):
        job = await state(queue, await submit(queue), JobState.RENDERED)
    assert [len(picture) for picture in await stored_pictures(queue, job.id)] == [9_000_000]
    assert job.metadata == {}


async def test_the_status_tells_what_workers_tell(queue: Queue) -> None:
    """Every field of a worker, what is usual for its models too, in JSON."""
    async with worker(queue, models=("toy",), usual={"toy": Usual(steps=4)}):
        await until(lambda: queue._registry.workers(time.monotonic()) != ())
        status = await ask(queue.nats_url, Credentials(token=queue.nats_token), "status")
    (told,) = status["workers"]
    assert (told["name"], told["models"], told["usual"]["toy"]["steps"]) == ("here", ["toy"], 4)


async def test_asking_from_another_process(queue: Queue) -> None:
    """Status, why, cancel; what is wrong is told in words; a stranger's token gets nothing."""
    credentials = Credentials(token=queue.nats_token)
    job = await submit(queue)
    status = await ask(queue.nats_url, credentials, "status")
    assert (status["ok"], status["jobs"]["queued"], status["workers"]) == (True, 1, [])
    why = await ask(queue.nats_url, credentials, "why", job.id[:20])
    assert (why["reason"], why["job"]["id"]) == ("no_worker", job.id)
    assert [step["state"] for step in why["history"]] == ["queued"]
    with pytest.raises(QueueError, match="no job"):
        await ask(queue.nats_url, credentials, "cancel", "ffff")
    assert (await ask(queue.nats_url, credentials, "cancel", job.id))["cancelled"] == "queued"
    with pytest.raises(BrokerUnavailable, match="refuses the token"):
        await ask(queue.nats_url, Credentials(token="wrong"), "status", answer_seconds=1.0)
    with pytest.raises(QueueError, match="does not know such a question"):
        await ask(queue.nats_url, credentials, "dance")


async def test_the_command_line(queue: Queue, tmp_path: Path) -> None:
    """`daguerre queue …` finds the queue by its data folder, prints for people or as JSON, and fails in words."""
    job = await submit(queue)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DAGUERRE_")},
        "DAGUERRE_STORAGE__DATA_DIR": str(tmp_path),
    }

    async def run(*arguments: str) -> tuple[int | None, str]:
        code = (
            "import sys; from daguerre.app import cli, queue_cli\n"
            "if 'queue' not in {g.name for g in cli.app.registered_groups}: cli.app.add_typer(queue_cli.app)\n"
            "sys.argv = ['daguerre', 'queue', *sys.argv[1:]]; cli.main()"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, *arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = await process.communicate()
        return process.returncode, output.decode()

    assert json.loads((await run("status", "--json"))[1])["jobs"]["queued"] == 1
    assert "workers  none is connected" in (await run("status"))[1]
    assert await run("pause") == (0, "paused: everything\n")
    assert queue.paused
    assert await run("resume") == (0, "resumed: everything\n")
    assert (await run("dead"))[1] == "no job has ended without pictures\n"
    assert "no_worker" in (await run("why", job.id))[1]
    assert "cancelled before it began" in (await run("cancel", job.id))[1]
    status, told = await run("retry", job.id)
    assert (status, "only failed and dead" in told) == (0, True)
    assert (await run("cancel", "ffff")) == (
        75,
        'daguerre: no job, or more than one, has a number that begins with "ffff"\n',
    )
    assert "no connected worker" in (await run("drain", "nobody"))[1]


def test_without_a_queue_the_command_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to get one."""
    monkeypatch.setenv("DAGUERRE_STORAGE__DATA_DIR", str(tmp_path))
    result = CliRunner().invoke(app, ["status"])
    assert "run scripts/start" in str(result.exception)
