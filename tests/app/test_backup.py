"""`daguerre backup` and `restore` on a running queue with real pictures."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from backupkit import (
    PROMPT,
    a_queue_with_pictures,
    archive,
    brought_back,
    configuration,
    content,
    files_of,
    forged,
    names_in,
    saved,
)
from queue_disks import fill, small_disk
from queuekit import QUICK, asked, state, submit, worker
from sqlalchemy import create_engine, text

from daguerre.app.archive import MANIFEST
from daguerre.app.errors import AppError, DataFolderError, OutputError, QueueFailed, Refused
from daguerre.app.machine import UNFINISHED, prepare_data_dir
from daguerre.app.restore import restore
from daguerre.queue.control.service import open_queue
from daguerre.queue.records.jobs import JobState
from daguerre.queue.store.migrate import MIGRATIONS, newest_revision
from daguerre.queue.store.schema import METADATA

__all__ = ["archive", "small_disk"]


async def test_while_it_runs_and_back_on_another_folder(tmp_path: Path) -> None:
    """Jobs, pictures of both kinds, own drawings and adapters come back byte for byte; what is made again stays out."""
    here = configuration(tmp_path / "old", adapters="data/adapters")
    data = here.data_dir
    for name in ("bank/drawings.safetensors", "adapters/mascot/adapter_model.safetensors", "certificate/key.pem"):
        (data / name).parent.mkdir(parents=True)
        (data / name).write_bytes(name.encode())
    (data / "adapters/outside").symlink_to("/etc/passwd")
    (data / "bank/drawings.safetensors.77.part").write_bytes(b"a draft")
    (data / "notes.txt").write_text("somebody's")
    async with open_queue(QUICK, data) as queue:
        done, waits, source = await a_queue_with_pictures(queue)
        # Of a job that the table does not know, and a draft.
        for orphan in (f"{'0' * 32}/0.png", f"{done.id}/.0.png.1234"):
            (data / "pictures" / orphan).parent.mkdir(exist_ok=True)
            (data / "pictures" / orphan).write_bytes(b"orphan")
        told = await saved(here, tmp_path / "b.zip")
        token = (data / "nats" / "token").read_bytes()
    assert (told.jobs, told.counts) == ({"rendered": 1, "queued": 1}, {"pictures": 2, "bank": 1, "adapters": 1})
    assert (tmp_path / "b.zip").stat().st_mode & 0o777 == 0o600
    assert names_in(tmp_path) == {"old", "b.zip"}, "no drafts are left"
    with zipfile.ZipFile(tmp_path / "b.zip") as zipped:
        assert {name.split("/")[0] for name in zipped.namelist()} == {"database", "pictures", "data", MANIFEST}
        contents = b"".join(zipped.read(name) for name in zipped.namelist())
    assert token.strip() not in contents
    assert b"key.pem" not in contents.replace(b"certificate: the key", b"")
    left = "\n".join(told.left_out)
    assert all(word in left for word in ("the bot's token", "nats:", "certificate:", "notes.txt: not Daguerre's"))

    there = configuration(tmp_path / "new")
    await brought_back(there, tmp_path / "b.zip")
    back = files_of(there.data_dir)
    assert back.keys() == {
        "control.lock", "daguerre.db", f"pictures/{done.id}/0.png", f"pictures/{source}",
        "bank/drawings.safetensors", "adapters/mascot/adapter_model.safetensors",
    }  # fmt: skip
    was = files_of(data)
    assert all(back[name] == was[name] for name in back if name not in ("control.lock", "daguerre.db"))
    assert all(file.stat().st_mode & 0o077 == 0 for file in there.data_dir.rglob("*"))
    async with open_queue(QUICK, there.data_dir) as queue:
        assert (await queue.job(done.id)).request.prompt == PROMPT
        async with worker(queue):
            await state(queue, waits, JobState.RENDERED)
        assert sum((await queue.counts()).values()) == 2


async def test_a_backup_replaces_nothing_and_needs_something(tmp_path: Path, archive: Path) -> None:
    """A file that is there, a folder that is not, a data folder that nothing ran in: said, and nothing is left."""
    before = content(archive)
    here = configuration(tmp_path / "old")
    with pytest.raises(OutputError, match="there already"):
        await saved(here, archive)
    with pytest.raises(OutputError, match="cannot be written"):
        await saved(here, tmp_path / "no" / "b.zip")
    with pytest.raises(QueueFailed, match="no `daguerre serve` has run"):
        await saved(configuration(tmp_path / "never"), tmp_path / "b.zip")
    assert content(archive) == before
    assert names_in(tmp_path) == {"old", "good.zip"}
    with (tmp_path / "old/data/daguerre.db").open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 20_000)
    with pytest.raises(QueueFailed, match=r"damaged|cannot be copied"):
        await saved(here, tmp_path / "b.zip")
    assert names_in(tmp_path) == {"old", "good.zip"}


async def test_only_into_an_empty_folder_that_nobody_works_on(tmp_path: Path, archive: Path) -> None:
    """Anybody's folder stays as it is, and a running queue is named."""
    there = configuration(tmp_path / "new")
    there.data_dir.mkdir(parents=True)
    (there.data_dir / "mine").write_text("mine")
    with pytest.raises(DataFolderError, match="is not empty"):
        await brought_back(there, archive)
    assert files_of(there.data_dir) == {"mine": b"mine"}
    async with open_queue(QUICK, tmp_path / "old" / "data"):
        with pytest.raises(QueueFailed, match="another daguerre"):
            await brought_back(configuration(tmp_path / "old"), archive)
    elsewhere = configuration(tmp_path / "third", QUICK.model_copy(update={"pictures_url": str(there.data_dir)}))
    with pytest.raises(DataFolderError, match="is not empty"):
        await brought_back(elsewhere, archive)
    assert files_of(there.data_dir) == {"mine": b"mine"}


