"""The queue end to end: real table, real nats-server, a worker in this process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from queuekit import QUICK, asked, paint, state, stored_pictures, submit, until, worker

from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.dispatch.event_bus import EventBus
from daguerre.queue.errors import AlreadyRunning, BrokerUnavailable, QueueUnavailable, RenderRefused, UnknownJob
from daguerre.queue.nats.worker import NatsWorker
from daguerre.queue.records.jobs import Job, JobState, Progress, Rendered
from daguerre.queue.records.requests import ImageRequest
from daguerre.queue.records.transport import Outcome
from daguerre.queue.worker.loop import Worker
from daguerre.queue.worker.settings import JobContext, WorkerSettings


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QUICK, tmp_path) as opened:
        yield opened


class Gate:
    """A handler that paints when it is let."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.begun: list[str] = []
        self.cancelled: list[str] = []

    async def __call__(self, request: ImageRequest, context: JobContext) -> Rendered:
        self.begun.append(request.prompt)
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled.append(request.prompt)
            raise
        return await paint(request, context)


async def test_one_prompts_way(queue: Queue) -> None:
    """Queued, sent, running, rendered; pictures by number; then delivered, told once."""
    request = asked(count=2)
    ticket = await queue.submit(request, key="k", member="m", server="s", reply={"token": "t"})
    assert ticket.created
    seen: list[JobState] = []

    async def follow() -> None:
        async for event in queue.events(ticket.job.id):
            seen.extend([event.state] if isinstance(event, Job) else [])

    following = asyncio.create_task(follow())
    await until(lambda: seen)
    async with worker(queue):
        await asyncio.wait_for(following, 20)
    assert seen[0] is JobState.QUEUED
    assert seen[-1] is JobState.RENDERED
    assert sorted(seen, key=list(JobState).index) == seen
    assert await stored_pictures(queue, ticket.job.id) == (b"png 7", b"png 8")
    job = await queue.job(ticket.job.id)
    assert (job.metadata, job.attempts, job.reply) == ({"digest": "d"}, 1, {"token": "t"})
    assert job.seconds > 0
    assert [one.id for one in await queue.pending_notifications()] == [job.id]
    assert await queue.mark_notified(job.id)
    assert not await queue.mark_notified(job.id)
    assert (await queue.counts())[JobState.DELIVERED] == 1


async def test_progress_is_the_latest_only() -> None:
    """Pitfall 7: a slow follower finds the newest step, and every change of the job."""
    bus = EventBus()
    with bus.watch("1") as watch:
        for step in range(5):
            bus.progress(Progress("1", step, 5))
        bus.progress(Progress("2", 1, 1))
        await asyncio.wait_for(watch.wait(), 1)
        assert watch.progress == Progress("1", 4, 5)
        assert not watch.changes


async def test_progress_reaches_the_follower(queue: Queue) -> None:
    """Step, steps and preview, while it runs."""
    seen = asyncio.Event()

    async def handler(request: ImageRequest, context: JobContext) -> Rendered:
        while not seen.is_set():
            await context.progress(2, 8, b"\xff\n\xd8")
            await asyncio.sleep(0.01)
        return await paint(request, context)

    async with worker(queue, handler):
        job = await submit(queue)
        async for event in queue.events(job.id, taught=True):
            if isinstance(event, Progress):
                assert event == Progress(job.id, 2, 8, b"\xff\n\xd8")
                seen.set()
        seen.clear()
        async for event in queue.events((await submit(queue)).id):
            if isinstance(event, Progress):
                assert event.preview is None, "the output check may hold what is drawn, so it is not shown before"
                seen.set()
    assert seen.is_set()


