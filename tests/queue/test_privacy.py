"""What is kept about a member can be had, and is let go of: on their word, and when its time is over."""

from __future__ import annotations

import io
import json
import sqlite3
import time
import zipfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from queuekit import asked, state, worker

from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.moderation.dryrun import dry_run, last_week
from daguerre.queue.moderation.options import ModerationOptions
from daguerre.queue.moderation.privacy import ERASED, NOBODY
from daguerre.queue.moderation.rules import Action, Rule
from daguerre.queue.options import QueueOptions
from daguerre.queue.records.jobs import JobState
from daguerre.queue.store.members import Origin, Preferences
from daguerre.queue.store.server_settings import ServerSettings

DAY = 86_400.0
KEEP = ModerationOptions(keep_pictures_days=10, keep_prompts_days=30)


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncGenerator[Queue]:
    async with open_queue(QueueOptions(), tmp_path, moderation=KEEP) as opened, worker(opened):
        yield opened


async def drawn(queue: Queue, prompt: str, member: str = "ada", server: str = "1", **fields: Any) -> str:
    """A job that was rendered and told."""
    ticket = await queue.submit(
        asked(prompt, **fields), key=prompt, member=member, server=server, reply={"user": member}
    )
    await state(queue, ticket.job, JobState.RENDERED)
    await queue.mark_notified(ticket.job.id)
    return ticket.job.id


def stored(folder: Path) -> bytes:
    """The whole database, as it lies on the disk once it was written out."""
    with sqlite3.connect(folder / "daguerre.db") as connection:
        return "\n".join(connection.iterdump()).encode()


async def test_an_export_opens_and_holds_everything(queue: Queue) -> None:
    """Requests, pictures, preferences; nothing of anybody else."""
    job = await drawn(queue, "a secret garden", count=2)
    await drawn(queue, "a strangers fox", member="bob")
    await queue.members.prefer("ada", Preferences(suffix="in oil"))
    data, missing = await queue.privacy.export("ada", 1_000_000)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        told = json.loads(archive.read("mydata.json"))
        assert sorted(archive.namelist()) == ["mydata.json", f"pictures/{job}-0.png", f"pictures/{job}-1.png"]
        assert archive.read(f"pictures/{job}-0.png") == b"png 7"
    assert missing == 0
    assert [each["request"]["prompt"] for each in told["jobs"]] == ["a secret garden"]
    assert told["preferences"]["suffix"] == "in oil"
    assert "strangers" not in json.dumps(told)


async def test_an_export_keeps_to_its_limit_and_says_what_is_missing(queue: Queue) -> None:
    await drawn(queue, "a secret garden", count=4)
    data, missing = await queue.privacy.export("ada", 600)
    assert missing == 4
    assert zipfile.ZipFile(io.BytesIO(data)).namelist() == ["mydata.json"]


async def test_forgetting_leaves_nothing_but_the_count(queue: Queue, tmp_path: Path) -> None:
    """No prompt, no name, no picture, on no path in the database or the picture store."""
    job = await drawn(queue, "unmistakable words", negative="other unmistakable words", count=2)
    await drawn(queue, "a strangers fox", member="bob")
    await queue.members.prefer("ada", Preferences(suffix="unmistakable suffix"))
    await queue.members.like("ada", job, 0)
    await queue.members.link(Origin(job, "0" * 32, 0, "vary"))
    before = await queue.counts()
    assert b"unmistakable" in stored(tmp_path)
    assert await queue.privacy.forget("ada") == 1
    dump = stored(tmp_path)
    assert b"unmistakable" not in dump
    assert b"'ada'" not in dump
    assert b"strangers fox" in dump
    assert await queue.counts() == before
    left = await queue.job(job)
    assert (left.member, left.request.prompt, left.request.count, left.pictures) == (NOBODY, ERASED, 2, ())
    assert len(list((tmp_path / "pictures").rglob("*.png"))) == 1
    assert await queue.privacy.forget("ada") == 0


async def test_what_is_past_its_time_goes_and_the_rest_stays(queue: Queue, tmp_path: Path) -> None:
    """Pictures after 10 days, prompts after 30, one server's after its own 5; twice changes nothing more."""
    await queue.server_settings.put("2", ServerSettings(keep_days=5), "mona")
    await drawn(queue, "kept longer")
    short = await drawn(queue, "kept shorter", server="2")
    privacy, now = queue.privacy, time.time()
    assert await privacy.sweep(now) == (0, 0)
    assert await privacy.sweep(now + 6 * DAY) == (1, 1)
    assert (await queue.job(short)).request.prompt == ERASED
    assert await privacy.sweep(now + 6 * DAY) == (0, 0)
    assert await privacy.sweep(now + 11 * DAY) == (1, 0)
    assert not list((tmp_path / "pictures").rglob("*.png"))
    assert await privacy.sweep(now + 31 * DAY) == (0, 1)


async def test_a_dry_run_counts_last_weeks_requests(queue: Queue) -> None:
    """Stopped by a rule or a list, changed by a clamp; with examples; other servers and older ones do not count."""
    for prompt in ("a grubby fox", "a tidy fox", "a tidy cat"):
        await drawn(queue, prompt, steps=16)
    await drawn(queue, "a grubby stranger", server="2")
    week = await last_week(queue.moderation.database, "1")
    rule = Rule(pattern="grubby", action=Action.REFUSE)
    assert dry_run(week, ServerSettings(), ()) == dry_run(week, ServerSettings(), (Rule(pattern="nowhere"),))
    told = dry_run(week, ServerSettings(), (rule,))
    assert (told.requests, told.stopped, told.changed, told.examples) == (3, 1, 0, ("a grubby fox",))
    assert dry_run(week, ServerSettings(most_steps=8), (rule,)).changed == 2
    assert dry_run(week, ServerSettings(styles=frozenset({"noto"})), ()).stopped == 0
    assert await last_week(queue.moderation.database, "1", time.time() + 8 * DAY) == []
