"""Pictures that requests begin from: cleaned, kept, carried to the worker, let go with their jobs."""

from __future__ import annotations

import asyncio
import hashlib
import io
import socket
import sqlite3
import subprocess
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from queuekit import QUICK, WorkerProcess, asked, paint, state, stored_pictures, submit, until, worker

from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.errors import InvalidPicture, InvalidRequest
from daguerre.queue.nats.connection import SOURCES
from daguerre.queue.nats.program import nats_server_binary
from daguerre.queue.nats.worker import NatsWorker
from daguerre.queue.pictures.uploads import LONGEST, MAX_KEPT, MAX_UPLOAD, clean
from daguerre.queue.records.jobs import JobState, Rendered
from daguerre.queue.records.requests import ImageRequest, Source
from daguerre.queue.records.transport import JobMessage
from daguerre.queue.worker.settings import JobContext


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QUICK, tmp_path / "data") as opened:
        yield opened


def picture(size: tuple[int, int] = (64, 48), colour: Any = (200, 30, 30), mode: str = "RGB") -> Image.Image:
    return Image.new(mode, size, colour)


def file(one: Image.Image, kind: str = "PNG", **settings: Any) -> bytes:
    written = io.BytesIO()
    one.save(written, kind, **settings)
    return written.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def noise(size: tuple[int, int]) -> Image.Image:
    return Image.frombytes("RGB", size, hashlib.shake_128(b"noise").digest(size[0] * size[1] * 3))


# What becomes of a file


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_a_clean_picture_keeps_its_pixels(kind: str) -> None:
    """Whatever it came as, it is WebP without loss then."""
    kept = opened(clean(file(picture(), kind, **({"lossless": True} if kind == "WEBP" else {}))))
    assert (kept.format, kept.size, kept.convert("RGB").getpixel((5, 5))) == ("WEBP", (64, 48), (200, 30, 30))


def test_transparency_stays() -> None:
    """Of all kinds of transparency."""
    clear = picture(colour=(10, 200, 10, 0), mode="RGBA")
    assert opened(clean(file(clear))).convert("RGBA").getpixel((0, 0))[3] == 0
    palette = picture(mode="P", colour=0)
    assert opened(clean(file(palette, transparency=0))).convert("RGBA").getpixel((0, 0))[3] == 0


def test_large_pictures_are_scaled_and_small_enough() -> None:
    """Noise, which no encoder makes smaller, at the full size."""
    kept = clean(file(noise((1500, 1200))))
    assert len(kept) <= MAX_KEPT
    assert opened(kept).size == (LONGEST, round(1200 * LONGEST / 1500))


