"""`daguerre backup` and `restore`: everything of a data folder that cannot be made again, in one file. Blocking."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from sqlalchemy.engine import URL

from ..queue.errors import QueueError
from ..queue.pictures import local_folder
from ..queue.store import Database, database_url, folder_lock, migrate, newest_revision, snapshot
from .archive import DATABASES, Archive, Manifest, Writer, already, opened, safe, writing
from .errors import DataFolderError, OutputError, QueueFailed, Refused
from .machine import UNFINISHED, data_folder_text
from .settings import Configuration

#: What else of the data folder is kept: one's own drawings.
BANK = "bank"
#: Entries of the data folder that are made again by themselves, or are secrets; no archive may hold them.
MADE_AGAIN: Mapping[str, str] = {
    "nats": "nats-server's streams are rebuilt from the job table, and its token is made anew",
    "certificate": "the key of the development certificate is a secret, and a new one is made",
    "programs": "compiled for this machine",
    "paces.json": "measured on this machine",
    "discord-commands.sha256": "asked of Discord again",
    "discord-commands.json": "asked of Discord again",
    "api.url": "of the running process",
    "control.lock": "of the running process",
    UNFINISHED: "of an unfinished restore",
}
#: What the picture store writes: pictures of a job, and what members sent.
_JOB, _PICTURE, _SOURCE = (
    re.compile(pattern) for pattern in (r"[0-9a-f]{32}", r"[0-9]{1,3}\.png", r"[0-9a-f]{64}\.webp")
)
#: In the data folder of a host that nothing ran on yet.
_STAYS = frozenset(("control.lock", "lost+found"))
_SECRETS = "secrets: the bot's token, nats-server's token and keys; set them on the new host as on the old one"


@dataclass(frozen=True, slots=True)
class Place:
    """Where what is kept lies, or goes."""

    data: Path
    database: URL
    #: None: pictures are not on this machine.
    pictures: Path | None
    #: The folder of adapters below the data folder, if it lies there.
    adapters: Path | None

    @classmethod
    def of(cls, configuration: Configuration, data: Path) -> Place:
        """Raises: QueueFailed when a setting is wrong."""
        queue, named = configuration.settings.queue, configuration.settings.render.adapters
        adapters = None
        if named:
            folder = (configuration.folder / Path(named).expanduser()).absolute()
            with contextlib.suppress(ValueError):
                adapters = folder.relative_to(data.absolute())
        if adapters is not None and (not adapters.parts or adapters.parts[0] == BANK or _reserved(adapters.parts[0])):
            adapters = None
        with _queue_errors():
            url = database_url(queue.database_url, data)
        if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
            raise QueueFailed("[queue] database_url names a database in memory: there is nothing to back up")
        return cls(data, url, local_folder(queue.pictures_url or data / "pictures"), adapters)

    @property
    def kept(self) -> tuple[Path, ...]:
        """Folders of the data folder that are kept as they are."""
        return tuple(each for each in (Path(BANK), self.adapters) if each is not None)


@dataclass(frozen=True, slots=True)
class Done:
    """What was written, or brought back, and where."""

    place: Path
    manifest: Manifest


def default_name(now: float) -> str:
    return time.strftime("daguerre-backup-%Y%m%d-%H%M%S.zip", time.gmtime(now))


def backup(configuration: Configuration, out: Path) -> Done:
    """Write everything into the new file `out`, while a `serve` may be running.

    Raises:
        AppError: says what stands in the way; nothing is left of the file then.
    """
    place = Place.of(configuration, configuration.data_dir)
    if out.exists():
        raise already(out)
    if (place.data / UNFINISHED).exists():
        raise DataFolderError(f"a restore into {place.data} was cut off: run `daguerre restore` again first")
    try:
        room = tempfile.TemporaryDirectory(dir=out.parent, prefix=".daguerre-backup-", ignore_cleanup_errors=True)
    except OSError as problem:
        raise OutputError(f"{out} cannot be written: {problem.strerror or problem}. Name a file elsewhere") from None
    with room as folder:
        copy = Path(folder) / "database"
        # The job table first: whatever it names was stored before.
        with _queue_errors():
            taken = asyncio.run(snapshot.take(place.database, copy))
        backend = place.database.get_backend_name()
        with writing(out, Path(folder)) as writer:
            with copy.open("rb") as file:
                writer.add(DATABASES[backend], file, squeeze=backend == "sqlite")
            counts = {"pictures": _add_pictures(writer, place, taken)}
            for each in place.kept:
                counts[str(each)] = _add_folder(writer, place.data / each, Path("data") / each)
            manifest = Manifest.model_validate(
                {
                    "format": 1,
                    "daguerre": version("daguerre"),
                    "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                    "database": backend,
                    "revision": taken.revision,
                    "jobs": dict(taken.states),
                    "counts": counts,
                    "left_out": tuple(_left_out(configuration, place)),
                    "files": writer.files,
                }
            )
            writer.seal(manifest)
    return Done(out, manifest)


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
        with _queue_errors(), folder_lock(place.data):
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
        if first == "pictures" and place.pictures is not None and _is_picture(parts):
            found[name] = place.pictures / rest
        elif first == "data" and len(parts) > 1 and not _reserved(parts[0]):
            found[name] = place.data / rest
        else:
            raise KeyError(name)
    return found


def _reserved(name: str) -> bool:
    """Whether an entry of the data folder is daguerre's own and no archive may bring it. Pure."""
    return name in MADE_AGAIN or name == "pictures" or name.startswith((".", "daguerre.db"))


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


