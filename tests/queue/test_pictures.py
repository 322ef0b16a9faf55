"""Where finished pictures are kept."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import pytest

from daguerre.queue.errors import QueueUnavailable, StorageFull
from daguerre.queue.pictures.picture_store import PictureStore

JOB = "0" * 32


@contextmanager
def small_files() -> Iterator[None]:
    """The system refuses files above 1,000 bytes. Not a fixture: pytest's own output may be such a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_pictures_come_back_whole(tmp_path: Path) -> None:
    """By name, replaced when put again, nothing else left in the folder."""
    store = PictureStore(tmp_path / "pictures")
    names = await store.put(JOB, [b"first", b"other"])
    assert await store.put(JOB, [b"second"]) == names[:1]
    assert [await store.get(name) for name in names] == [b"second", b"other"]
    assert sorted(path.name for path in (tmp_path / "pictures" / JOB).iterdir()) == ["0.png", "1.png"]


async def test_a_full_disk_leaves_no_half_picture(tmp_path: Path) -> None:
    """The name keeps its old picture, no draft stays, and the message says what to do."""
    store = PictureStore(tmp_path)
    (name,) = await store.put(JOB, [b"small"])
    with small_files(), pytest.raises(StorageFull, match="free space"):
        await store.put(JOB, [b"fits", b"x" * 5_000])
    assert await store.get(name) == b"small"
    assert [path.name for path in (tmp_path / JOB).iterdir()] == ["0.png"]


async def test_many_at_once_share_the_disk_and_one_that_fails_fails_alone(tmp_path: Path) -> None:
    """Pictures of 40 jobs arrive together, one of them too large for the disk; no draft stays."""
    store = PictureStore(tmp_path / "not" / "there" / "yet")
    jobs = [f"{number:032x}" for number in range(40)]
    with small_files():
        answers = await asyncio.gather(
            *(store.put(job, [b"x" * (5_000 if job == jobs[7] else 9)]) for job in jobs), return_exceptions=True
        )
    assert [job for job, answer in zip(jobs, answers, strict=True) if isinstance(answer, StorageFull)] == [jobs[7]]
    assert [await store.get(f"{job}/0.png") for job in jobs if job != jobs[7]] == [b"x" * 9] * 39
    found = (path.relative_to(tmp_path / "not/there/yet") for path in tmp_path.rglob("*.*"))  # noqa: ASYNC240
    assert sorted(map(str, found)) == [f"{job}/0.png" for job in jobs if job != jobs[7]]


async def test_what_cannot_be_a_folder_is_said_clearly(tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "pictures").write_text("a file")
    with pytest.raises(StorageFull, match="pictures cannot be stored"):
        await PictureStore(tmp_path / "pictures").put(JOB, [b"x"])


async def test_other_storage_by_url() -> None:
    """Anything fsspec knows; its in-memory storage stands for object stores."""
    store = PictureStore(f"memory://{token_hex(4)}")
    (name,) = await store.put(JOB, [b"far away"])
    assert await store.get(name) == b"far away"


async def test_gone_pictures_and_unknown_storage(tmp_path: Path) -> None:
    """Neither is a traceback of the storage."""
    with pytest.raises(QueueUnavailable):
        await PictureStore(tmp_path).get(f"{JOB}/0.png")
    with pytest.raises(QueueUnavailable, match="pictures_url"):
        PictureStore("nonsense://bucket")