def test_it_stands_upright_and_tells_nothing_about_its_maker() -> None:
    """A phone's picture: turned by its EXIF, which also says where it was taken."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "A phone"
    kept = opened(clean(file(picture((64, 32)), "JPEG", exif=exif)))
    assert kept.size == (32, 64)
    assert not kept.getexif()
    assert "exif" not in kept.info


def test_of_an_animation_the_first_picture_counts() -> None:
    """Its colour, and no second frame."""
    frames = [picture(colour="blue"), picture(colour="red")]
    kept = opened(clean(file(frames[0], "GIF", save_all=True, append_images=frames[1:])))
    assert kept.convert("RGB").getpixel((3, 3)) == (0, 0, 255)
    assert getattr(kept, "n_frames", 1) == 1


def bomb() -> bytes:
    """A PNG of some kilobytes that says it has 50,000 × 50,000 pixels."""
    small = bytearray(file(picture((1, 1), mode="L", colour=0)))
    small[16:24] = (50_000).to_bytes(4, "big") * 2
    small[29:33] = zlib.crc32(bytes(small[12:29])).to_bytes(4, "big")
    return bytes(small)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        pytest.param(b"", "no_picture", id="nothing"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no_picture", id="svg"),
        pytest.param(file(picture(), "BMP"), "no_picture", id="another format"),
        pytest.param(file(noise((200, 200)))[:3000], "damaged", id="cut off"),
        pytest.param(bomb(), "pixels", id="bomb"),
        pytest.param(file(picture((8000, 7000), mode="L", colour=0)), "pixels", id="56 million pixels"),
        pytest.param(bytes(MAX_UPLOAD + 1), "too_large", id="33 MB"),
        pytest.param(file(picture((3, 400))), "too_small", id="a line"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(data: bytes, kind: str) -> None:
    """Never another error, never a decoded bomb."""
    with pytest.raises(InvalidPicture) as refusal:
        clean(data)
    assert refusal.value.kind == kind


# With a job


async def echo(request: ImageRequest, context: JobContext) -> Rendered:
    """Gives the files back, by name in the metadata."""
    return Rendered(tuple(context.sources.values()), {"names": list(context.sources)})


async def begun_from(queue: Queue, *files: bytes, prompt: str = "a red apple") -> Any:
    names = [await queue.keep_source(data) for data in files]
    source = Source(picture=names[0], mask=names[1] if len(names) > 1 else "")
    return await submit(queue, prompt, source=source, key=f"{time.time_ns()}")


async def in_nats(queue: Queue) -> int:
    session = await queue._transport.connection.ready()
    return (await session.js.stream_info(SOURCES)).state.messages


async def test_the_worker_gets_the_bytes_and_they_go_with_the_job(queue: Queue, tmp_path: Path) -> None:
    """Picture and mask; afterwards nothing of them lies in NATS, and the store keeps them for the job."""
    async with worker(queue, echo):
        job = await begun_from(queue, file(noise((300, 200))), file(picture(mode="L", colour=255)))
        done = await state(queue, job, JobState.RENDERED)
    source = job.request.source
    stored = [(tmp_path / "data" / "pictures" / name).read_bytes() for name in (source.picture, source.mask)]
    assert list(await stored_pictures(queue, job.id)) == stored
    assert done.metadata["names"] == [source.picture, source.mask]
    await until(lambda: _empty(queue))


async def _empty(queue: Queue) -> bool:
    return not await in_nats(queue)


async def test_a_job_without_any_gets_none(queue: Queue) -> None:
    """And nothing is stored for it."""
    async with worker(queue, echo):
        done = await state(queue, await submit(queue), JobState.RENDERED)
    assert (done.metadata["names"], done.pictures, await in_nats(queue)) == ([], (), 0)


async def test_the_same_picture_is_kept_once(queue: Queue, tmp_path: Path) -> None:
    """Named by its content."""
    first, again = await queue.keep_source(file(picture())), await queue.keep_source(file(picture(), "GIF"))
    assert first == again
    assert len(list((tmp_path / "data" / "pictures" / "sources").iterdir())) == 1


async def test_the_picture_of_an_earlier_job(queue: Queue) -> None:
    """As variations are made."""
    async with worker(queue, paint):
        earlier = await state(queue, await submit(queue), JobState.RENDERED)
    async with worker(queue, echo):
        job = await submit(queue, "again", source=Source(picture=earlier.pictures[0]))
        await state(queue, job, JobState.RENDERED)
    assert await stored_pictures(queue, job.id) == (b"png 7",)


async def test_a_killed_worker_leaves_the_pictures_for_the_next(queue: Queue, tmp_path: Path) -> None:
    """kill -9 in mid-job: the second attempt has them all the same."""
    seen: list[int] = []

    async def count(request: ImageRequest, context: JobContext) -> Rendered:
        seen.append(context.attempt)
        return await echo(request, context)

    go = tmp_path / "go"
    job = await begun_from(queue, file(noise((300, 200))), prompt=f"wait {go}")
    async with WorkerProcess(queue, tmp_path) as first:
        await state(queue, job, JobState.RUNNING)
        await first.kill()
    assert await in_nats(queue) == 1
    async with worker(queue, count):
        await state(queue, job, JobState.RENDERED)
    assert seen == [2]
    assert len((await stored_pictures(queue, job.id))[0]) > 1000


async def test_files_that_vanished_from_nats_are_sent_again(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker hands the job back, which costs it no attempt."""
    tried: list[int] = []

    async def count(request: ImageRequest, context: JobContext) -> Rendered:
        tried.append(context.attempt)
        return await echo(request, context)

    files, asked_for = NatsWorker.files, asyncio.Event()

    async def lose(transport: NatsWorker, message: JobMessage) -> Any:
        if not asked_for.is_set():
            asked_for.set()
            await (await queue._transport.connection.ready()).js.purge_stream(SOURCES)
        return await files(transport, message)

    monkeypatch.setattr(NatsWorker, "files", lose)
    job = await begun_from(queue, file(noise((100, 100))))
    async with worker(queue, count, slots=2):
        done = await state(queue, job, JobState.RENDERED)
    assert (tried[-1], done.attempts, done.generation) == (1, 1, 2)


