"""Fetch pinned npm packages with the ordinary client, check them, unpack them once."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from ..errors import PackageChanged, PackageUnavailable
from .sources import Package


def fetch(package: Package, cache: Path) -> Path:
    """Give the folder of the unpacked package below `cache`, fetching it where it is not there yet.

    Raises:
        PackageUnavailable: npm is not installed, or its registry does not give the package.
        PackageChanged: what arrived is not what was pinned.
    """
    folder = cache / package.folder
    if folder.is_dir():
        return folder
    npm = shutil.which("npm")
    if npm is None:
        raise PackageUnavailable(
            f"npm is needed to fetch {package.name}; install Node.js (Debian: apt-get install npm)."
        )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        packed = subprocess.run(  # noqa: S603  fixed words and a pinned name, no shell
            [npm, "pack", "--silent", f"{package.name}@{package.version}"],
            cwd=scratch, capture_output=True, text=True, check=False,
        )  # fmt: skip
        archives = list(Path(scratch).glob("*.tgz"))
        if packed.returncode or not archives:
            reason = (packed.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise PackageUnavailable(f"npm could not fetch {package.name}@{package.version}: {reason}")
        check(package, archives[0])
        unpacked = Path(scratch) / "unpacked"
        with tarfile.open(archives[0]) as archive:
            archive.extractall(unpacked, filter="data")
        # The rename comes last, so that a folder that exists is whole.
        next(unpacked.iterdir()).rename(folder)
    return folder


def check(package: Package, archive: Path) -> None:
    """Compare the archive with the pinned sha512 (Subresource Integrity text).

    Raises:
        PackageChanged: the digests differ.
    """
    digest = hashlib.sha512(archive.read_bytes()).digest()
    found = "sha512-" + base64.b64encode(digest).decode()
    if found != package.integrity:
        raise PackageChanged(
            f"{package.name}@{package.version} has digest {found}, pinned is {package.integrity}. Nothing was used."
        )
