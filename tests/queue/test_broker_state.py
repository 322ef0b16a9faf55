"""What lies in nats-server and another hand removes or changes while all runs: it is put back, and said."""

from __future__ import annotations

import asyncio
import io
import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext
from PIL import Image
from queuekit import QUICK, paint, state, submit, until, worker

from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.nats.program import nats_server_binary
from daguerre.queue.options import QueueOptions
from daguerre.queue.records.jobs import JobState
from daguerre.queue.records.requests import Source


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QUICK, tmp_path / "data") as opened:
        yield opened


def jetstream(queue: Queue) -> JetStreamContext:
    return queue._transport.connection.require().js


async def drawn(queue: Queue, **fields: Any) -> None:
    """One more job goes all the way."""
    await state(queue, await submit(queue, **fields), JobState.RENDERED)


def said(caplog: pytest.LogCaptureFixture, words: str) -> bool:
    return any(words in record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)


async def test_consumers_are_put_back(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    """Without its consumer no worker gets a job, or no outcome is heard of, and nothing fails by itself."""
    async with worker(queue), worker(queue, name="attic", pool="attic"):
        await drawn(queue)
        for stream, consumer in (("JOBS", "gpu"), ("RES", "control")):
            await jetstream(queue).delete_consumer(stream, consumer)
            await drawn(queue)
            await until(lambda name=f"the consumer {consumer} of {stream} was gone": said(caplog, name))
        # The line of workers of a kind of their own.
        others = [info.name for info in await jetstream(queue).consumers_info("JOBS") if info.name != "gpu"]
        assert len(others) == 1
        await jetstream(queue).delete_consumer("JOBS", others[0])
        job = await queue.submit(
            (await submit(queue)).request, key="attic", member="m", server="s", reply={}, pool="attic"
        )
        await state(queue, job.job, JobState.RENDERED)
        await until(lambda: said(caplog, f"the consumer {others[0]} of JOBS was gone"))


@pytest.mark.parametrize("stream", ["JOBS", "RES", "PARTS", "SOURCES"])
async def test_streams_are_put_back(queue: Queue, caplog: pytest.LogCaptureFixture, stream: str) -> None:
    """With jobs on their way; each is drawn all the same, from its picture too."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "PNG")
    source = Source(picture=await queue.keep_source(file.getvalue()))
    waiting = await submit(queue, "waits", source=source)
    await jetstream(queue).delete_stream(stream)
    async with worker(queue):
        await state(queue, waiting, JobState.RENDERED)
        await drawn(queue, source=source)
    await until(lambda: said(caplog, f"the stream {stream} was gone"))
    assert {info.config.name for info in await jetstream(queue).streams_info()} == {"JOBS", "RES", "PARTS", "SOURCES"}


async def test_changed_settings_are_put_back(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    """A stream that keeps one message, a consumer that lets one job out, look like a slow queue."""
    js: Any = jetstream(queue)
    stream = (await js.stream_info("JOBS")).config
    stream.max_msgs = 1
    await js.update_stream(stream)
    consumer = (await js.consumer_info("JOBS", "gpu")).config
    consumer.max_ack_pending = 1
    await js.add_consumer("JOBS", consumer)
    await until(lambda: said(caplog, "the stream JOBS had other settings"))
    await until(lambda: said(caplog, "the consumer gpu of JOBS had other settings"))
    assert (await js.stream_info("JOBS")).config.max_msgs == -1
    assert (await js.consumer_info("JOBS", "gpu")).config.max_ack_pending == 1000
    told = len(caplog.records)
    await asyncio.sleep(2.5)
    assert not [record for record in caplog.records[told:] if "nats-server" in record.getMessage()], "said once"


@asynccontextmanager
async def shared_server(folder: Path) -> AsyncIterator[tuple[str, Any]]:
    """A nats-server with accounts, as somebody else runs it; gives its address, and what sets the account's limits."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]

    def configure(limits: str) -> None:
        (folder / "nats.conf").write_text(
            f'listen: 127.0.0.1:{port}\njetstream {{ store_dir: "{folder}/js" }}\n'
            f"accounts {{ ours {{ users: [{{ user: me, password: word }}], jetstream: {limits} }} }}\n"
        )

    configure("enabled")
    process = await asyncio.create_subprocess_exec(
        nats_server_binary(), "-c", folder / "nats.conf", stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip

    def limit(limits: str) -> None:
        configure(limits)
        process.send_signal(signal.SIGHUP)

    try:
        yield f"nats://me:word@127.0.0.1:{port}", limit
    finally:
        process.kill()
        await process.wait()


async def test_a_limit_of_the_account(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The account may store nothing more: said in words, jobs wait; once it may, they are drawn."""
    async with shared_server(tmp_path) as (url, limit):
        options = QueueOptions(**{**QUICK.model_dump(), "nats_url": url})
        async with open_queue(options, tmp_path / "data") as queue, worker(queue):
            await drawn(queue)
            limit("disabled")
            waiting: list[Any] = []

            async def refused() -> bool:
                waiting.append(await submit(queue, f"waits {len(waiting)}", member=f"{len(waiting)}"))
                return not queue.healthy().ok

            await until(refused)
            assert "nats-server" in (queue.healthy().problem or "")
            limit("enabled")
            for job in waiting:
                await state(queue, job, JobState.RENDERED, seconds=30)
            await until(lambda: queue.healthy().ok)


async def test_an_outside_server_that_lost_everything(tmp_path: Path) -> None:
    """Nobody restarts another's server: what is gone is put back all the same."""
    async with shared_server(tmp_path) as (url, _):
        options = QueueOptions(**{**QUICK.model_dump(), "nats_url": url})
        async with open_queue(options, tmp_path / "data") as queue:
            waiting = await submit(queue, "waits")
            for stream in ("JOBS", "RES", "PARTS", "SOURCES"):
                await jetstream(queue).delete_stream(stream)
            async with worker(queue, paint):
                await state(queue, waiting, JobState.RENDERED)
                await drawn(queue)
