"""Python packages that a bare machine lacks, fetched as wheels and packed as the folder they unpack to.

A wheel is a zip whose files are compressed one by one; all of them together in one xz archive have half the size.
"""

from __future__ import annotations

import importlib.metadata
import lzma
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from ..errors import PackageUnavailable

#: In the versions that are installed here. Besides Python, PyTorch, transformers, accelerate, safetensors and Pillow
#: (which bring numpy, tokenizers, huggingface-hub, regex, requests, filelock) these are all that training imports.
NAMES = ("diffusers", "resvg-py", "peft", "inflect", "more-itertools", "typeguard")
#: Platforms whose wheels run on any glibc from 2014 to 2018 on.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def collect(python: str, archive: Path, names: Sequence[str] = NAMES) -> None:
    """Fetch wheels of `names` for CPython `python` (as 3.12) on x86-64 Linux and write their content as one .tar.xz.

    Raises:
        PackageUnavailable: one is not installed here, or pip cannot fetch it for that Python.
    """
    try:
        pinned = [f"{name}=={importlib.metadata.version(name)}" for name in names]
    except importlib.metadata.PackageNotFoundError as missing:
        raise PackageUnavailable(f"{missing} is not installed here; its version decides which one is packed.") from None
    with tempfile.TemporaryDirectory() as scratch:
        platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
        fetched = subprocess.run(  # noqa: S603  fixed words and pinned names, no shell
            [
                sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
                "--implementation", "cp", "--python-version", python, *platforms, "--dest", scratch, *pinned,
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if fetched.returncode:
            reason = (fetched.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise PackageUnavailable(f"pip could not fetch {', '.join(pinned)} for Python {python}: {reason}")
        site = Path(scratch) / "site"
        for wheel in sorted(Path(scratch).glob("*.whl")):
            unpack(wheel, site)
        part = archive.with_suffix(".part")
        with lzma.open(part, "wb", preset=6) as out, tarfile.open(fileobj=out, mode="w") as tar:
            # Sorted and without owners or dates, so that the same packages give the same bytes.
            for file in sorted(each for each in site.rglob("*") if each.is_file()):
                tar.add(file, file.relative_to(site).as_posix(), filter=_plain)
        part.replace(archive)


def unpack(wheel: Path, site: Path) -> None:
    """Put a wheel's modules into `site`.

    Raises:
        PackageUnavailable: it has files that an installer would have to move.
    """
    with zipfile.ZipFile(wheel) as content:
        if any(".data/" in name for name in content.namelist()):
            raise PackageUnavailable(f"{wheel.name} has to be installed, not only unpacked.")
        content.extractall(site)  # noqa: S202  zipfile strips .. and roots


def _plain(about: tarfile.TarInfo) -> tarfile.TarInfo:
    about.uid = about.gid = 0
    about.uname = about.gname = ""
    about.mtime = 0
    about.mode = 0o644
    return about
