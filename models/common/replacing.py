"""Writing a whole folder, or none of it: for weights that others may be reading."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(folder: Path, keep: str = "") -> Iterator[Path]:
    """A folder to write in that takes the place of `folder` at the end only, readable by others.

    `keep`: pattern of files of the older one that stay, such as what people wrote.
    """
    part, old = (folder.with_name(folder.name + ending) for ending in (".part", ".old"))
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        for file in part.rglob("*.safetensors"):
            file.chmod(0o644)  # safetensors writes 0600, which another user's worker could not read
        for file in folder.glob(keep) if keep and folder.exists() else ():
            shutil.copy2(file, part / file.name)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def without_paths(folder: Path) -> None:
    """Take out of settings where a part was read from: nobody's business, and no other machine's path."""
    for settings in (*folder.rglob("config.json"), *folder.glob("model_index.json")):
        values = {key: value for key, value in json.loads(settings.read_text()).items() if key != "_name_or_path"}
        settings.write_text(json.dumps(values, indent=2) + "\n")