async def test_an_older_one_is_brought_up_to_date(tmp_path: Path) -> None:
    """A job table as the first release left it, backed up before an upgrade: migrated on its way in, no job is lost."""
    here = configuration(tmp_path / "old")
    here.data_dir.mkdir(parents=True)
    old = here.data_dir / "daguerre.db"
    engine = create_engine(f"sqlite:///{old}")
    with engine.begin() as connection:
        alembic = Config()
        alembic.set_main_option("script_location", str(MIGRATIONS))
        alembic.set_main_option("path_separator", "os")
        alembic.attributes.update(connection=connection, metadata=METADATA)
        command.upgrade(alembic, "0001")
        columns = "id, key, member, server, turn, tag, cost, state, generation, attempts, request, reply, told"
        connection.execute(
            text(
                f"INSERT INTO jobs ({columns}, pictures, metadata, seconds, created, changed) "
                "VALUES (:id, 'k', 'm', 's', 0, 0, 1, 'queued', 0, 0, :request, '{}', 0, '[]', '{}', 0, 1, 1)"
            ),
            {"id": "a" * 32, "request": asked(PROMPT).model_dump_json()},
        )
    engine.dispose()
    told = await saved(here, tmp_path / "b.zip")
    assert (told.revision, told.jobs) == ("0001", {"queued": 1})
    await brought_back(configuration(tmp_path / "new"), tmp_path / "b.zip")
    table = sqlite3.connect(tmp_path / "new/data/daguerre.db")
    assert table.execute("SELECT version_num FROM alembic_version").fetchone() == (newest_revision(),)
    table.close()
    async with open_queue(QUICK, tmp_path / "new/data") as queue, worker(queue):
        assert (await state(queue, await queue.job("a" * 32), JobState.RENDERED)).request.prompt == PROMPT


