"""Backups of a running queue with real pictures, and archives that somebody changed."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from queuekit import QUICK, Queue, state, submit, worker

from daguerre.app.archive import MANIFEST
from daguerre.app.backup import backup
from daguerre.app.options import RenderOptions
from daguerre.app.restore import restore
from daguerre.app.settings import Configuration, Secrets, Settings
from daguerre.queue.control.service import open_queue
from daguerre.queue.options import QueueOptions
from daguerre.queue.records.jobs import JobState

PROMPT = "a secret apple nobody may read"


def configuration(folder: Path, options: QueueOptions = QUICK, **render: Any) -> Configuration:
    """Settings with `folder/data` as the data folder."""
    settings = Settings.model_construct(
        **{**dict(Settings.model_construct()), "queue": options, "render": RenderOptions(**render)}
    )
    return Configuration(settings, Secrets(), None, folder)


async def saved(configuration: Configuration, out: Path) -> Any:
    return (await asyncio.to_thread(backup, configuration, out)).manifest


async def brought_back(configuration: Configuration, file: Path) -> Any:
    return (await asyncio.to_thread(restore, configuration, file, configuration.data_dir)).manifest


async def a_queue_with_pictures(queue: Queue) -> tuple[Any, Any, str]:
    """One job that is drawn, one that waits, and a picture that a member sent."""
    async with worker(queue):
        done = await submit(queue, PROMPT)
        await state(queue, done, JobState.RENDERED)
    sent = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(sent, "PNG")
    source = await queue.keep_source(sent.getvalue())
    return done, await submit(queue, "waits", source={"picture": source}), source


def names_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def content(file: Path) -> bytes:
    return file.read_bytes()


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
async def archive(tmp_path: Path) -> Path:
    """A good backup."""
    here = configuration(tmp_path / "old")
    async with open_queue(QUICK, here.data_dir) as queue:
        await a_queue_with_pictures(queue)
    await saved(here, tmp_path / "good.zip")
    return tmp_path / "good.zip"


def names(good: Path) -> list[str]:
    with zipfile.ZipFile(good) as zipped:
        return zipped.namelist()


def forged(
    good: Path,
    bad: Path,
    *,
    drop: str = "",
    replace: dict[str, bytes] | None = None,
    add: dict[str, bytes] | None = None,
    listed: bool = True,
    told: Callable[[dict[str, Any]], object] = bool,
) -> None:
    """A zip that is right as a zip; what is in `add` is listed in the manifest too."""
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        files = {name: source.read(name) for name in source.namelist() if name != drop} | (replace or {})
        if add:
            manifest = json.loads(files[MANIFEST])
            for name, content in add.items() if listed else ():
                manifest["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            files = {**files, **add, MANIFEST: json.dumps(manifest).encode()}
        elif MANIFEST in files and MANIFEST not in (replace or {}):
            manifest = json.loads(files[MANIFEST])
            told(manifest)
            files[MANIFEST] = json.dumps(manifest).encode()
        for name, content in files.items():
            target.writestr(name, content)
