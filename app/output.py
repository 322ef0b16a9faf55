"""Where `daguerre imagine` puts its pictures."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..queue.pictures import traced
from .errors import OutputError


def output_files(out: Path, count: int) -> tuple[Path, ...]:
    """apple.png for one picture; apple-1.png, apple-2.png, … for several. Pure.

    Raises:
        OutputError: the name is not one of a PNG file.
    """
    if out.suffix.lower() == ".svg":
        raise OutputError(
            f"--out {out}: pictures are PNG files; name it {out.with_suffix('.png')}, and add --svg to the prompt for "
            "an SVG beside it"
        )
    if out.suffix.lower() != ".png":
        raise OutputError(
            f"--out {out}: pictures are PNG files; name it {out.with_suffix('.png') if out.name else 'apple.png'}"
        )
    if count == 1:
        return (out,)
    return tuple(out.with_name(f"{out.stem}-{n}{out.suffix}") for n in range(1, count + 1))


def check_writable(files: Sequence[Path]) -> None:
    """Find out before rendering whether the pictures can be written.

    Raises:
        OutputError: says what stands in the way.
    """
    folder = files[0].parent
    if not folder.is_dir():
        raise OutputError(f"--out: there is no folder {folder}; make it first (mkdir -p {folder})")
    for file in files:
        if file.is_dir():
            raise OutputError(f"--out: {file} is a folder; add the name of a file")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _problem(folder, error) from None


def write_files(files: Sequence[Path], pictures: Sequence[bytes], *, svg: bool = False) -> Sequence[Path]:
    """Write each picture whole or not at all, with `svg` its SVG beside it; what stood under a name before is replaced.

    Gives the names of all files.

    Raises:
        OutputError: says what stands in the way.
    """
    written = list(zip(files, pictures, strict=True))
    if svg:
        written += [(file.with_suffix(".svg"), traced(data)) for file, data in written]
    for file, data in written:
        part = file.with_name(f".{file.name}.{os.getpid()}.part")
        try:
            part.write_bytes(data)
            part.replace(file)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink()
            raise _problem(file, error) from None
    return [file for file, _ in written]


def _problem(path: Path, error: OSError) -> OutputError:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return OutputError(f"{path} cannot be written: the disk is full. Make room, or choose another --out")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return OutputError(f"{path} cannot be written: no permission. Choose another --out")
        case _:
            return OutputError(f"{path} cannot be written: {error.strerror or error}")
