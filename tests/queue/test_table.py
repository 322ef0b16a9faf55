"""The job table on a real SQLite file: order, guards, limits, indexes."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from queuekit import asked
from sqlalchemy import event, text
from tablekit import add, opened

from daguerre.queue.errors import UnknownJob
from daguerre.queue.records.jobs import Job, JobState
from daguerre.queue.records.life import may
from daguerre.queue.store.database import Database, database_url
from daguerre.queue.store.table import Carried, JobTable


async def sent(table: JobTable, *jobs: Job) -> list[Job | None]:
    """The jobs' messages lie with NATS."""
    return await table.sent(
        [Carried(job.id, job.generation + 1, number, "gpu") for number, job in enumerate(jobs, start=1)]
    )


async def test_a_key_gives_one_job_for_ever(tmp_path: Path) -> None:
    """The same key again, even after the job is over and the table reopened, gives that job and creates nothing."""
    async with opened(tmp_path) as (_, table):
        first = await table.add(asked(), key="k", member="m", server="s", reply={"channel": 5})
        assert first.created
        assert first.job.reply == {"channel": 5}
        assert await table.cancel(first.job.id)
    async with opened(tmp_path) as (_, table):
        again = await table.add(asked("something else"), key="k", member="m", server="s", reply={})
        assert not again.created
        assert (again.job.id, again.job.request.prompt) == (first.job.id, "a red apple")
        assert sum((await table.counts()).values()) == 1


async def test_late_and_doubled_results_change_nothing(tmp_path: Path) -> None:
    """Pitfall 5: each change of state is guarded, so the second of anything finds nothing to do."""
    async with opened(tmp_path) as (_, table):
        job = await add(table, "k")
        (out,) = await sent(table, job)
        assert out is not None
        assert (out.id, out.state, out.generation, out.group) == (job.id, JobState.SENT, 1, "gpu")
        assert await sent(table, job) == [None]
        assert (await table.running(job.id, attempt=1)) is not None
        assert (await table.running(job.id, attempt=1)) is None
        done = {"metadata": {}, "seconds": 1.0, "attempts": 1}
        assert (await table.rendered(job.id, pictures=["a"], **done)) is not None
        assert (await table.rendered(job.id, pictures=["b"], **done)) is None
        assert (await table.broken(job.id, state=JobState.DEAD, error="broken", attempts=3)) is None
        assert (await table.requeue(job.id, generation=1)) is None
        assert (await table.cancel(job.id)) is None
        assert (await table.job(job.id)).pictures == ("a",)
        assert await table.mark_notified(job.id)
        assert not await table.mark_notified(job.id)
        assert (await table.job(job.id)).state is JobState.DELIVERED


async def test_who_drew_it_is_told_with_the_pictures(tmp_path: Path) -> None:
    """Also where its start was never heard, or another's was; whoever was heard stays where nobody is named."""
    done: dict[str, Any] = {"pictures": [], "metadata": {}, "seconds": 1.0, "attempts": 1}
    async with opened(tmp_path) as (_, table):
        for key, heard, named, kept in (
            ("quick", None, "a", "a"),
            ("elsewhere", "a", "b", "b"),
            ("nameless", "a", None, "a"),
        ):
            job = await add(table, key)
            await sent(table, job)
            if heard is not None:
                assert await table.running(job.id, attempt=1, worker=heard)
            ended = await table.rendered(job.id, **done, worker=named)
            assert ended is not None
            assert ended.worker == kept


async def test_cancelled_before_its_result(tmp_path: Path) -> None:
    """A result that comes after the cancellation is superfluous; being told leaves the state alone."""
    async with opened(tmp_path) as (_, table):
        job = await add(table, "k")
        await sent(table, job)
        assert not await table.mark_notified(job.id)
        assert await table.cancel(job.id)
        assert (await table.rendered(job.id, pictures=["a"], metadata={}, seconds=1, attempts=1)) is None
        assert [one.id for one in await table.pending_notifications()] == [job.id]
        assert await table.mark_notified(job.id)
        assert (await table.job(job.id)).state is JobState.CANCELLED
        assert await table.pending_notifications() == []


async def test_requeue_minds_the_generation(tmp_path: Path) -> None:
    """A job goes back only if the message that was lost is its latest one."""
    async with opened(tmp_path) as (_, table):
        job = await add(table, "1")
        await sent(table, job)
        assert (await table.requeue(job.id, generation=0)) is None
        back = await table.requeue(job.id, generation=1)
        assert back is not None
        assert [entry.id for entry in await table.waiting()] == [job.id]
        (again,) = await sent(table, back)
        assert again is not None
        assert again.generation == 2


async def test_every_change_of_state_is_recorded(tmp_path: Path) -> None:
    """By the database itself: state, time, generation and attempts, in order, whoever changed it."""
    async with opened(tmp_path) as (database, table):
        job = await add(table, "k")
        await sent(table, job)
        await table.running(job.id, attempt=1, worker="w")
        await table.running(job.id, attempt=2, worker="w")
        await table.broken(job.id, state=JobState.DEAD, error="broken", attempts=3, detail="why")
        await table.retry(job.id)
        async with database.write() as connection:
            await connection.execute(text("UPDATE jobs SET state = 'cancelled'"))
        steps = await table.history(job.id)
        assert [step.after.value for step in steps] == ["queued", "sent", "running", "dead", "queued", "cancelled"]
        assert [step.before for step in steps[1:]] == [step.after for step in steps[:-1]]
        assert [step.attempts for step in steps] == [0, 0, 1, 3, 0, 0]
        times = [step.at for step in steps]
        assert times == sorted(times)


