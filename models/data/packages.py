"""Fetch pinned packages with their ordinary clients, check them, unpack them once."""

from __future__ import annotations

import base64
import errno
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import DataError, PackageChanged, PackageUnavailable, explained
from . import debian
from .sources import AnyPackage, DebianPackage, Package

#: What the operating system says where no space is left, or a quota or a limit on file sizes is reached.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def fetch(package: AnyPackage, cache: Path) -> Path:
    """Give the folder of the unpacked package below `cache`, fetching it where it is not there yet.

    An archive that already lies in `cache` under the name its client gives it is used in place of the network,
    after the same check; so machines without npm, apt or network can be served by hand.

    Raises:
        PackageUnavailable: the client is not installed, or its registry does not give the package.
        PackageChanged: what arrived is not what was pinned.
        DataError: no space is left.
    """
    folder = cache / package.folder
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with full_disk_explained(cache), tempfile.TemporaryDirectory(dir=cache) as scratch:
        archive = cache / archive_name(package)
        if not archive.is_file():
            archive = _pack(package, Path(scratch)) if isinstance(package, Package) else debian.download(
                package, Path(scratch), cache
            )  # fmt: skip
        check(package, archive)
        unpacked = Path(scratch) / "unpacked"
        with explained(PackageChanged, f"The archive of {package.name} cannot be unpacked ({{problem}}). Delete it."):
            if isinstance(package, DebianPackage):
                content = debian.unpack(package, archive, unpacked)
            else:
                with tarfile.open(archive) as opened:
                    opened.extractall(unpacked, filter="data")
                content = next(unpacked.iterdir())
        # The rename comes last, so that a folder that exists is whole.
        content.rename(folder)
    return folder


def archive_name(package: AnyPackage) -> str:
    """Name of the archive file as `npm pack` and `apt-get download` write it."""
    return package.archive if isinstance(package, DebianPackage) else f"{package.folder}.tgz"


def check(package: AnyPackage, archive: Path) -> None:
    """Compare the archive with the pinned digest: sha512 (Subresource Integrity text) of npm, sha256 of Debian.

    Raises:
        PackageChanged: the digests differ.
    """
    with archive.open("rb") as content:
        if isinstance(package, Package):
            found = "sha512-" + base64.b64encode(hashlib.file_digest(content, "sha512").digest()).decode()
            pinned = package.integrity
        else:
            found, pinned = hashlib.file_digest(content, "sha256").hexdigest(), package.sha256
    if found != pinned:
        raise PackageChanged(
            f"{package.name}@{package.version} has digest {found}, pinned is {pinned}. Nothing was used. "
            f"If {archive.name} lies among the packages, delete it and try again."
        )


@contextmanager
def full_disk_explained(folder: Path) -> Iterator[None]:
    """Turn "no space left" of whatever is written below `folder` into an error that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise DataError(
            f"No space is left for {folder}. Free some, then run the same command again: what is finished is kept."
        ) from error


def _pack(package: Package, scratch: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise PackageUnavailable(
            f"npm is needed to fetch {package.name}; install Node.js (Debian: apt-get install npm)."
        )
    packed = subprocess.run(  # noqa: S603  fixed words and a pinned name, no shell
        [npm, "pack", "--silent", f"{package.name}@{package.version}"],
        cwd=scratch, capture_output=True, text=True, check=False,
    )  # fmt: skip
    archives = list(scratch.glob("*.tgz"))
    if packed.returncode or not archives:
        reason = (packed.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise PackageUnavailable(f"npm could not fetch {package.name}@{package.version}: {reason}")
    return archives[0]
