"""What members are told while the job table or its disk fails: real disks and databases, the stand-in Discord."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from botkit import Easel, a_bot, a_queue, a_worker, only_job
from queue_disks import fill, small_disk
from queue_postgres import a_postgres
from sqlalchemy import text
from standin.driver import StandIn
from standin.world import Channel, Member

from daguerre.queue.control.queue import Queue

pytest_plugins = ("botfixtures",)
__all__ = ["small_disk"]


async def said(standin: StandIn, member: Member, channel: Channel, prompt: str) -> str:
    return (await (await standin.slash(member, channel, "imagine", prompt=prompt)).message(20)).text


async def test_a_full_disk_is_told_to_whoever_asks(
    standin: StandIn, small_disk: Path, tmp_path: Path, easel: Easel, studio: Channel, ada: Member
) -> None:
    """Nothing is queued and the member knows why; with room again the next request is drawn."""
    # The disk is smaller than what is kept free of it otherwise.
    async with (
        a_queue(small_disk / "data", min_free_megabytes=0) as queue,
        a_worker(queue, easel),
        a_bot(standin, queue, tmp_path),
    ):
        assert "disk" not in await said(standin, ada, studio, "while there is room")
        filler = fill(small_disk)
        for number in range(20):  # What SQLite had room for already is taken first.
            words = await said(standin, ada, studio, f"number {number} " + "of many wishes " * 30)
            if "disk of this bot is full" in words:
                break
        else:
            pytest.fail(f"nobody was told: {words}")
        filler.unlink()
        asked = await standin.slash(ada, studio, "imagine", prompt="once there is room again")
        await asked.wait_for(lambda seen: bool(seen.attachments), 60)


async def test_a_database_that_is_away_is_told_to_whoever_asks(
    standin: StandIn, tmp_path: Path, easel: Easel, studio: Channel, ada: Member
) -> None:
    """PostgreSQL goes and comes back; the picture that was asked for before it went arrives all the same."""
    with a_postgres() as server:
        async with (
            a_queue(tmp_path, database_url=server.url) as queue,
            a_worker(queue, easel),
            a_bot(standin, queue, tmp_path),
        ):
            easel.go.clear()
            before = await standin.slash(ada, studio, "imagine", prompt="before")
            async with asyncio.timeout(20):
                while not easel.begun:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            server.stop()
            assert "cannot be reached just now" in await said(standin, ada, studio, "meanwhile")
            easel.go.set()
            server.start()
            await before.wait_for(lambda seen: bool(seen.attachments), 60)


@pytest.mark.parametrize(
    ("request_row", "words"), [("{broken", "cannot be read"), ('{"version": 9}', "another version")]
)
async def test_a_row_that_cannot_be_read_is_told_to_who_waits_for_it(
    standin: StandIn, queue: Queue, tmp_path: Path, easel: Easel, studio: Channel, ada: Member, request_row: str,
    words: str,
) -> None:  # fmt: skip
    """Damaged, or of another version: the message that said "queued" says what happened."""
    async with a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.wait_for(lambda seen: "Queued" in seen.text)
        job = await only_job(queue)
        async with queue._database.write() as connection:
            change = text("UPDATE jobs SET request = :request WHERE id = :id")
            await connection.execute(change, {"request": request_row, "id": job.id})
        queue._memory.forget_recent()
        async with a_worker(queue, easel):
            await asked.wait_for(lambda seen: words in seen.text, 20)
    assert easel.begun == []