def _add_pictures(writer: Writer, place: Place, taken: snapshot.Snapshot) -> int:
    """Those that the job table of the backup names: what was drawn since would be nobody's."""
    if place.pictures is None:
        return 0
    number, named = 0, {"sources"} | taken.jobs
    for folder in _entries(place.pictures):
        if not folder.is_dir(follow_symlinks=False) or folder.name not in named:
            continue
        for file in _entries(Path(folder.path)):
            known = folder.name != "sources" or f"sources/{file.name}" in taken.sources
            if known and _is_picture((folder.name, file.name)):
                number += _add(writer, Path(file.path), f"pictures/{folder.name}/{file.name}")
    return number


def _is_picture(parts: tuple[str, ...] | list[str]) -> bool:
    """Whether the picture store names a file so. Pure."""
    match parts:
        case ["sources", name]:
            return bool(_SOURCE.fullmatch(name))
        case [job, name]:
            return bool(_JOB.fullmatch(job) and _PICTURE.fullmatch(name))
        case _:
            return False


def _add_folder(writer: Writer, folder: Path, name: Path) -> int:
    number = 0
    for entry in _entries(folder):
        if entry.name.startswith("."):
            continue  # a draft
        if entry.is_dir(follow_symlinks=False):
            number += _add_folder(writer, folder / entry.name, name / entry.name)
        else:
            number += _add(writer, folder / entry.name, (name / entry.name).as_posix())
    return number


def _add(writer: Writer, path: Path, name: str) -> int:
    """One file, unless it has gone meanwhile, as pictures do that a member has erased."""
    try:
        # No links: they may lead anywhere.
        file = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb")
    except FileNotFoundError:
        return 0
    except OSError as problem:
        if path.is_symlink():
            return 0
        raise OutputError(f"{path} cannot be read: {problem.strerror or problem}") from None
    if not safe(name):
        raise OutputError(f"{str(path)!r} has a name that not every system can keep: rename it")
    with file:
        writer.add(name, file)
    return 1


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            yield from sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return


def _left_out(configuration: Configuration, place: Place) -> Iterator[str]:
    yield _SECRETS
    yield "the settings (config.toml) and the weights: they are not in the data folder"
    if place.pictures is None:
        yield "the pictures: [queue] pictures_url keeps them elsewhere; back them up there"
    if place.adapters is None and configuration.settings.render.adapters:
        yield f"adapters: {configuration.settings.render.adapters} is not in the data folder"
    ours = {*MADE_AGAIN, "pictures", *(each.parts[0] for each in place.kept)}
    for entry in _entries(place.data):
        if entry.name in MADE_AGAIN and entry.name not in ("api.url", "control.lock"):
            yield f"{entry.name}: {MADE_AGAIN[entry.name]}"
        elif entry.name not in ours and not entry.name.startswith((".", "daguerre.db")):
            yield f"{entry.name}: not Daguerre's"


@contextlib.contextmanager
def _queue_errors() -> Generator[None]:
    try:
        yield
    except QueueError as problem:
        raise QueueFailed(str(problem)) from None