async def test_a_disk_that_is_full(small_disk: Path, tmp_path: Path, archive: Path) -> None:
    """No room for the backup, or for what it holds: said, and neither a part of the file nor of the folder is left."""
    filler = fill(small_disk)
    with pytest.raises(AppError, match=r"no room|cannot be") as refused:
        await saved(configuration(tmp_path / "old"), small_disk / "b.zip")
    assert len(str(refused.value).splitlines()) == 1
    assert names_in(small_disk) == {filler.name}
    filler.write_bytes(b"")
    large = tmp_path / "large.zip"
    forged(archive, large, add={"data/bank/drawings.safetensors": os.urandom(32 << 20)})
    with pytest.raises(DataFolderError, match="MB left"):
        await asyncio.to_thread(restore, configuration(tmp_path), large, small_disk / "data")
    assert files_of(small_disk / "data").keys() == {"control.lock"}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restore_that_is_stopped_in_the_middle(tmp_path: Path, archive: Path, how: signal.Signals) -> None:
    """Told to stop, it cleans up; killed, it leaves the mark. A second one does it whole either way."""
    large, data = tmp_path / "large.zip", tmp_path / "new" / "data"
    forged(archive, large, add={f"data/bank/{number}": os.urandom(4 << 20) for number in range(24)})
    process = subprocess.Popen(
        [sys.executable, "-m", "daguerre.app", "restore", large, "--data", data],
        env={"PATH": os.environ["PATH"]}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (data / "bank").exists():
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    if how is signal.SIGTERM:
        assert process.returncode == 130
        assert "Traceback" not in said
        assert files_of(data).keys() == {"control.lock"}
    else:
        assert UNFINISHED in files_of(data)
    restore(configuration(tmp_path / "new"), large, data)
    assert len(files_of(data / "bank")) == 24
    assert UNFINISHED not in files_of(data)


async def test_one_that_was_cut_off_is_done_again(tmp_path: Path, archive: Path) -> None:
    """kill -9 in the middle leaves its mark: `serve` and `backup` stay away, a second restore begins afresh."""
    there = configuration(tmp_path / "new")
    (there.data_dir / "pictures").mkdir(parents=True)
    (there.data_dir / "pictures" / "half").write_bytes(b"half")
    (there.data_dir / "daguerre.db").write_bytes(b"half")
    (there.data_dir / UNFINISHED).touch()
    with pytest.raises(DataFolderError, match="cut off"):
        prepare_data_dir(there.data_dir)
    with pytest.raises(DataFolderError, match="cut off"):
        await saved(there, tmp_path / "b.zip")
    await brought_back(there, archive)
    assert not {"pictures/half", UNFINISHED} & files_of(there.data_dir).keys()
    prepare_data_dir(there.data_dir)


async def test_pictures_elsewhere_are_said_to_be_missing(tmp_path: Path, archive: Path) -> None:
    """By URL they are not in it; and what has pictures is not restored to where they would be missed."""
    options = QUICK.model_copy(update={"pictures_url": "memory://somewhere"})
    here = configuration(tmp_path / "url", options)
    async with open_queue(options, here.data_dir) as queue, worker(queue):
        await state(queue, await submit(queue), JobState.RENDERED)
        told = await saved(here, tmp_path / "b.zip")
    assert told.counts["pictures"] == 0
    assert any("pictures_url keeps them elsewhere" in line for line in told.left_out)
    with pytest.raises(Refused, match="pictures_url"):
        await brought_back(configuration(tmp_path / "new", options), archive)


async def test_many_write_while_it_is_copied(tmp_path: Path) -> None:
    """Ten backups under a stream of new jobs: each opens, and has what was there before it began."""
    here = configuration(tmp_path / "old")
    stop = asyncio.Event()
    options = QUICK.model_copy(update={"max_queued_per_member": 100_000})
    async with open_queue(options, here.data_dir) as queue:

        async def ask() -> None:
            number = 0
            while not stop.is_set():
                await submit(queue, f"number {number}")
                number += 1

        asking = asyncio.create_task(ask())
        counted: list[tuple[int, int]] = []
        for number in range(10):
            before = sum((await queue.counts()).values())
            told = await saved(here, tmp_path / f"{number}.zip")
            counted.append((before, sum(told.jobs.values())))
        stop.set()
        await asking
    assert all(before <= there for before, there in counted), counted
    assert counted[-1][1] > counted[0][1], "jobs came in meanwhile"


def test_on_the_command_line(tmp_path: Path) -> None:
    """One line for what is wrong, with sysexits' code; names of files with the date where a folder is named."""

    def daguerre(*words: str | Path) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "DAGUERRE_STORAGE__DATA_DIR": str(tmp_path / "data")}
        return subprocess.run(
            [sys.executable, "-m", "daguerre.app", *words], env=environment, capture_output=True, text=True, check=False
        )

    answer = daguerre("backup", tmp_path)
    assert (answer.returncode, len(answer.stderr.splitlines())) == (75, 1), answer.stderr
    answer = daguerre("restore", tmp_path / "none.zip", "--data", tmp_path / "x")
    assert (answer.returncode, answer.stderr) == (65, f"daguerre: there is no file {tmp_path / 'none.zip'}\n")

    async def run() -> None:
        async with open_queue(QUICK, tmp_path / "data") as queue:
            await submit(queue, PROMPT)

    asyncio.run(run())
    (tmp_path / "data" / "before-upgrade").mkdir()
    answer = daguerre("backup", tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "not in it: before-upgrade: of an earlier version" in answer.stdout
    (written,) = tmp_path.glob("daguerre-backup-*.zip")
    assert answer.stdout.startswith(f"{written}: 1 jobs (1 queued), 0 pictures")
    assert "not in it: secrets" in answer.stdout
    answer = daguerre("restore", written, "--data", tmp_path / "x")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith(f"{tmp_path / 'x'}: 1 jobs")
    assert PROMPT not in answer.stdout + answer.stderr
