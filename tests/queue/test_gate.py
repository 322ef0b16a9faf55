"""The gate in memory: no SQL for a usual request, and every change in effect at once, on a real queue."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from queuekit import asked, until
from sqlalchemy import event, insert

from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.moderation.gate import Forbidden
from daguerre.queue.moderation.rules import checked_rule
from daguerre.queue.moderation.store import ModerationStore
from daguerre.queue.options import QueueOptions
from daguerre.queue.records.limits import day
from daguerre.queue.store.schema_moderation import GRANTS
from daguerre.queue.store.server_settings import ServerSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")
#: Tables that the gate looks into.
GATE = ("rules", "bans", "grants", "server_settings", "warnings")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("queue")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def queue(folder: Path) -> AsyncGenerator[Queue]:
    async with open_queue(QueueOptions(daily_seconds_per_member=5_000), folder) as opened:
        yield opened


@contextmanager
def statements(queue: Queue) -> Iterator[list[str]]:
    """All SQL that the queue's database runs meanwhile."""
    seen: list[str] = []

    database = queue.moderation.database
    assert database.direct is not None

    def listen(driver: Any, *_: Any) -> None:
        driver.set_trace_callback(seen.append)  # SQLite tells, whichever way they took.

    def through_sqlalchemy(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    if database._writer is not None:
        listen(database._writer.connection.dbapi_connection)
    event.listen(database.direct, "checkout", listen)
    event.listen(database.engine.sync_engine, "before_cursor_execute", through_sqlalchemy)
    try:
        yield seen
    finally:
        event.remove(database.direct, "checkout", listen)
        event.remove(database.engine.sync_engine, "before_cursor_execute", through_sqlalchemy)


async def submit(queue: Queue, prompt: str = "a red apple", *, member: str, server: str = "1", **more: Any) -> None:
    await queue.submit(asked(prompt), key=f"{time.time_ns()}", member=member, server=server, reply={}, **more)


async def admits(queue: Queue, prompt: str = "a red apple", *, member: str, server: str = "1") -> str:
    """Empty, or the code of the refusal."""
    try:
        await queue.moderation.admit(asked(prompt), key=f"{time.time_ns()}", member=member, server=server)
    except Forbidden as refusal:
        return refusal.code
    return ""


async def test_a_usual_request_passes_the_gate_without_sql(queue: Queue) -> None:
    """In a server with settings, rules, bans and grants of others, for members who were never seen before."""
    store = queue.moderation.store
    await queue.server_settings.put("1", ServerSettings(daily_seconds=3_000, warnings=2), "mona")
    await store.add_rule("1", checked_rule(pattern="vanish"), "mona")
    await store.ban("1", "member", "other", "mona", until=None)
    await store.grant("1", "other", 60, "mona")
    with statements(queue) as cold:
        assert await admits(queue, member="first") == ""
    assert any("FROM bans" in statement for statement in cold), "the listener hears what is read"
    with statements(queue) as warm:
        for number in range(20):
            assert await admits(queue, member=f"m{number}") == ""
    assert warm == []
    with statements(queue) as whole:
        await submit(queue, member="second", roles=["7"])
    assert any("INTO jobs" in statement for statement in whole)
    assert [one for one in whole if any(f"FROM {table}" in one for table in GATE)] == []


async def test_each_change_is_in_effect_with_the_next_request(queue: Queue) -> None:
    """Bans here and everywhere, rules, settings, grants and warnings, set and taken back, while memory is warm."""
    store, here = queue.moderation.store, "2"
    assert await admits(queue, member="m", server=here) == ""
    for server in (here, ""):
        await store.ban(server, "member", "m", "mona", until=None)
        assert await admits(queue, member="m", server=here) == "refused.banned"
        assert await admits(queue, member="n", server=here) == ""
        assert await store.lift(server, "member", "m", "mona")
        assert await admits(queue, member="m", server=here) == ""
    await store.ban(here, "member", "m", "mona", until=time.time() + 0.3)
    assert await admits(queue, member="m", server=here) == "refused.banned.until"
    await asyncio.sleep(0.35)
    assert await admits(queue, member="m", server=here) == "", "it ended while it was kept"
    rule = await store.add_rule(here, checked_rule(pattern="vanish"), "mona")
    assert await admits(queue, "vanish", member="m", server=here) == "refused.rule"
    assert await store.remove_rule(here, rule.number, "mona")
    assert await admits(queue, "vanish", member="m", server=here) == ""
    await queue.server_settings.put(here, ServerSettings(models=frozenset({"one"})), "mona")
    with pytest.raises(Forbidden):
        await queue.moderation.admit(asked(model="other"), key="model", member="m", server=here)
    assert await store.granted(here, "m") == 0
    await store.grant(here, "m", 60, "mona")
    await store.grant(here, "m", 5, "mona")
    assert (await store.granted(here, "m"), await store.granted(here, "n")) == (65, 0)
    assert (await store.warn(here, "m", limit=1, minutes=5))[0] == 1
    assert await admits(queue, member="m", server=here) == "refused.banned.until"


async def test_a_grant_ends_with_its_day(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it be kept in memory when the day ends."""
    store = queue.moderation.store
    await store.grant("3", "m", 60, "mona")
    assert await store.granted("3", "m") == 60
    tomorrow = time.time() + 86_400
    values = {"server": "3", "member": "m", "seconds": 7.0, "who": "x", "at": tomorrow, "day": day(tomorrow)}
    await queue.moderation.database.change(lambda one: one.execute(insert(GRANTS), values).rowcount)
    with monkeypatch.context() as later:
        later.setattr(time, "time", lambda: tomorrow)
        assert await store.granted("3", "m") == 7


async def test_a_ban_by_the_command_line_is_in_effect_within_seconds(queue: Queue, folder: Path) -> None:
    """`daguerre queue ban`, in a process of its own; and lifted by `unban`."""

    async def daguerre(*words: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DAGUERRE_")}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "daguerre.app", "queue", *words,
            env={**environment, "DAGUERRE_STORAGE__DATA_DIR": str(folder)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return (await process.communicate())[0].decode()

    assert await admits(queue, member="4242") == ""
    assert await daguerre("ban", "member", "4242") == "banned: member 4242\n"
    assert await admits(queue, member="4242") == "refused.banned"
    assert await daguerre("unban", "member", "4242") == "lifted\n"
    assert await admits(queue, member="4242") == ""


async def test_a_ban_written_past_this_process_is_in_effect_within_seconds(queue: Queue) -> None:
    """By another store on the same tables, which stands for any other program."""
    assert await admits(queue, member="sly", server="5") == ""
    await ModerationStore(queue.moderation.database).ban("5", "member", "sly", "mona", until=None)
    begun = time.monotonic()

    async def banned() -> bool:
        return await admits(queue, member="sly", server="5") == "refused.banned"

    await until(banned, 6.0)
    assert time.monotonic() - begun < 6
