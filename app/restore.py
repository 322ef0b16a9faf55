"""`daguerre restore`: a backup back into an empty data folder and an empty database, whole or not at all. Blocking."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from pathlib import Path

from sqlalchemy.engine import URL

from ..queue.store import Database, folder_lock, migrate, newest_revision, snapshot
from .archive import DATABASES, Archive, Manifest, opened
from .errors import DataFolderError, Refused
from .kept import Done, Place, is_picture, queue_errors, reserved
from .machine import UNFINISHED, data_folder_text
from .settings import Configuration

#: In the data folder of a host that nothing ran on yet.
_STAYS = frozenset(("control.lock", "lost+found"))


def restore(configuration: Configuration, file: Path, data: Path) -> Done:
    """Bring a backup back into the empty folder `data`, and into the database that the settings name.

    Raises:
        AppError: says what stands in the way; folder and database are as empty as before then.
    """
    place = Place.of(configuration, data)
    with opened(file) as archive:
        _require_fitting(archive, place)
        archive.check()
        if not (place.data / "control.lock").exists():
            # Before the lock, which leaves a file: this may be anybody's folder.
            _require_empty(place)
        with queue_errors(), folder_lock(place.data):
            _require_empty(place)
            if (place.data / UNFINISHED).exists():
                _clear(place.data)
            asyncio.run(snapshot.require_empty(place.database))
            _require_room(archive, place)
            _fill(archive, place)
        return Done(data, archive.manifest)


def targets(manifest: Manifest, place: Place) -> dict[str, Path]:
    """Where each file but the job table goes. Pure.

    Raises:
        KeyError: the archive holds what no backup does.
    """
    found: dict[str, Path] = {}
    for name in manifest.files:
        first, _, rest = name.partition("/")
        parts = rest.split("/")
        if name in DATABASES.values():
            continue
        if first == "pictures" and place.pictures is not None and is_picture(parts):
            found[name] = place.pictures / rest
        elif first == "data" and len(parts) > 1 and not reserved(parts[0]):
            found[name] = place.data / rest
        else:
            raise KeyError(name)
    return found


def _fill(archive: Archive, place: Place) -> None:
    """Unpack; the mark that stands meanwhile keeps `serve` away, also after this process was killed."""
    mark, room = place.data / UNFINISHED, place.data / ".restore"
    brought = False
    try:
        mark.touch(0o600)
        for name, target in targets(archive.manifest, place).items():
            archive.unpack(name, target)
        copy = room / "database"
        archive.unpack(DATABASES[archive.manifest.database], copy)
        asyncio.run(snapshot.bring_back(place.database, copy))
        brought = True
        asyncio.run(_bring_up_to_date(place.database))
        shutil.rmtree(room)
        os.sync()
        mark.unlink()
    except BaseException as problem:
        with contextlib.suppress(OSError):
            for folder in {place.data, place.pictures or place.data}:
                _clear(folder)
        if brought:
            asyncio.run(snapshot.undo(place.database))
        with contextlib.suppress(OSError):
            mark.unlink(missing_ok=True)
        if isinstance(problem, OSError):
            raise DataFolderError(data_folder_text(place.data, problem)) from None
        raise


async def _bring_up_to_date(url: URL) -> None:
    database = Database(url)
    try:
        await migrate(database)
    finally:
        await database.close()


def _clear(folder: Path) -> None:
    """Remove what a restore has put into a folder that was empty before it."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name in _STAYS or entry.name == UNFINISHED:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _require_empty(place: Place) -> None:
    try:
        if place.data.exists() and not place.data.is_dir():
            raise DataFolderError(f"{place.data} is a file: name an empty folder with --data")
        for folder in (place.data, place.pictures):
            entries = {entry.name for entry in folder.iterdir()} if folder is not None and folder.is_dir() else _STAYS
            # What a restore that was cut off has left in the data folder is removed.
            if entries - _STAYS and UNFINISHED not in entries and not _inside_unfinished(folder, place):
                raise DataFolderError(
                    f"{folder} is not empty, and a restore replaces nothing: name an empty folder with --data, or move "
                    "away what is there"
                )
    except OSError as problem:
        raise DataFolderError(data_folder_text(place.data, problem)) from None


def _inside_unfinished(folder: Path | None, place: Place) -> bool:
    return folder == place.data / "pictures" and (place.data / UNFINISHED).exists()


def _require_fitting(archive: Archive, place: Place) -> None:
    told, here = archive.manifest, place.database.get_backend_name()
    if told.revision > newest_revision():
        raise Refused(
            f"{archive.file} was written by a newer Daguerre ({told.daguerre[:40]}, schema {told.revision}; this one "
            f"knows {newest_revision()}): install that version, then restore"
        )
    if told.database != here:
        there = {
            "sqlite": "leave [queue] database_url empty",
            "postgresql": "name an empty one in [queue] database_url",
        }
        raise Refused(
            f"{archive.file} holds a {told.database} database, and the settings name a {here} one: "
            f"{there[told.database]}, then restore"
        )
    if place.pictures is None and any(name.startswith("pictures/") for name in told.files):
        raise Refused(
            f"{archive.file} holds pictures, and [queue] pictures_url names a place that is not on this machine: leave "
            "it empty or name a folder, then restore"
        )
    try:
        targets(told, place)
    except KeyError as name:
        raise Refused(f"{archive.file} is no backup to trust: it holds {str(name)[:80]}. Nothing was written") from None


def _require_room(archive: Archive, place: Place) -> None:
    # The job table is there twice for a moment.
    needed = archive.size + archive.manifest.files[DATABASES[archive.manifest.database]].size
    if (free := shutil.disk_usage(place.data).free) < needed:
        raise DataFolderError(
            f"the disk of {place.data} has {free >> 20} MB left, and the backup needs {needed >> 20}: make room"
        )
