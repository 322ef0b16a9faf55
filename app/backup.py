"""`daguerre backup`: everything of a data folder that cannot be made again, in one file. Blocking."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from ..queue.store import snapshot
from .archive import DATABASES, Manifest, Writer, already, safe, writing
from .errors import DataFolderError, OutputError
from .kept import MADE_AGAIN, Done, Place, is_picture, queue_errors
from .machine import UNFINISHED
from .settings import Configuration

_SECRETS = "secrets: the bot's token, nats-server's token and keys; set them on the new host as on the old one"


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
        with queue_errors():
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
            if known and is_picture((folder.name, file.name)):
                number += _add(writer, Path(file.path), f"pictures/{folder.name}/{file.name}")
    return number


def _add_folder(writer: Writer, folder: Path, name: Path) -> int:
    number = 0
    for entry in _entries(folder):
        if entry.name.startswith(".") or entry.name.endswith(".part"):
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
    render = configuration.settings.render
    for name, folder in (("embeddings", render.embeddings), ("ControlNets", render.controlnets)):
        if folder and (configuration.folder / Path(folder).expanduser()).is_dir():
            yield f"{name}: {folder} is a copy of what others publish"
    ours = {*MADE_AGAIN, "pictures", *(each.parts[0] for each in place.kept)}
    ours |= {path.name for path in (place.pictures, Path(place.database.database or "")) if path is not None}
    for entry in _entries(place.data):
        if entry.name in MADE_AGAIN and entry.name not in ("api.url", "control.lock"):
            yield f"{entry.name}: {MADE_AGAIN[entry.name]}"
        elif entry.name not in ours and not entry.name.startswith((".", "daguerre.db")):
            yield f"{entry.name}: not Daguerre's"
