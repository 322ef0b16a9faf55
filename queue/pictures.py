"""Where finished pictures are kept: a folder, or anything fsspec reaches by URL."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol, cast

import fsspec  # pyright: ignore[reportMissingTypeStubs]  (it ships none)

from .errors import PictureGone, QueueUnavailable, StorageFull

#: Errors that the owner mends on the disk: full, over quota, too large, read-only, not permitted, not a folder.
_DISK = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST)
)


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
        self._local = "://" not in str(url_or_folder) or str(url_or_folder).startswith("file://")

    async def put(self, job_id: str, number: int, picture: bytes) -> str:
        """Store picture `number` (from 0) of a job, durably; gives its name. Putting it again replaces it.

        Raises:
            StorageFull: the disk is full or cannot be written.
            QueueUnavailable: the storage does not answer.
        """
        name = f"{job_id}/{number}.png"
        await self.write(name, picture)
        return name

    async def write(self, name: str, picture: bytes) -> None:
        """Store under a name of the caller's; like `put`."""
        with _Errors():
            await asyncio.to_thread(self._put, name, picture)

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

    def _put(self, name: str, picture: bytes) -> None:
        if not self._local:
            self._files.pipe_file(f"{self._root}/{name}", picture)  # Object stores replace objects whole.
            return
        path = Path(self._root, name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{token_hex(4)}")
        try:
            with draft.open("wb") as file:
                file.write(picture)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            _sync_folder(path.parent)
        except OSError:
            draft.unlink(missing_ok=True)
            raise


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power cut. Windows does so by itself and cannot open folders."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


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
