"""What of a data folder a backup keeps, and where it lies. Shared by backup.py and restore.py."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from ..queue.errors import QueueError
from ..queue.pictures import local_folder
from ..queue.store import COPIES_BEFORE, database_url
from .archive import Manifest
from .errors import QueueFailed
from .machine import UNFINISHED
from .settings import Configuration

#: What else of the data folder is kept: one's own drawings.
BANK = "bank"
#: Entries of the data folder that are made again by themselves, or are secrets; no archive may hold them.
MADE_AGAIN: Mapping[str, str] = {
    "nats": "nats-server's streams are rebuilt from the job table, and its token is made anew",
    "certificate": "the key of the development certificate is a secret, and a new one is made",
    "programs": "compiled for this machine",
    COPIES_BEFORE: "of an earlier version; the present job table is in it",
    "paces.json": "measured on this machine",
    "discord-commands.sha256": "asked of Discord again",
    "discord-commands.json": "asked of Discord again",
    "bot-holder": "of this data folder: where it is restored is another place",
    "api.url": "of the running process",
    "control.lock": "of the running process",
    UNFINISHED: "of an unfinished restore",
}
#: What the picture store writes: pictures of a job, and what members sent.
_JOB, _PICTURE, _SOURCE = (
    re.compile(pattern) for pattern in (r"[0-9a-f]{32}", r"[0-9]{1,3}\.png", r"[0-9a-f]{64}\.webp")
)


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
            # Not resolved: the data folder itself may be reached by a link.
            folder = os.path.normpath((configuration.folder / Path(named).expanduser()).absolute())
            with contextlib.suppress(ValueError):
                adapters = Path(folder).relative_to(os.path.normpath(data.absolute()))
        if adapters is not None and (not adapters.parts or adapters.parts[0] == BANK or reserved(adapters.parts[0])):
            adapters = None
        with queue_errors():
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


def reserved(name: str) -> bool:
    """Whether an entry of the data folder is daguerre's own and no archive may bring it. Pure."""
    return name in MADE_AGAIN or name == "pictures" or name.startswith((".", "daguerre.db"))


def is_picture(parts: tuple[str, ...] | list[str]) -> bool:
    """Whether the picture store names a file so. Pure."""
    match parts:
        case ["sources", name]:
            return bool(_SOURCE.fullmatch(name))
        case [job, name]:
            return bool(_JOB.fullmatch(job) and _PICTURE.fullmatch(name))
        case _:
            return False


@contextlib.contextmanager
def queue_errors() -> Generator[None]:
    try:
        yield
    except QueueError as problem:
        raise QueueFailed(str(problem)) from None