async def test_order_and_position(queue: Queue) -> None:
    """One slot: jobs are begun in the order of their tags, and a waiting job's place counts down."""
    gate = Gate()
    flood = [await submit(queue, f"flood {number}", member="flooder") for number in range(3)]
    async with worker(queue, gate):
        await state(queue, flood[0], JobState.RUNNING)
        quiet = await submit(queue, "quiet", member="quiet")
        assert [await queue.position(job.id) for job in (quiet, flood[1], flood[2])] == [0, 1, 2]
        gate.open.set()
        await state(queue, flood[2], JobState.RENDERED)
    assert gate.begun == ["flood 0", "quiet", "flood 1", "flood 2"]


async def test_a_waiting_follower_hears_that_places_moved(queue: Queue) -> None:
    """The job is yielded again, still queued, when one before it leaves."""
    first, second = await submit(queue, "1"), await submit(queue, "2")
    events = queue.events(second.id)
    assert (await anext(events)) == second
    assert await queue.cancel(first.id) == "queued"
    assert await asyncio.wait_for(anext(events), 5) == second
    await events.aclose()


async def test_cancel_while_queued(queue: Queue) -> None:
    """It never reaches a worker, and the follower hears the end."""
    job = await submit(queue)
    assert await queue.cancel(job.id) == "queued"
    assert await queue.cancel(job.id) == "gone"
    assert await queue.cancel("0" * 32) == "gone"
    assert [event.state async for event in queue.events(job.id) if isinstance(event, Job)] == [JobState.CANCELLED]
    gate = Gate()
    gate.open.set()
    async with worker(queue, gate):
        await state(queue, await submit(queue, "after"), JobState.RENDERED)
    assert gate.begun == ["after"]


async def test_cancel_while_running(queue: Queue) -> None:
    """The handler is interrupted at once, the slot is free for the next, the lease is over."""
    gate = Gate()
    async with worker(queue, gate):
        job = await submit(queue, "unwanted")
        await state(queue, job, JobState.RUNNING)
        assert await queue.cancel(job.id) == "running"
        await until(lambda: gate.cancelled == ["unwanted"])
        gate.open.set()
        await state(queue, await submit(queue, "wanted"), JobState.RENDERED)
        assert (await queue.job(job.id)).state is JobState.CANCELLED
    assert gate.begun == ["unwanted", "wanted"]


async def test_a_cancel_that_the_worker_did_not_hear(queue: Queue) -> None:
    """Cancel messages are lossy: the worker's next heartbeat reports the job, and it is told again."""
    gate = Gate()
    async with worker(queue, gate):
        job = await submit(queue, "unwanted")
        await state(queue, job, JobState.RUNNING)
        assert await queue._table.cancel(job.id)  # As if NATS had been away: nothing is sent.
        queue._memory.changed(await queue.job(job.id))
        await until(lambda: gate.cancelled == ["unwanted"])


async def test_refused_for_good(queue: Queue) -> None:
    """RenderRefused: failed with its code, tried once."""
    attempts: list[int] = []

    async def handler(request: ImageRequest, context: JobContext) -> Rendered:
        attempts.append(context.attempt)
        raise RenderRefused("too_large", "this model paints at most 256 pixels")

    async with worker(queue, handler):
        job = await state(queue, await submit(queue), JobState.FAILED)
    assert (job.error, attempts, job.pictures) == ("too_large", [1], ())
    assert await queue.mark_notified(job.id)


