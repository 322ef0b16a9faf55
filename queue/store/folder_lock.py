"""One control process for each data folder: a lock that the operating system drops when its holder dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ..errors import AlreadyRunning, StorageFull


@contextmanager
def folder_lock(folder: Path) -> Generator[None]:
    """Hold the folder.

    Raises:
        AlreadyRunning: another process holds it.
        StorageFull: the folder cannot be written.
    """
    path = folder / "control.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as problem:
        raise StorageFull(
            f"the data folder {folder} cannot be written ({problem.strerror}): make it writable, or name another"
        ) from None
    try:
        if not _try_lock(handle):
            holder = os.read(handle, 20).decode(errors="replace").strip() or "unknown"
            raise AlreadyRunning(
                f"another daguerre (process {holder}) works on the data folder {folder}: stop it first, "
                "or name another data folder"
            )
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)  # Drops the lock.


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            # A byte far behind the text, so that others can still read who holds it.
            os.lseek(handle, 1_000, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