@pytest.mark.parametrize("before", list(JobState))
async def test_only_the_drawn_ways_are_gone(tmp_path: Path, before: JobState) -> None:
    """From each state, each operation of the table either moves along life.py's drawing or changes nothing."""
    async with opened(tmp_path) as (database, table):
        done = {"pictures": ["p"], "metadata": {}, "seconds": 1.0, "attempts": 1}
        for number, operation in enumerate(
            (
                lambda job: sent(table, job),
                lambda job: table.requeue(job.id, generation=0),
                lambda job: table.retry(job.id),
                lambda job: table.running(job.id, attempt=1),
                lambda job: table.rendered(job.id, **done),
                lambda job: table.broken(job.id, state=JobState.FAILED, error="e", attempts=1),
                lambda job: table.broken(job.id, state=JobState.DEAD, error="e", attempts=1),
                lambda job: table.cancel(job.id),
                lambda job: table.mark_notified(job.id),
            )
        ):
            job = await add(table, str(number))
            async with database.write() as connection:
                change = text("UPDATE jobs SET state = :state WHERE id = :id")
                await connection.execute(change, {"state": before.value, "id": job.id})
            await operation(job)
            after = (await table.job(job.id)).state
            assert after is before or may(before, after)


async def test_changes_keep_their_order_when_the_clock_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`changed` grows all the same, so that no follower takes news for old."""
    async with opened(tmp_path) as (_, table):
        job = await add(table, "k")
        now = time.time()
        monkeypatch.setattr("daguerre.queue.store.table.time.time", lambda: now - 3600)
        (out,) = await sent(table, job)
        assert out is not None
        running = await table.running(job.id, attempt=1)
        assert running is not None
        assert job.changed < out.changed < running.changed


async def test_damaged_rows_hide_no_others(tmp_path: Path) -> None:
    """A request that is no JSON, or of another version, or of no known state, is a job that says so."""
    async with opened(tmp_path) as (database, table):
        good, broken, newer, odd = [await add(table, key) for key in ("good", "broken", "newer", "odd")]
        async with database.write() as connection:
            for job, column, value in (
                (broken, "request", "{not json"),
                (newer, "request", '{"version": 2, "wish": "x"}'),
                (odd, "state", "dreaming"),
            ):
                change = text(f"UPDATE jobs SET {column} = :value WHERE id = :id")
                await connection.execute(change, {"value": value, "id": job.id})
        read = {job.id: job for job in await table.pending_notifications()}
        assert read[good.id].error is None
        assert (read[broken.id].error, read[broken.id].reply) == ("unreadable", {"channel": 5})
        assert read[newer.id].error == "other_version"
        assert read[odd.id].error == "unreadable"


async def test_small_changes_share_a_commit(tmp_path: Path) -> None:
    """Those that wait together cost one transaction; one that is refused does not spoil the others."""
    async with opened(tmp_path) as (database, table):
        commits = 0

        def count(*_: object) -> None:
            nonlocal commits
            commits += 1

        event.listen(database.direct, "commit", count)
        answers = await asyncio.gather(
            *(add(table, str(number)) for number in range(50)),
            table.update_reply("0" * 32, {}),
            return_exceptions=True,
        )
        assert isinstance(answers[-1], UnknownJob)
        assert sum(isinstance(answer, Job) for answer in answers) == 50
        assert commits <= 3


async def test_questions_asked_often_use_an_index(tmp_path: Path) -> None:
    """SQLite explains how it answers: no look-up walks the whole table, however many jobs wait."""
    asked: list[str] = []
    async with opened(tmp_path) as (_, table):
        job = await add(table, "k")
    database = Database(database_url("", tmp_path))
    assert database.direct is not None
    # As SQLite itself hears them, whichever way they took.
    event.listen(database.direct, "connect", lambda driver, _: driver.set_trace_callback(asked.append))
    table = JobTable(database)
    try:
        await add(table, "k")
        await add(table, "another")
        await table.find(job.id)
        await table.find_key("k")
        await sent(table, job)
        await table.running(job.id, attempt=1)
        await table.rendered(job.id, pictures=[], metadata={}, seconds=1.0, attempts=1)
        await table.mark_notified(job.id)
        await table.update_reply(job.id, {})
        await table.out()
        await table.waiting()
        await table.pending_notifications()
        await table.broken_jobs()
        await table.history(job.id)
        await table.beginning_with(job.id[:8])
    finally:
        await database.close()
    plans = 0
    with sqlite3.connect(tmp_path / "daguerre.db") as connection:
        for statement in asked:
            if statement.startswith(("SELECT", "UPDATE")):
                for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}"):
                    assert not step.startswith("SCAN"), f"{step}: {statement}"
                    plans += 1
    connection.close()
    assert plans >= 12


async def test_unknown_jobs(tmp_path: Path) -> None:
    """What never was is UnknownJob, or nothing to cancel."""
    async with opened(tmp_path) as (_, table):
        with pytest.raises(UnknownJob):
            await table.job("0" * 32)
        with pytest.raises(UnknownJob):
            await table.update_reply("0" * 32, {})
        with pytest.raises(UnknownJob):
            await table.mark_notified("0" * 32)
        assert await table.cancel("0" * 32) is None


async def test_replies_are_replaced(tmp_path: Path) -> None:
    """The follower notes where it answered; a restart finds it."""
    async with opened(tmp_path) as (_, table):
        job = await add(table, "k")
        await table.update_reply(job.id, {"message": 9})
        assert (await table.job(job.id)).reply == {"message": 9}