async def test_broken_three_times_is_dead(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    """Any other exception is tried `max_attempts` times; neither its text nor the prompt reaches the log."""
    attempts: list[int] = []

    async def handler(request: ImageRequest, context: JobContext) -> Rendered:
        attempts.append(context.attempt)
        raise ValueError(f"cannot paint {request.prompt}")

    with caplog.at_level(logging.DEBUG):
        async with worker(queue, handler):
            job = await state(queue, await submit(queue, "my secret wish"), JobState.DEAD)
    assert (job.error, attempts, job.attempts) == ("broken", [1, 2, 3], 3)
    assert "ValueError" in caplog.text
    assert "secret" not in "\n".join(
        record.getMessage() for record in caplog.records if record.name.startswith("daguerre")
    )


async def test_a_stopping_worker_hands_back(queue: Queue) -> None:
    """Pitfall 9: what does not finish in time goes back to its place, and the attempt does not count."""
    gate, second = Gate(), Gate()
    async with worker(queue, gate, drain_seconds=0) as stop:
        job = await submit(queue)
        await state(queue, job, JobState.RUNNING)
        stop.set()
        back = await state(queue, job, JobState.QUEUED)
        assert (back.attempts, back.generation) == (0, 1)
    second.open.set()
    async with worker(queue, second):
        done = await state(queue, job, JobState.RENDERED)
    assert (done.attempts, done.generation) == (1, 2)


async def test_a_stopping_worker_finishes_first(queue: Queue) -> None:
    """Within `drain_seconds` a running job ends as if nothing were; nothing new is begun."""
    gate = Gate()
    async with worker(queue, gate, slots=2, drain_seconds=20) as stop:
        job = await submit(queue, "running")
        await state(queue, job, JobState.RUNNING)
        stop.set()
        await until(lambda: queue._registry.slots(time.monotonic()) == 0)
        late = await submit(queue, "late")
        gate.open.set()
        await state(queue, job, JobState.RENDERED)
    assert gate.begun == ["running"]
    assert (await queue.job(late.id)).state is JobState.QUEUED
    assert await queue.workers() == ()


async def test_a_job_that_arrives_at_a_cancelled_fetch_is_kept(queue: Queue) -> None:
    """Pitfall 9: the server may answer a request for a job that was given up; the job is not lost then."""
    link = NatsWorker(queue.nats_url, queue.nats_token, name="w", on_cancel=lambda job: None)
    link.connection.start()
    try:
        fetching = asyncio.create_task(link.fetch())
        await until(lambda: link._jobs._asked_until > 0)
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)
        job = await submit(queue)
        async with worker(queue, slots=1):  # Makes room; our forgotten request was there first.
            await until(lambda: not link._jobs._arrived.empty())
        (left,) = await link.leftovers()
        assert left.message.job == job.id
    finally:
        await link.connection.close()


async def test_big_results_travel_in_parts(queue: Queue) -> None:
    """Pitfall 8: 4 pictures of 5 MB, above what one message carries, arrive whole, and the parts are cleared."""

    async def handler(request: ImageRequest, context: JobContext) -> Rendered:
        return Rendered(pictures=tuple(bytes([seed % 256]) * 5_000_000 for seed in request.seeds))

    async with worker(queue, handler):
        job = await state(queue, await submit(queue, count=4), JobState.RENDERED)
        assert await stored_pictures(queue, job.id) == tuple(bytes([seed]) * 5_000_000 for seed in (7, 8, 9, 10))
        js = queue._transport.connection.require().js

        async def cleared() -> bool:
            return (await js.stream_info("PARTS")).state.messages == 0

        await until(cleared)


async def test_the_first_result_counts(queue: Queue) -> None:
    """Pitfall 5: a second result for a job, from whatever other delivery, changes neither state nor pictures."""
    link = NatsWorker(queue.nats_url, queue.nats_token, name="w", on_cancel=lambda job: None)
    link.connection.start()
    try:
        job = await submit(queue)
        for sequence, picture in ((1, b"first"), (2, b"second")):
            outcome = Outcome(job=job.id, generation=1, sequence=sequence, attempt=1, kind="rendered")
            await link.report(outcome, [picture])
        await state(queue, job, JobState.RENDERED)

        async def taken_in() -> bool:
            return not await queue._transport.has_outcome(job.id)

        await until(taken_in)
        assert await stored_pictures(queue, job.id) == (b"first",)
    finally:
        await link.connection.close()


async def test_consumers_never_give_up(queue: Queue) -> None:
    """Pitfall 6: max_deliver is -1 and leases are as configured; the worker counts attempts."""
    info = await queue._transport.connection.require().js.consumer_info("JOBS", "gpu")
    assert (info.config.max_deliver, info.config.ack_wait) == (-1, QUICK.ack_wait_seconds)