async def test_parts_for_a_server_with_small_messages(tmp_path: Path, small_nats: tuple[str, str]) -> None:
    """nats-server's own default of 1 MB a message, and a picture of more than that."""
    url, token = small_nats
    options = QUICK.model_copy(update={"nats_url": url})
    async with open_queue(options, tmp_path / "data", nats_token=token) as queue:
        name = await queue.keep_source(file(noise((1000, 900))))
        kept = (tmp_path / "data" / "pictures" / name).read_bytes()
        assert len(kept) > 2 * 2**20
        sizes: list[int] = []

        async def measure(request: ImageRequest, context: JobContext) -> Rendered:
            sizes.extend(len(data) for data in context.sources.values())
            return await paint(request, context)

        async with worker(queue, measure):
            job = await submit(queue, source=Source(picture=name))
            await state(queue, job, JobState.RENDERED)
        assert sizes == [len(kept)]


@pytest.fixture
def small_nats(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A nats-server as somebody else would run it."""
    folder = tmp_path / "other"
    folder.mkdir()
    port = free_port()
    process = subprocess.Popen(
        [nats_server_binary(), "-a", "127.0.0.1", "-p", str(port), "--auth", "secret", "-js", "-sd", folder],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield f"nats://127.0.0.1:{port}", "secret"
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


async def test_unknown_and_foreign_names_are_refused(queue: Queue, tmp_path: Path) -> None:
    """Nothing outside the store, nothing that is not there; nothing is queued."""
    (tmp_path / "secret.webp").write_bytes(b"x")
    for name, kind in (
        ("../../secret.webp", "source_name"),
        ("/etc/passwd", "source_name"),
        (f"sources/{'0' * 64}.webp", "source_gone"),
    ):
        with pytest.raises(InvalidRequest) as refusal:
            await submit(queue, source=Source(picture=name))
        assert (refusal.value.field, refusal.value.kind) == ("source", kind)
    assert not sum((await queue.counts()).values())


async def test_removed_meanwhile_the_job_ends_and_says_so(queue: Queue, tmp_path: Path) -> None:
    """Before it could be sent."""
    job = await begun_from(queue, file(picture()))
    (tmp_path / "data" / "pictures" / job.request.source.picture).unlink()
    async with worker(queue, echo):
        done = await state(queue, job, JobState.FAILED)
    assert done.error == "source_gone"


async def test_sweeping_minds_jobs_and_the_last_day(queue: Queue, tmp_path: Path) -> None:
    """A picture goes when no job uses it and it was sent long ago; with the job's row, and when that is erased."""
    folder = tmp_path / "data" / "pictures" / "sources"
    used = await begun_from(queue, file(picture(colour="red")))
    erased = await begun_from(queue, file(picture(colour="blue")))
    deleted = await begun_from(queue, file(picture(colour="white")))
    unused = await queue.keep_source(file(picture(colour="green")))
    assert await queue._sources.sweep(time.time()) == []
    later = time.time() + 25 * 3600
    assert await queue._sources.sweep(later) == [unused]
    with sqlite3.connect(tmp_path / "data" / "daguerre.db", timeout=5) as other:
        other.execute("PRAGMA foreign_keys=ON")
        other.execute("UPDATE jobs SET request = ? WHERE id = ?", (asked("-").model_dump_json(), erased.id))
        other.execute("DELETE FROM jobs WHERE id = ?", (deleted.id,))
    other.close()
    gone = await queue._sources.sweep(later)
    assert set(gone) == {erased.request.source.picture, deleted.request.source.picture}
    assert [f"sources/{path.name}" for path in folder.iterdir()] == [used.request.source.picture]


async def test_old_changes_of_state_are_forgotten(queue: Queue) -> None:
    """Of jobs that are over and longer ago than set; the others stay."""
    async with worker(queue, paint):
        over = await state(queue, await submit(queue), JobState.RENDERED)
    await queue.pause()
    live = await submit(queue, "later")
    # Three or four: a worker that is done at once can be heard before it is heard to begin.
    lived = len(await queue.history(over.id))
    assert lived >= 3
    assert (await queue._housekeeping.tidy(time.time() + 89 * 86400))[0] == 0
    assert (await queue._housekeeping.tidy(time.time() + 91 * 86400))[0] == lived
    assert await queue.history(over.id) == ()
    assert [step.after for step in await queue.history(live.id)] == [JobState.QUEUED]
