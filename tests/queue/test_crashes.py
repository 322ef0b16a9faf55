"""Workers, nats-server and the control process are killed; every job still ends exactly once."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from queuekit import QUICK, Address, WorkerProcess, asked, paint, state, stored_pictures, submit, until, worker
from sqlalchemy import text

from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.records.jobs import Job, JobState, Rendered
from daguerre.queue.records.requests import ImageRequest
from daguerre.queue.records.transport import JobMessage
from daguerre.queue.store.table import Carried
from daguerre.queue.worker.settings import JobContext

CONTROL_PROCESS = Path(__file__).parents[1] / "support" / "queue_control_process.py"


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QUICK, tmp_path) as opened:
        yield opened


def kill_nats_server(queue: Queue) -> int:
    assert queue._server is not None
    assert queue._server.pid is not None
    os.kill(queue._server.pid, signal.SIGKILL)
    return queue._server.pid


async def reconnected(queue: Queue) -> None:
    await until(lambda: not queue.healthy().broker)
    await until(lambda: queue.healthy().broker)


async def test_a_killed_worker_is_replaced(queue: Queue, tmp_path: Path) -> None:
    """kill -9 in mid-render: a restarted worker renders the job again, and it ends once, for one follower."""
    gate = tmp_path / "gate"
    async with WorkerProcess(queue, tmp_path) as apart:
        job = await submit(queue, f"wait {gate}")
        await state(queue, job, JobState.RUNNING)
        ended: list[JobState] = []

        async def follow() -> None:
            ended.extend([event.state async for event in queue.events(job.id) if isinstance(event, Job)])

        following = asyncio.create_task(follow())
        await apart.kill()
        gate.touch()
        await apart.start()
        done = await state(queue, job, JobState.RENDERED)
        await asyncio.wait_for(following, 5)
        assert ended.count(JobState.RENDERED) == 1
        assert (done.attempts, apart.attempts()) == (2, [f"{job.id}:1", f"{job.id}:2"])
        assert await stored_pictures(queue, job.id) == (b"png from a process",)


async def test_a_live_peer_takes_over(queue: Queue, tmp_path: Path) -> None:
    """No restart is needed where another worker lives."""
    gate = tmp_path / "gate"
    async with WorkerProcess(queue, tmp_path) as apart:
        job = await submit(queue, f"wait {gate}")
        await state(queue, job, JobState.RUNNING)
        async with worker(queue):
            await apart.kill()
            assert (await state(queue, job, JobState.RENDERED)).attempts == 2
    assert await stored_pictures(queue, job.id) == (b"png 7",)


async def test_a_job_that_kills_its_worker_three_times_is_dead(queue: Queue, tmp_path: Path) -> None:
    """Pitfall 6: the fourth delivery is not rendered but declared dead; the next job goes on."""
    async with WorkerProcess(queue, tmp_path) as apart:
        job = await submit(queue, "die")

        async def supervise() -> None:
            while True:
                assert apart.process is not None
                await apart.process.wait()
                await apart.start()

        supervising = asyncio.create_task(supervise())
        dead = await state(queue, job, JobState.DEAD, seconds=120)
        supervising.cancel()
        await asyncio.gather(supervising, return_exceptions=True)
        assert (dead.error, dead.attempts) == ("broken", 3)
        assert "killed its worker" in str(dead.detail)
        assert [one.id for one in await queue.dead()] == [job.id]
        assert apart.attempts() == [f"{job.id}:{attempt}" for attempt in (1, 2, 3)]
        await state(queue, await submit(queue, "next"), JobState.RENDERED)


async def test_terminated_it_finishes(queue: Queue, tmp_path: Path) -> None:
    """Pitfall 9: SIGTERM with a running job: it ends well, then the process does, with status 0."""
    gate = tmp_path / "gate"
    async with WorkerProcess(queue, tmp_path) as apart:
        job = await submit(queue, f"wait {gate}")
        await state(queue, job, JobState.RUNNING)
        assert apart.process is not None
        apart.process.terminate()
        gate.touch()
        assert (await state(queue, job, JobState.RENDERED)).attempts == 1
        assert await asyncio.wait_for(apart.process.wait(), 10) == 0


async def test_nats_server_killed_in_mid_render(queue: Queue) -> None:
    """Pitfalls 1 and 3: the lease runs out meanwhile and the job comes again; the worker adopts it, renders once."""
    let = asyncio.Event()
    attempts: list[int] = []

    async def handler(request: ImageRequest, context: JobContext) -> Rendered:
        attempts.append(context.attempt)
        await let.wait()
        return await paint(request, context)

    async with worker(queue, handler, slots=2):
        job = await submit(queue)
        await state(queue, job, JobState.RUNNING)
        assert queue._server is not None
        stopped = queue._server.pid
        assert stopped is not None
        os.kill(stopped, signal.SIGSTOP)  # Away for longer than the lease, then gone.
        await asyncio.sleep(1.5 * QUICK.ack_wait_seconds)
        kill_nats_server(queue)
        await reconnected(queue)
        let.set()
        done = await state(queue, job, JobState.RENDERED)
        assert (attempts, done.attempts, done.generation) == ([1], 1, 1)
        # Pitfall 13: the same worker's fetch lives on over the restart.
        await state(queue, await submit(queue, "next"), JobState.RENDERED, seconds=5)


async def test_a_redelivered_job_is_adopted(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    """Pitfall 3: a second delivery of a running job keeps its new lease and is not begun."""
    let = asyncio.Event()
    attempts: list[int] = []

    async def handler(request: ImageRequest, context: JobContext) -> Rendered:
        attempts.append(context.attempt)
        await let.wait()
        return await paint(request, context)

    async with worker(queue, handler, slots=2):
        job = await submit(queue)
        running = await state(queue, job, JobState.RUNNING)
        # The same job by another message: the table and NATS disagreed, and both were right.
        message = JobMessage(job=job.id, generation=2, attempts=0, max_attempts=3, request=running.request)
        with caplog.at_level("INFO"):
            await queue._transport.send(message)
            await until(lambda: f"{job.id} was delivered again" in caplog.text)
        let.set()
        await state(queue, job, JobState.RENDERED)

        js = queue._transport.connection.require().js

        async def acknowledged() -> bool:
            return (await js.stream_info("JOBS")).state.messages == 0

        await until(acknowledged)
    assert attempts == [1]


async def test_lost_folder_of_jetstream(queue: Queue, tmp_path: Path) -> None:
    """Pitfall 1: NATS is never the only copy. Its storage is deleted with a job in it; the job is sent again."""
    gate = tmp_path / "gate"
    async with WorkerProcess(queue, tmp_path) as apart:
        running, waiting = await submit(queue, f"wait {gate}"), await submit(queue, "waiting")
        await state(queue, running, JobState.RUNNING)
        await apart.kill()
        kill_nats_server(queue)
        shutil.rmtree(tmp_path / "nats" / "jetstream")
        await reconnected(queue)
        gate.touch()
        await apart.start()
        for job in (running, waiting):
            await state(queue, job, JobState.RENDERED)
        assert Counter(line.partition(":")[0] for line in apart.attempts()) == {running.id: 2, waiting.id: 1}


async def test_mending_goes_by_the_id_inside_the_message(queue: Queue) -> None:
    """Pitfall 2: a wrong sequence is corrected, a message of a job that is over is removed, none is sent twice."""
    table, transport = queue._table, queue._transport
    job, over = await submit(queue, "sent"), await submit(queue, "over")
    for one in (job, over):
        await transport.send(JobMessage(job=one.id, generation=1, attempts=0, max_attempts=3, request=one.request))
    # As after a restored backup of NATS: the table knows other sequences than those of the messages.
    await table.sent([Carried(one.id, generation=1, sequence=777, group="gpu") for one in (job, over)])
    async with queue._database.write() as connection:
        await connection.execute(text("UPDATE jobs SET state = 'failed' WHERE id = :id"), {"id": over.id})
    await queue._dispatcher.reconcile()
    (stored,) = await transport.stored()
    mended = await queue.job(job.id)
    assert (stored.job, mended.sequence, mended.generation) == (job.id, stored.sequence, 1)
    async with worker(queue):
        assert (await state(queue, job, JobState.RENDERED)).generation == 1


async def test_killed_between_sending_and_noting_it(queue: Queue) -> None:
    """A job that the table still thinks queued, but whose message is out, is taken as sent, not sent again."""
    job = await submit(queue)
    message = JobMessage(job=job.id, generation=1, attempts=0, max_attempts=3, request=asked())
    await queue._transport.send(message)
    await queue._dispatcher.reconcile()
    assert (await queue.job(job.id)).state is JobState.SENT
    async with worker(queue):
        assert (await state(queue, job, JobState.RENDERED)).generation == 1


async def test_a_job_whose_message_vanished_waits_again(queue: Queue) -> None:
    """No message, no outcome, no worker that has it: back to its place, one generation on."""
    job = await submit(queue)
    await queue._table.sent([Carried(job.id, generation=1, sequence=1, group="gpu")])
    await queue._dispatcher.reconcile()
    assert (await queue.job(job.id)).state is JobState.QUEUED
    async with worker(queue):
        assert (await state(queue, job, JobState.RENDERED)).generation == 2


async def test_killed_control_process(tmp_path: Path) -> None:
    """Pitfalls 10 and 11: kill -9 of the control process. nats-server lives on, the running job ends meanwhile, its
    result waits; the next start adopts the server, takes the result in, and sends the rest. All exactly once."""
    gate = tmp_path / "gate"
    prompts = [f"wait {gate}", *(f"job {number}" for number in range(15))]
    control = await asyncio.create_subprocess_exec(
        sys.executable, CONTROL_PROCESS, tmp_path, *prompts, stdout=asyncio.subprocess.PIPE
    )
    assert control.stdout is not None
    address, token = (await asyncio.wait_for(control.stdout.readline(), 30)).decode().split()
    async with WorkerProcess(Address(address, token), tmp_path) as apart:
        await until(apart.attempts)
        control.kill()
        await control.communicate()
        gate.touch()
        nats_server = int((tmp_path / "nats" / "nats-server.pid").read_text())
        async with open_queue(QUICK, tmp_path) as queue:
            assert queue._server is not None
            assert queue._server.pid == nats_server

            async def finished() -> bool:
                return (await queue.counts())[JobState.RENDERED] == len(prompts)

            await until(finished, 30)
            attempts = Counter(apart.attempts())
            assert len(attempts) == len(prompts)
            assert set(attempts.values()) == {1}
            for job in await queue.pending_notifications():
                assert await stored_pictures(queue, job.id) == (b"png from a process",)


async def test_a_full_picture_disk_loses_no_result(queue: Queue, tmp_path: Path) -> None:
    """The result waits in NATS until the pictures can be stored; the owner is told meanwhile."""
    (tmp_path / "pictures").write_text("not a folder")
    async with worker(queue):
        job = await submit(queue)
        await until(lambda: not queue.healthy().storage)
        assert "pictures cannot be stored" in str(queue.healthy().problem)
        (tmp_path / "pictures").unlink()
        await state(queue, job, JobState.RENDERED)
    assert await stored_pictures(queue, job.id) == (b"png 7",)
    assert queue.healthy().ok


async def test_a_stuck_nats_server_is_restarted(queue: Queue) -> None:
    """A server whose storage gave up is ended and comes back; the queue goes on."""
    assert queue._server is not None
    before = queue._server.pid
    await queue._restart_server()
    await until(lambda: queue._server is not None and queue._server.pid != before)
    async with worker(queue):
        await state(queue, await submit(queue), JobState.RENDERED)
