"""The one file of a backup: a zip with a manifest that names every file in it, its size and its SHA-256.

Written whole or not at all. Read as something that anybody may have changed: no name of it leads out of the folder that
it is unpacked into, and nothing counts before its digest was seen to be right.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import zipfile
import zlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import OutputError, Refused

#: Of the archive itself; a reader knows its own and earlier ones.
FORMAT = 1
MANIFEST = "manifest.json"
#: The job table, by kind of database.
DATABASES: Mapping[str, str] = {"sqlite": "database/daguerre.db", "postgresql": "database/postgresql.dump"}
CHUNK = 1 << 20
MOST_MANIFEST = 1 << 30
#: What zipfile raises about a file that is no good zip.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, IndexError, OverflowError, NotImplementedError,
    RuntimeError, MemoryError,
)  # fmt: skip
#: One part of a name: no separators or drives of any system, no control characters, no lone surrogates.
_PART = re.compile(r"(?!\.{1,2}$)[^/\\:\x00-\x1f\x7f\ud800-\udfff]{1,255}")


class Kept(BaseModel):
    """One file of the archive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """What an archive says of itself. No prompt, no name of a member and no secret is in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(ge=1)
    #: Version of Daguerre that wrote it, and when, in UTC.
    daguerre: str = Field(max_length=100)
    created: str = Field(max_length=100)
    database: Literal["sqlite", "postgresql"]
    #: Of the job table's schema.
    revision: str = Field(pattern=r"^[0-9]{4,8}$")
    #: Jobs by state, and files by kind.
    jobs: Mapping[str, int]
    counts: Mapping[str, int]
    #: What is not in it, and why.
    left_out: tuple[str, ...]
    files: Mapping[str, Kept]


class Writer:
    """Adds files; `seal` ends it."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.files: dict[str, Kept] = {}

    def add(self, name: str, source: IO[bytes], *, squeeze: bool = False) -> None:
        """Copy an open file; `squeeze`: it is worth compressing, as pictures are not."""
        info = zipfile.ZipInfo(name)
        info.compress_type = zipfile.ZIP_DEFLATED if squeeze else zipfile.ZIP_STORED
        info.external_attr = 0o600 << 16
        digest, size = hashlib.sha256(), 0
        with self._archive.open(info, "w", force_zip64=True) as target:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                target.write(chunk)
        self.files[name] = Kept(size=size, sha256=digest.hexdigest())

    def seal(self, manifest: Manifest) -> None:
        self._archive.writestr(MANIFEST, manifest.model_dump_json(indent=1))


@contextmanager
def writing(out: Path, room: Path) -> Generator[Writer]:
    """An archive that stands at `out` once all is in it, readable by its owner alone; drafted in the folder `room`.

    Raises:
        OutputError: it cannot be written; nothing is left of it.
    """
    part = room / "archive.part"
    try:
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
            with zipfile.ZipFile(file, "w") as archive:
                yield Writer(archive)
            file.flush()
            os.fsync(file.fileno())
        try:
            # Not by renaming: what somebody else put there meanwhile stays.
            os.link(part, out)
        except FileExistsError:
            raise already(out) from None
        except OSError:
            if out.exists():
                raise already(out) from None
            part.replace(out)
        with contextlib.suppress(OSError):
            handle = os.open(out.parent, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
    except OSError as problem:
        raise OutputError(f"{out} cannot be written: {problem.strerror or problem}. Name a file elsewhere") from None


def already(out: Path) -> OutputError:
    return OutputError(f"{out} is there already, and a backup replaces nothing: name another file")


class Archive:
    """One that was opened; its names are safe, its contents not looked at yet."""

    def __init__(self, file: Path, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self.file = file
        self.manifest = manifest
        self._archive = archive

    @property
    def size(self) -> int:
        """Bytes that it unpacks to."""
        return sum(each.size for each in self.manifest.files.values())

    def check(self) -> None:
        """Read everything once. Raises: Refused when a file is not what the manifest says."""
        for name in self.manifest.files:
            self._copy(name, None)

    def unpack(self, name: str, target: Path) -> None:
        """Write one file, for its owner alone, where none is yet.

        Raises:
            Refused: it is not what the manifest says.
            OSError: it cannot be written.
        """
        for folder in reversed(target.parents):
            # One by one: Path.mkdir makes the parents of a folder readable for all.
            if not folder.exists():
                folder.mkdir(0o700)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            self._copy(name, file)

    def _copy(self, name: str, target: IO[bytes] | None) -> None:
        told, digest, size = self.manifest.files[name], hashlib.sha256(), 0
        with _reading(self.file, target), self._archive.open(name) as source:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                if size > told.size:
                    break
                if target is not None:
                    target.write(chunk)
        if size != told.size or digest.hexdigest() != told.sha256:
            raise damaged(self.file, f"{name} is not what was put into it")


@contextmanager
def opened(file: Path) -> Generator[Archive]:
    """Open an archive and read its manifest.

    Raises:
        Refused: it is no backup, is damaged, or was written by a newer Daguerre; says what to do.
    """
    with contextlib.ExitStack() as stack:
        with _reading(file, None):
            source = stack.enter_context(file.open("rb"))
            archive = stack.enter_context(zipfile.ZipFile(source))
            names = [info.filename for info in archive.infolist()]
            told = archive.getinfo(MANIFEST) if MANIFEST in names else None
            if told is None:
                raise Refused(f"{file} is no backup of Daguerre: there is no {MANIFEST} in it")
            if told.file_size > MOST_MANIFEST:
                raise damaged(file, f"{MANIFEST} is too large")
            content = archive.read(MANIFEST)
        manifest = _manifest(file, content)
        if unsafe := [name for name in (*names, *manifest.files) if not safe(name)]:
            raise Refused(f"{file} is no backup to trust: it names a file {unsafe[0][:80]!r}. Nothing was written")
        if len(names) != len(set(names)) or set(names) != {*manifest.files, MANIFEST}:
            raise damaged(file, f"its files are not those that {MANIFEST} names")
        if DATABASES[manifest.database] not in manifest.files:
            raise damaged(file, "there is no job table in it")
        yield Archive(file, archive, manifest)


def safe(name: str) -> bool:
    """Whether a name stays inside the folder that it is unpacked into, on any system. Pure."""
    return len(name) <= 4000 and all(_PART.fullmatch(part) for part in name.split("/"))


def damaged(file: Path, why: str) -> Refused:
    return Refused(f"{file} is damaged ({why}): take another backup, or copy it again. Nothing was written")


def _manifest(file: Path, content: bytes) -> Manifest:
    class Head(BaseModel):
        format: int
        daguerre: str

    try:
        head = Head.model_validate_json(content)
        if head.format > FORMAT:
            raise Refused(
                f"{file} was written by a newer Daguerre ({head.daguerre[:40]}): install that version, then restore"
            )
        return Manifest.model_validate_json(content)
    except ValidationError:
        raise damaged(file, f"{MANIFEST} cannot be read") from None


@contextmanager
def _reading(file: Path, target: IO[bytes] | None) -> Generator[None]:
    """Turns what zipfile says about a bad file into ours; what concerns `target` stays an OSError."""
    try:
        yield
    except FileNotFoundError:
        raise Refused(f"there is no file {file}") from None
    except _DAMAGE as problem:
        raise damaged(file, str(problem)[:100] or type(problem).__name__) from None
    except OSError as problem:
        if target is not None:
            raise
        raise Refused(f"{file} cannot be read: {problem.strerror or problem}") from None
