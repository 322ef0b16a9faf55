"""Files on a local disk that are there whole or not at all, and that a power cut cannot take back. Blocking."""

# ruff: noqa: PTH102, PTH105, PTH108, PTH112, PTH120
# This runs with every job, and pathlib takes ten times as long.

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from secrets import token_hex


def write(root: str, batch: Sequence[Mapping[str, bytes]]) -> None:
    """Store files by their paths below `root`, replacing what is there. All are written before the disk is waited for,
    so that they share its journal.

    Raises:
        OSError: nothing is left of those that were not stored; some may have been.
    """
    drafts: list[tuple[str, str]] = []
    changed: set[str] = set()
    known: set[str] = set()
    try:
        # 1. Under names of their own.
        for path, content in [(f"{root}/{name}", content) for files in batch for name, content in files.items()]:
            folder, name = os.path.split(path)
            if folder not in known:
                known.add(folder)
                changed |= {folder, *_made(folder)}
            draft = f"{folder}/.{name}.{token_hex(4)}"
            drafts.append((draft, path))
            with open(draft, "xb", opener=_private) as file:
                file.write(content)
        # 2. What is in them, then their names, then the folders that hold new names.
        for draft, _ in drafts:
            _sync(draft, os.O_RDWR | getattr(os, "O_BINARY", 0))
        for draft, path in drafts:
            os.replace(draft, path)
        # Windows does so by itself and cannot open folders.
        for folder in changed if os.name == "posix" else ():
            _sync(folder, os.O_RDONLY)
    except OSError:
        for draft, _ in drafts:
            with suppress(OSError):
                os.unlink(draft)
        raise


def _made(folder: str) -> set[str]:
    """Make a folder, if it is not there; gives the folders that hold a new one."""
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        if os.path.isdir(folder):
            return set()
        raise
    except FileNotFoundError:
        return _made(os.path.dirname(folder)) | _made(folder)
    return {os.path.dirname(folder)}


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync(path: str, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
