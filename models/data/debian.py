"""Fetch pinned Debian packages with apt-get, without root and without installing anything; unpack them in Python."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import PackageUnavailable
from .sources import DebianPackage

_AR_MAGIC = b"!<arch>\n"


def download(package: DebianPackage, scratch: Path, cache: Path) -> Path:
    """Fetch the archive into `scratch`.

    Uses the machine's own package lists first; where these do not know the package (or are empty, as in fresh
    containers), lists of its own below `cache`, from the same repositories and with the same keys.

    Raises:
        PackageUnavailable: there is no apt-get, or no configured repository has this very version.
    """
    apt = shutil.which("apt-get")
    if apt is None:
        raise PackageUnavailable(
            f"apt-get is needed to fetch {package.name}. Either put {package.archive} (Debian's archive has it) into "
            f"{cache}, or leave its pictures out: scripts/start data build --without NAME"
        )
    pinned = f"{package.name}={package.version}"
    verb = ["source", "--download-only", "--tar-only", pinned] if package.source else ["download", pinned]
    reason = "no reason given"
    for own_lists in (False, True):
        own = _own_lists(apt, cache / "apt") if own_lists else ["-q"]
        done = subprocess.run(  # noqa: S603  fixed words and a pinned name, no shell
            [apt, *own, *verb], cwd=scratch, capture_output=True, text=True, check=False
        )
        found = scratch / package.archive
        if found.is_file() and done.returncode == 0:
            return found
        said = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        reason = said[0][2:].strip() if said else reason
    raise PackageUnavailable(
        f"apt-get could not fetch {pinned}: {reason}. Debian 12 has this version; on another system put "
        f"{package.archive} into {cache}, or leave its pictures out: scripts/start data build --without NAME"
    )


def unpack(package: DebianPackage, archive: Path, folder: Path) -> Path:
    """Unpack the files that are wanted (no links) and give the folder that paths of `sources` start from.

    Raises:
        ValueError: not a Debian archive.
        tarfile.TarError, EOFError: damaged.
    """
    wanted = re.compile(package.wanted)

    def chosen(member: tarfile.TarInfo, where: str) -> tarfile.TarInfo | None:
        return tarfile.data_filter(member, where) if member.isfile() and wanted.search(member.name) else None

    content = archive if package.source else _data_member(archive)
    folder.mkdir(parents=True)
    with tarfile.open(content) if isinstance(content, Path) else tarfile.open(fileobj=content) as opened:
        opened.extractall(folder, filter=chosen)  # noqa: S202  `chosen` ends in the data filter
    # Upstream archives hold one folder named after the release; binary packages start at the root.
    return next(folder.iterdir()) if package.source else folder


def _data_member(archive: Path) -> io.BytesIO:
    """The data.tar.* of a .deb, which is an `ar` archive: 60-byte headers (deb(5))."""
    with archive.open("rb") as file:
        if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
            raise ValueError("no Debian package")
        while header := file.read(60):
            size = int(header[48:58])
            if header.startswith(b"data.tar"):
                return io.BytesIO(file.read(size))
            file.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError("no data in the package")


def _own_lists(apt: str, state: Path) -> list[str]:
    """Options that make apt use lists of its own below `state`, brought up to date now, with sources as well."""
    parts = state / "parts"
    for each in (parts, state / "lists" / "partial", state / "cache" / "archives" / "partial"):
        each.mkdir(parents=True, exist_ok=True)
    for number, (suffix, text) in enumerate(_configured()):
        (parts / f"{number}{suffix}").write_text(text, encoding="utf-8")
    # apt wants absolute paths.
    state = state.resolve()
    options = [
        "-q", "-o", "Dir::Etc::SourceList=/dev/null", "-o", f"Dir::Etc::SourceParts={state / 'parts'}",
        "-o", f"Dir::State::lists={state / 'lists'}", "-o", f"Dir::Cache={state / 'cache'}",
    ]  # fmt: skip
    # Not checked: a third repository without sources makes this fail although Debian's lists arrived.
    subprocess.run([apt, *options, "update"], capture_output=True, check=False)  # noqa: S603
    return options


def _configured() -> Iterator[tuple[str, str]]:
    """The machine's repositories, with sources switched on: suffix and text of each file."""
    etc = Path("/etc/apt")
    for file in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]:
        if not file.is_file() or file.suffix not in {".list", ".sources"}:
            continue
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".sources":
            yield file.suffix, re.sub(r"(?m)^Types:.*$", "Types: deb deb-src", text)
        else:
            lines = [line for line in text.splitlines() if line.startswith("deb ")]
            yield file.suffix, "\n".join([*lines, *("deb-src" + line[3:] for line in lines)]) + "\n"
