"""Results in few small files: a folder becomes one tar, cut into parts below 16 MB, with digests beside them.

What comes back from a lent machine is limited: 8 files of 16 MiB, 64 MiB together. `deliver` keeps within it, `collect`
puts the folder together again.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import shutil
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DataError, ModelError

#: Bytes of one part, parts of one result, and files that may lie beside the parts (figures, a picture, a log).
PART = 15_000_000
PARTS = 4
MANIFEST = "result.json"


def deliver(folder: Path, out: Path, figures: Mapping[str, Any]) -> list[Path]:
    """Write `folder` as `weights.tar.0`, … and `result.json`; what an earlier call wrote is replaced.

    Raises:
        DataError: it is larger than what comes back.
    """
    out.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            tar.add(file, file.relative_to(folder).as_posix())
    content = packed.getvalue()
    pieces = [content[begin : begin + PART] for begin in range(0, len(content), PART)]
    if len(pieces) > PARTS:
        raise DataError(
            f"The result has {len(content) / 1e6:.0f} MB; only {PARTS * PART / 1e6:.0f} MB come back. It lies in "
            f"{folder} as long as the machine is held: make the networks smaller."
        )
    # The manifest goes first and comes last, so that a cut-off delivery is never taken for a whole one.
    (out / MANIFEST).unlink(missing_ok=True)
    for stale in out.glob("weights.tar.*"):
        stale.unlink()
    written = [out / f"weights.tar.{number}" for number in range(len(pieces))]
    for file, piece in zip(written, pieces, strict=True):
        file.write_bytes(piece)
    digests = {file.name: hashlib.sha256(piece).hexdigest() for file, piece in zip(written, pieces, strict=True)}
    fresh = out / f"{MANIFEST}.new"
    fresh.write_text(json.dumps({"figures": dict(figures), "sha256": digests}, indent=1) + "\n")
    fresh.replace(out / MANIFEST)
    return [*written, out / MANIFEST]


def collect(out: Path, folder: Path) -> Mapping[str, Any]:
    """Put together what `deliver` wrote; gives the figures. An existing folder is replaced at the end only.

    Raises:
        DataError: parts are missing or changed.
    """
    try:
        about = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        pieces = {name: (out / name).read_bytes() for name in about["sha256"]}
    except (OSError, ValueError, KeyError) as problem:
        raise DataError(
            f"There is no whole result in {out} ({problem}). Take the files of one call, all of them."
        ) from None
    for name, digest in about["sha256"].items():
        if hashlib.sha256(pieces[name]).hexdigest() != digest:
            raise DataError(f"{out / name} is not the file that was written. Take the files of one call, all of them.")
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces.values()))) as tar:
        tar.extractall(part, filter="data")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return about["figures"]


def main(arguments: list[str] | None = None) -> int:
    """`collect` from the command line."""
    parser = argparse.ArgumentParser(prog="gpu-run collect", description="Put a result's parts together again.")
    parser.add_argument("files", type=Path, help="folder with the files that came back")
    parser.add_argument("folder", type=Path, help="folder to write")
    given = parser.parse_args(arguments)
    try:
        figures = collect(given.files, given.folder)
    except ModelError as problem:
        sys.stderr.write(f"gpu-run: {problem}\n")
        return 1
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