async def test_blocking_work_in_a_thread_keeps_the_lease(queue: Queue) -> None:
    """Pitfall 4: work of several leases' length in a thread is delivered once."""
    attempts: list[int] = []

    async def handler(request: ImageRequest, context: JobContext) -> Rendered:
        attempts.append(context.attempt)
        await asyncio.to_thread(time.sleep, 2.5 * QUICK.ack_wait_seconds)
        return await paint(request, context)

    async with worker(queue, handler, slots=2), worker(queue, handler, slots=2):
        await state(queue, await submit(queue), JobState.RENDERED)
    assert attempts == [1]


async def test_one_control_process_for_each_folder(queue: Queue, tmp_path: Path) -> None:
    """Pitfall 11: a second one is refused, with the first one's process id and what to do."""
    with pytest.raises(AlreadyRunning, match="stop it first"):
        async with open_queue(QUICK, tmp_path):
            pass
    assert queue.healthy().ok


async def test_prompts_are_for_the_owner_alone(queue: Queue, tmp_path: Path) -> None:
    """The database, with what SQLite keeps beside it, is readable by its owner only."""
    await submit(queue)
    for name in ("daguerre.db", "daguerre.db-wal", "daguerre.db-shm"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


async def test_workers_and_health(queue: Queue) -> None:
    """Workers are known by their heartbeats and forgotten when they say goodbye."""
    assert queue.healthy().workers == 0
    async with worker(queue, device="cpu", models=("first-light",), slots=3, name="a b.c*>"):
        (info,) = await until(queue.workers)
        assert (info.name, info.slots, info.busy, info.device) == ("a b.c*>", 3, 0, "cpu")
        assert info.models == ("first-light",)
        health = queue.healthy()
        assert (health.ok, health.workers, health.problem) == (True, 1, None)
    await until(lambda: queue.healthy().workers == 0)


async def test_a_wrong_token_is_told(queue: Queue) -> None:
    """A worker with another token ends with a clear error instead of trying for ever."""
    stranger = Worker(paint, WorkerSettings(nats_url=queue.nats_url, nats_token="wrong", name="stranger"))
    with pytest.raises(BrokerUnavailable, match="refuses the token"):
        await asyncio.wait_for(stranger.run(asyncio.Event()), 10)


async def test_following_ends_when_the_queue_closes(tmp_path: Path) -> None:
    """A follower of a live job is told, instead of waiting for ever; unknown jobs are told at once."""
    async with open_queue(QUICK, tmp_path) as queue:
        with pytest.raises(UnknownJob):
            await anext(queue.events("0" * 32))
        events = queue.events((await submit(queue)).id)
        await anext(events)
        following = asyncio.ensure_future(anext(events))
    with pytest.raises(QueueUnavailable, match="closed"):
        await asyncio.wait_for(following, 5)


async def test_without_nats_jobs_wait(tmp_path: Path) -> None:
    """An external server that is away: the queue opens, takes jobs, and says what is wrong."""
    options = QUICK.model_copy(update={"nats_url": "nats://127.0.0.1:9"})
    async with open_queue(options, tmp_path) as queue:
        job = await submit(queue)
        assert job.state is JobState.QUEUED
        assert await queue.position(job.id) == 0
        health = queue.healthy()
        assert (health.ok, health.broker, health.storage) == (False, False, True)
        assert "nats-server cannot be used" in str(health.problem)
        assert await queue.cancel(job.id) == "queued"


async def test_a_bigger_server_of_ones_own(queue: Queue, tmp_path: Path) -> None:
    """`nats_url` with a token: the same streams on a server that somebody else runs."""
    await queue._transport.connection.close()  # Leave that server to the other queue.
    options = QUICK.model_copy(update={"nats_url": queue.nats_url})
    async with open_queue(options, tmp_path / "other", nats_token=queue.nats_token) as other, worker(other):
        await state(other, await submit(other), JobState.RENDERED)
        assert not (tmp_path / "other" / "nats").exists()
