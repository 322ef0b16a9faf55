"""Bringing a database of an earlier version to the present one, with a copy before."""

from __future__ import annotations

import logging
from pathlib import Path

from ..errors import QueueUnavailable, StorageFull
from .database import Database
from .migrate import migrate
from .snapshot import take

log = logging.getLogger(__name__)

#: Folder of those copies, below the data folder.
COPIES_BEFORE = "before-upgrade"
#: Days for which a copy is kept: it holds prompts, also those that members have erased since.
COPY_DAYS = 7


async def upgrade(database: Database, folder: Path) -> None:
    """As `migrate`; a database that is changed is first copied into `folder`, from where `bring_back` takes it.

    Raises:
        StorageFull: the copy or the database cannot be written; nothing was changed.
        QueueUnavailable: it cannot be reached, is damaged, or newer code wrote it.
    """

    async def keep_copy(present: str) -> None:
        copy = folder / f"job-table-{present}"
        make_room(copy)
        try:
            await take(database.url, copy)
        except QueueUnavailable as problem:
            # PostgreSQL's tools may be elsewhere, where its owner makes backups.
            if database.url.get_backend_name() == "sqlite" or isinstance(problem, StorageFull):
                raise
            log.warning("the job table is upgraded without a copy of it: %s", problem)
        else:
            log.info("the job table of revision %s is copied to %s before it is upgraded", present, copy)

    await migrate(database, keep_copy)


def make_room(copy: Path) -> None:
    """A folder for the copy, without the one of an upgrade that broke off. Raises: StorageFull."""
    try:
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        copy.unlink(missing_ok=True)
    except OSError as problem:
        raise StorageFull(f"the job table cannot be copied to {copy} before it is upgraded: {problem}") from None


def drop_copies(folder: Path, before: float) -> int:
    """Remove copies that are older than a Unix time; gives how many. Blocking. Raises: StorageFull."""
    dropped = 0
    try:
        for copy in folder.glob("job-table-*"):
            if copy.stat().st_mtime < before:
                copy.unlink()
                dropped += 1
    except OSError as problem:
        raise StorageFull(f"an old copy of the job table in {folder} cannot be removed: {problem}") from None
    return dropped
