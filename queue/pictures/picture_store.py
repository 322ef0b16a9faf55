"""Where finished pictures are kept: a folder, or anything fsspec reaches by URL."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, cast

import fsspec  # pyright: ignore[reportMissingTypeStubs]  (it ships none)

from ..errors import PictureGone, QueueUnavailable, StorageFull
from ..store import Answer, Batcher
from . import durable

#: Errors that the owner mends on the disk: full, over quota, too large, read-only, not permitted, not a folder.
_DISK = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST)
)


#: Jobs whose pictures are sent to an object store at a time, and that share a wait for a local disk at most.
THREADS = 8
AT_ONCE = 16


class _FileSystem(Protocol):
    """The part of fsspec's interface that is used here."""

    def pipe_file(self, path: str, value: bytes) -> Any: ...
    def cat_file(self, path: str) -> bytes: ...
    def makedirs(self, path: str, exist_ok: bool = ...) -> None: ...
    def exists(self, path: str) -> bool: ...
    def rm_file(self, path: str) -> Any: ...


class PictureStore:
    """Pictures by name; a name is there with its whole picture or not at all."""

    def __init__(self, url_or_folder: str | Path) -> None:
        """Raises: QueueUnavailable when the URL names a kind of storage that is not installed."""
        try:
            found = cast("tuple[_FileSystem, str]", fsspec.core.url_to_fs(str(url_or_folder)))  # pyright: ignore
        except (ImportError, ValueError) as problem:
            raise QueueUnavailable(f"[queue] pictures_url cannot be used: {problem}") from None
        self._files, self._root = found
        # They wait for the disk nearly all the time.
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="pictures")
        self._writing = Batcher(self._together, most=AT_ONCE, name="writing pictures")
        self._local = local_folder(url_or_folder) is not None

    async def put(self, job_id: str, pictures: Sequence[bytes]) -> tuple[str, ...]:
        """Store the pictures of a job, durably; gives their names, in order. Putting them again replaces them.

        Raises:
            StorageFull: the disk is full or cannot be written.
            QueueUnavailable: the storage does not answer.
        """
        names = tuple(f"{job_id}/{number}.png" for number in range(len(pictures)))
        if pictures:
            await self.write(dict(zip(names, pictures, strict=True)))
        return names

    async def write(self, files: Mapping[str, bytes]) -> None:
        """Store files of one folder under names of the caller's; like `put`."""
        with _Errors():
            if self._local:
                await self._writing.do(files)
            else:
                await asyncio.get_running_loop().run_in_executor(self._threads, self._send, files)

    async def get(self, name: str) -> bytes:
        """Raises: PictureGone when it is not there, QueueUnavailable when the storage does not answer."""
        with _Errors():
            return await asyncio.to_thread(self._files.cat_file, f"{self._root}/{name}")

    async def has(self, name: str) -> bool:
        """Raises: QueueUnavailable when the storage does not answer."""
        with _Errors():
            return await asyncio.to_thread(self._files.exists, f"{self._root}/{name}")

    async def remove(self, name: str) -> None:
        """One that is gone already is no error. Raises: QueueUnavailable when the storage does not answer."""
        with _Errors(), suppress(FileNotFoundError):
            await asyncio.to_thread(self._files.rm_file, f"{self._root}/{name}")

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def _together(self, batch: Sequence[Mapping[str, bytes]]) -> Sequence[Answer]:
        await asyncio.get_running_loop().run_in_executor(self._threads, durable.write, self._root, batch)
        return [(True, None)] * len(batch)

    def _send(self, files: Mapping[str, bytes]) -> None:
        for name, picture in files.items():
            self._files.pipe_file(f"{self._root}/{name}", picture)  # Object stores replace objects whole.


def local_folder(url_or_folder: str | Path) -> Path | None:
    """The folder of this machine that pictures are kept in; None: they are elsewhere. Pure."""
    named = str(url_or_folder)
    return None if "://" in named and not named.startswith("file://") else Path(named.removeprefix("file://"))


class _Errors:
    """Turns the storage's errors into ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, FileNotFoundError):
            raise PictureGone("the picture is not in the store any more") from None
        if isinstance(error, OSError) and error.errno in _DISK:
            raise StorageFull(
                f"pictures cannot be stored ({error.strerror}): free space on the disk of the data folder, "
                "or make it writable"
            ) from None
        if error is not None and isinstance(error, Exception):
            raise QueueUnavailable(f"the picture store does not answer: {type(error).__name__}") from None
